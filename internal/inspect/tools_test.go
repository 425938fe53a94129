package inspect

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

// TestProduceConsume: lines become records and come back, with keys and headers, from where
// they are asked for, and in a group.
func TestProduceConsume(t *testing.T) {
	server := Server{Address: broker(t, kfake.SeedTopics(2, "orders"))}
	ctx := t.Context()
	p := Producer{Server: server, Topic: "orders", KeySeparator: ":", Headers: []string{"from=hand"}, Acks: "all", Compression: "gzip", Count: 3}
	if n, err := p.Run(ctx, strings.NewReader("a:1\nb:2\nc:3\nd:4\n")); err != nil || n != 3 {
		t.Fatalf("%d %v", n, err)
	}
	consume := func(c Consumer) (lines map[string]bool) {
		t.Helper()
		c.Server, c.Topic, c.Format = server, "orders", `%k=%v %h{%k:%v}\n`
		var out bytes.Buffer
		n, err := c.Run(ctx, &out)
		if err != nil {
			t.Fatal(err)
		}
		lines = map[string]bool{}
		for line := range strings.Lines(out.String()) {
			lines[strings.TrimSpace(line)] = true
		}
		if len(lines) != n {
			t.Errorf("%d records, %v", n, lines)
		}
		return lines
	}
	all := consume(Consumer{From: "start", End: true})
	for _, want := range []string{"a=1 from:hand", "b=2 from:hand", "c=3 from:hand"} {
		if !all[want] {
			t.Errorf("no %q in %v", want, all)
		}
	}
	if got := consume(Consumer{From: "start", Group: "g", Count: 2}); len(got) != 2 {
		t.Errorf("%v", got)
	}
	rest := consume(Consumer{From: "start", Group: "g", Count: 1})
	for line := range rest {
		if !all[line] {
			t.Errorf("%q", line)
		}
	}
	if got := consume(Consumer{From: "1h", Count: 3}); len(got) != 3 {
		t.Errorf("%v", got)
	}
	var out bytes.Buffer
	if err := server.Groups(ctx, &out, "g"); err != nil || !strings.Contains(out.String(), "g: Empty, coordinator ") || !strings.Contains(out.String(), ", lag 0\n") {
		t.Errorf("%v\n%s", err, out.String())
	}
	out.Reset()
	if err := server.Topics(ctx, &out); err != nil || !strings.Contains(out.String(), "orders  2           ") {
		t.Errorf("%v\n%s", err, out.String())
	}
	out.Reset()
	if err := server.Topics(ctx, &out, "orders"); err != nil || strings.Count(out.String(), "\norders  ") != 2 {
		t.Errorf("%v\n%s", err, out.String())
	}
	out.Reset()
	if err := server.Groups(ctx, &out); err != nil || !strings.Contains(out.String(), "g      Empty  consumer") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// TestToolErrors: errors are reported, and stop the tool.
func TestToolErrors(t *testing.T) {
	server := Server{Address: broker(t, kfake.SeedTopics(1, "orders"))}
	var out bytes.Buffer
	produce := func(change func(*Producer)) func() error {
		return func() error {
			p := Producer{Server: server, Topic: "orders", Acks: "all", Compression: "none"}
			change(&p)
			_, err := p.Run(t.Context(), strings.NewReader("line\n"))
			return err
		}
	}
	consume := func(change func(*Consumer)) func() error {
		return func() error {
			c := Consumer{Server: server, Topic: "orders", From: "start", Format: `%v\n`, End: true}
			change(&c)
			_, err := c.Run(t.Context(), &out)
			return err
		}
	}
	for _, tt := range []struct {
		name, want string
		do         func() error
	}{
		{"acks", `acks "2" is not one of all, 1, 0`, produce(func(p *Producer) { p.Acks = "2" })},
		{"compression", `compression "zip" is not one of`, produce(func(p *Producer) { p.Compression = "zip" })},
		{"header", `header "x" is not KEY=VALUE`, produce(func(p *Producer) { p.Headers = []string{"x"} })},
		{"no key", `line 1 has no key: it does not contain ":"`, produce(func(p *Producer) { p.KeySeparator = ":" })},
		{"no topic to write", kerr.UnknownTopicOrPartition.Message, produce(func(p *Producer) { p.Topic = "nowhere" })},
		{"no topic to read", kerr.UnknownTopicOrPartition.Message, consume(func(c *Consumer) { c.Topic = "nowhere" })},
		{"from", `from "yesterday" is not start, end, an offset`, consume(func(c *Consumer) { c.From = "yesterday" })},
		{"format", `format "%Q"`, consume(func(c *Consumer) { c.Format = "%Q" })},
		{"no such topic", "nowhere: UNKNOWN_TOPIC_OR_PARTITION", func() error { return server.Topics(t.Context(), &out, "nowhere") }},
		{"no such group", "nobody: GROUP_ID_NOT_FOUND", func() error { return server.Groups(t.Context(), &out, "nobody") }},
		{"nobody there", "connect 127.0.0.1:1", func() error { return Server{Address: "127.0.0.1:1", Wait: 5 * time.Second}.Topics(t.Context(), &out) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.do(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
	if err := (Server{Address: "127.0.0.1:1"}).Groups(t.Context(), &out); !errors.Is(err, wire.ErrConnect) {
		t.Errorf("%v", err)
	}
}

// TestConsumeUntilTold: without a count it consumes until its context ends, which is not an
// error.
func TestConsumeUntilTold(t *testing.T) {
	server := Server{Address: broker(t, kfake.SeedTopics(1, "orders"))}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := writerFunc(func(b []byte) (int, error) {
		if strings.Contains(string(b), "4") {
			cancel()
		}
		return len(b), nil
	})
	p := Producer{Server: server, Topic: "orders", Acks: "1", Compression: "none", Rate: 1000}
	var lines strings.Builder
	for i := range 5 {
		lines.WriteString(strconv.Itoa(i) + "\n")
	}
	reported := 0
	p.Progress = func(n int) { reported = n }
	if n, err := p.Run(ctx, strings.NewReader(lines.String())); err != nil || n != 5 || reported != 5 {
		t.Fatalf("%d %d %v", n, reported, err)
	}
	n, err := (Consumer{Server: server, Topic: "orders", From: "0", Format: `%v\n`}).Run(ctx, seen)
	if err != nil || n != 5 {
		t.Errorf("%d %v", n, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
