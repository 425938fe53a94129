package logging

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

func TestEqualFailuresAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		logger, err := New(&out, "info", "text")
		if err != nil {
			t.Fatal(err)
		}
		log := NewFailures(logger)
		away := func(target string) *failure.Failure {
			return failure.New(failure.ConnectorAway, nil).For(target, "LOC1")
		}
		for range 43 {
			log.Log(away("a:1"))
		}
		log.Log(away("b:1"))
		if n := strings.Count(out.String(), "\n"); n != 2 {
			t.Fatalf("%d lines, want one for each target:\n%s", n, &out)
		}
		for _, part := range []string{"code=connector_away", "hop=connector", "target=a:1", "location_id=LOC1", "advice="} {
			if !strings.Contains(out.String(), part) {
				t.Errorf("the line lacks %s:\n%s", part, &out)
			}
		}
		out.Reset()
		time.Sleep(window) // synctest
		log.Log(away("a:1"))
		if !strings.Contains(out.String(), "more=42") {
			t.Errorf("the count is missing:\n%s", &out)
		}
	})
}

func TestMemoryOfFailuresIsBounded(t *testing.T) {
	log := NewFailures(mustNew(t))
	for i := range 10 * maxKinds {
		log.Log(failure.New(failure.NotKafka, nil).For(fmt.Sprint(i), ""))
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

func mustNew(t *testing.T) *slog.Logger {
	t.Helper()
	logger, err := New(io.Discard, "info", "json")
	if err != nil {
		t.Fatal(err)
	}
	return logger
}
