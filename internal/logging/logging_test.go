package logging

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// take waits until the log is idle and takes its output.
func take(out *testutil.Output) string {
	synctest.Wait()
	return out.Take()
}

// bubble runs a test with a log in virtual time.
func bubble(t *testing.T, level, format string, f func(t *testing.T, log *Log, out *testutil.Output)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		out := &testutil.Output{}
		log, err := New(out, level, format)
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		f(t, log, out)
	})
}

func TestEqualFailuresAreCounted(t *testing.T) {
	bubble(t, "info", "text", func(t *testing.T, l *Log, out *testutil.Output) {
		log := NewFailures(l.Logger)
		away := func(target string) *failure.Failure {
			return failure.New(failure.ConnectorAway, nil).For(target, "LOC1")
		}
		for range 43 {
			log.Log(t.Context(), away("a:1"))
		}
		log.Log(t.Context(), away("b:1"))
		lines := take(out)
		if n := strings.Count(lines, "\n"); n != 2 {
			t.Fatalf("%d lines, want one for each target:\n%s", n, lines)
		}
		for _, part := range []string{"code=connector_away", "hop=connector", "target=a:1", "location_id=LOC1", "advice="} {
			if !strings.Contains(lines, part) {
				t.Errorf("the line lacks %s:\n%s", part, lines)
			}
		}
		time.Sleep(window) // synctest
		log.Log(t.Context(), away("a:1"))
		if line := take(out); !strings.Contains(line, "more=42") {
			t.Errorf("the count is missing:\n%s", line)
		}
	})
}

func TestMemoryOfFailuresIsBounded(t *testing.T) {
	log := NewFailures(slog.New(slog.DiscardHandler))
	for i := range 10 * maxKinds {
		log.Log(t.Context(), failure.New(failure.NotKafka, nil).For(fmt.Sprint(i), ""))
	}
	if len(log.seen) > maxKinds {
		t.Errorf("%d kinds are remembered", len(log.seen))
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(nil, "loud", "text"); err == nil || !strings.Contains(err.Error(), "debug, info") {
		t.Errorf("level: %v", err)
	}
	if _, err := New(nil, "info", "xml"); err == nil || !strings.Contains(err.Error(), "text or json") {
		t.Errorf("format: %v", err)
	}
}

func TestLinesCarryTheConnection(t *testing.T) {
	bubble(t, "info", "json", func(t *testing.T, log *Log, out *testutil.Output) {
		ctx := WithConnection(t.Context(), 4711)
		log.With("cluster", "default").InfoContext(ctx, "hello", "a", 1, "took", 1500*time.Millisecond)
		var line struct {
			Msg, Cluster string
			Took         string
			Conn         uint64
			A            int
		}
		if text := take(out); json.Unmarshal([]byte(text), &line) != nil || line.Conn != 4711 || line.Cluster != "default" || line.A != 1 || line.Msg != "hello" || line.Took != "1.5s" {
			t.Errorf("line %s", text)
		}
		log.InfoContext(t.Context(), "hello")
		if text := take(out); strings.Contains(text, "conn") {
			t.Errorf("a line of no connection: %s", text)
		}
	})
}

func TestTheBudget(t *testing.T) {
	bubble(t, "debug", "text", func(t *testing.T, log *Log, out *testutil.Output) {
		// A flood of ten minutes: 100 lines a second, each above 100 bytes.
		written, warned := 0, 0
		for i := range 600 * 100 {
			log.Debug(strings.Repeat("x", 100), "i", i)
			if i%1000 == 0 {
				log.Warn("important", "i", i)
			}
			time.Sleep(10 * time.Millisecond) // synctest
			text := take(out)
			written += len(text)
			warned += strings.Count(text, "important")
		}
		if limit := burst + 600*rate; written > limit || written < limit/2 {
			t.Errorf("%d bytes in ten minutes, want at most %d and not much less", written, limit)
		}
		if warned != 60 {
			t.Errorf("%d warnings of 60 survived a flood of debug lines", warned)
		}
		if log.Dropped() == 0 {
			t.Error("nothing was counted")
		}
	})
}

func TestDroppedLinesAreSaid(t *testing.T) {
	bubble(t, "info", "text", func(t *testing.T, log *Log, out *testutil.Output) {
		for range 1000 {
			log.Info(strings.Repeat("x", 100))
		}
		lost := log.Dropped()
		if text := take(out); lost == 0 || strings.Count(text, "\n") != int(1000-lost) {
			t.Fatalf("%d lines dropped, %d written", lost, strings.Count(text, "\n"))
		}
		time.Sleep(time.Minute) // synctest
		log.Info("calm again")
		if text := take(out); !strings.Contains(text, fmt.Sprintf("lines=%d", lost)) || strings.Index(text, "calm") > strings.Index(text, "lines=") {
			t.Errorf("the log does not say what is missing: %s", text)
		}
		log.Info("and again")
		if text := take(out); strings.Contains(text, "lines=") {
			t.Errorf("said twice: %s", text)
		}
	})
}

// TestNobodyReads: a blocked writer never delays a caller, and what was queued is written when
// it continues.
func TestNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		log, err := New(w, "info", "text")
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		for range 100_000 {
			log.Warn("nobody reads this")
		}
		if time.Since(begin) != 0 {
			t.Error("logging has waited")
		}
		log.Close() // gives up
		if d := time.Since(begin); d != drainTimeout {
			t.Errorf("close took %v", d)
		}
		log.Warn("too late")
		log.Close()
		var got bytes.Buffer
		go func() { _, _ = io.Copy(&got, r) }()
		<-log.queue.done
		_ = w.Close()
		synctest.Wait()
		if n := uint64(strings.Count(got.String(), "\n")); n == 0 || got.Len() > burst || n+log.Dropped() < 100_000 {
			t.Errorf("%d lines written, %d dropped", n, log.Dropped())
		}
	})
}

func TestCloseSaysWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &testutil.Output{}
		log, err := New(out, "info", "text")
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			log.Info(strings.Repeat("x", 100))
		}
		log.Close()
		if text := take(out); !strings.Contains(text, "lines=") {
			t.Errorf("the last line is %s", text[len(text)-200:])
		}
	})
}

func TestManyAtATime(t *testing.T) {
	out := &testutil.Output{}
	log, err := New(out, "info", "json")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 500 {
				log.InfoContext(WithConnection(t.Context(), uint64(i)), "hello")
			}
		})
	}
	all.Wait()
	log.Close()
	for line := range strings.Lines(out.String()) {
		if !json.Valid([]byte(line)) {
			t.Fatalf("mixed up: %s", line)
		}
	}
}

func BenchmarkLog(b *testing.B) {
	log, err := New(io.Discard, "info", "text")
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	b.ReportAllocs()
	for b.Loop() {
		log.Info("a line", "cluster", "default", "node", 1)
	}
}
