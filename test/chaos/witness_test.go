package chaos

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// read gives a witnessed client these bytes, one write a piece, and returns what
// was reported.
func read(t *testing.T, pieces ...string) []string {
	t.Helper()
	var reports []string
	near, far := net.Pipe()
	w := &witness{
		dialer:   func(context.Context, string, string) (net.Conn, error) { return near, nil },
		names:    [][]byte{[]byte("kafka-1.onprem.invalid"), []byte("kafka-2.onprem.invalid")},
		loopback: true,
		report:   func(p string) { reports = append(reports, p) },
	}
	conn, err := w.dial(t.Context(), "tcp", "localhost:9092")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		defer far.Close()
		for _, p := range pieces {
			_, _ = io.WriteString(far, p)
		}
	}()
	got, err := io.ReadAll(conn)
	if err != nil || string(got) != strings.Join(pieces, "") {
		t.Fatalf("%q, %v", got, err)
	}
	if w.read.Load() != int64(len(got)) || w.dials.Load() != 1 {
		t.Error("it does not count")
	}
	return reports
}

func TestWitnessSeesNames(t *testing.T) {
	const name = "kafka-1.onprem.invalid"
	if reports := read(t, strings.Repeat("localhost", 100), "kafka-3.onprem.invalid", "kafka-1.onprem", ".valid"); len(reports) > 0 {
		t.Errorf("%q", reports)
	}
	for cut := range len(name) + 1 {
		if reports := read(t, "before", name[:cut], name[cut:], "after"); len(reports) == 0 || !strings.Contains(reports[0], name) {
			t.Errorf("cut at %d: %q", cut, reports)
		}
	}
	bytewise := strings.Split("xxxxx"+name+"yyyyy", "")
	if reports := read(t, bytewise...); len(reports) == 0 {
		t.Error("not seen byte by byte")
	}
}

func TestWitnessSeesAddresses(t *testing.T) {
	var reports []string
	w := &witness{loopback: true, report: func(p string) { reports = append(reports, p) },
		dialer: func(context.Context, string, string) (net.Conn, error) { return nil, io.EOF }}
	for _, address := range []string{"localhost:1", "127.0.0.1:1", "[::1]:1", "10.0.0.1:1", "kafka-1.onprem.invalid:9092"} {
		if _, err := w.dial(t.Context(), "tcp", address); err == nil {
			t.Error("no error")
		}
	}
	want := []string{"a client dialled 10.0.0.1:1", "a client dialled kafka-1.onprem.invalid:9092"}
	if !slices.Equal(reports, want) || w.failed.Load() != 5 {
		t.Errorf("%q", reports)
	}
}

func TestLogFileKeepsTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, err := NewLogFile(path, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if _, err := io.WriteString(l, strings.Repeat(string(rune('a'+i%26)), 99)+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	if tail, err := l.Tail(250); err != nil || len(tail) != 200 || tail[0] != 'a'+98%26 {
		t.Errorf("tail %q, %v", tail, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	total := 0
	var last byte
	for _, p := range []string{path + ".old", path} {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		total += len(b)
		last = b[len(b)-2]
	}
	if total > 1000 || total < 500 || last != 'a'+99%26 {
		t.Errorf("%d bytes, the last is %c", total, last)
	}
}

func TestRecords(t *testing.T) {
	m := Mark{Stream: Stream{Producer: 3, Partition: 5}, Seq: 1 << 40, Txn: 9}
	b := m.Encode([]byte("padding"))
	if got, err := Decode(b); err != nil || got != m {
		t.Errorf("%v, %v", got, err)
	}
	for i := range b {
		c := slices.Clone(b)
		c[i] ^= 0x10
		if _, err := Decode(c); err == nil {
			t.Errorf("a flipped bit in byte %d is not seen", i)
		}
		if _, err := Decode(b[:i]); err == nil {
			t.Errorf("the first %d bytes are a record", i)
		}
	}
}
