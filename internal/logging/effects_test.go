package logging

import (
	"strings"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
)

// codes returns the level and the code of each line.
func codes(lines string) (out []string) {
	for line := range strings.Lines(lines) {
		var level, code string
		for word := range strings.FieldsSeq(line) {
			if v, ok := strings.CutPrefix(word, "level="); ok {
				level = v
			}
			if v, ok := strings.CutPrefix(word, "code="); ok {
				code = v
			}
		}
		out = append(out, level+" "+code)
	}
	return out
}

// TestCausesBeforeEffects: connections that break because the proxy has gone are logged
// after that and ask for no attention; those that break alone are warnings.
func TestCausesBeforeEffects(t *testing.T) {
	reset := failure.New(failure.BrokerReset, nil).For("kafka-1:9092", "")
	other := failure.New(failure.BrokerReset, nil).For("kafka-2:9092", "")
	down := failure.New(failure.ProxyUnreachable, nil).For("proxy:20004", "")
	for name, test := range map[string]struct {
		play func(t *testing.T, log *Failures)
		want string
	}{
		"three resets, then the cause": {func(t *testing.T, log *Failures) {
			log.Log(t.Context(), reset)
			log.Log(t.Context(), reset)
			log.Log(t.Context(), other)
			time.Sleep(settle / 2) // synctest
			log.Log(t.Context(), down)
		}, "WARN proxy_unreachable, INFO broker_reset, INFO broker_reset"},
		"the cause, then a reset": {func(t *testing.T, log *Failures) {
			log.Log(t.Context(), down)
			log.Log(t.Context(), reset)
			time.Sleep(2 * settle) // synctest
		}, "WARN proxy_unreachable, INFO broker_reset"},
		"a reset alone": {func(t *testing.T, log *Failures) {
			log.Log(t.Context(), reset)
			time.Sleep(2 * settle) // synctest
		}, "WARN broker_reset"},
		"a reset, and long after it a failure": {func(t *testing.T, log *Failures) {
			log.Log(t.Context(), reset)
			time.Sleep(2 * settle) // synctest
			log.Log(t.Context(), down)
			time.Sleep(2 * settle) // synctest
			log.Log(t.Context(), other)
			time.Sleep(2 * settle) // synctest
		}, "WARN broker_reset, WARN proxy_unreachable, WARN broker_reset"},
		"a reset, and the end of the process": {func(t *testing.T, log *Failures) {
			log.Log(t.Context(), reset)
			log.Close()
			time.Sleep(2 * settle) // synctest
		}, "WARN broker_reset"},
		"a client that resets its connection": {func(t *testing.T, log *Failures) {
			log.Log(t.Context(), failure.New(failure.ClientReset, nil))
			log.Log(t.Context(), failure.New(failure.ClientGone, nil))
		}, "INFO client_reset, INFO client_gone"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, "info", "text", func(t *testing.T, l *Log, out *testutil.Output) {
				log := NewFailures(l.Logger)
				defer log.Close()
				test.play(t, log)
				if got := strings.Join(codes(take(out)), ", "); got != test.want {
					t.Errorf("got  %s\nwant %s", got, test.want)
				}
			})
		})
	}
}

func TestHeldEffectsAreCounted(t *testing.T) {
	bubble(t, "info", "text", func(t *testing.T, l *Log, out *testutil.Output) {
		log := NewFailures(l.Logger)
		defer log.Close()
		for range 40 {
			log.Log(t.Context(), failure.New(failure.BrokerReset, nil).For("kafka-1:9092", ""))
		}
		time.Sleep(2 * settle) // synctest
		if lines := take(out); strings.Count(lines, "\n") != 1 || !strings.Contains(lines, "more=39") {
			t.Errorf("one line that counts 39 more is wanted:\n%s", lines)
		}
	})
}
