package failure

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
)

func TestCatalogueIsComplete(t *testing.T) {
	seen := map[Code]bool{}
	code := regexp.MustCompile(`^[a-z][a-z0-9_]+$`)
	for _, e := range All() {
		if !code.MatchString(string(e.Code)) {
			t.Errorf("%q is not a snake_case code", e.Code)
		}
		if seen[e.Code] {
			t.Errorf("%s is in the catalogue twice", e.Code)
		}
		seen[e.Code] = true
		if e.Hop == "" || e.Summary == "" || e.Advice == "" || e.Client == "" || e.Recovery == "" {
			t.Errorf("%s lacks a hop, a summary, advice, the client's view or how it recovers", e.Code)
		}
		if strings.HasSuffix(e.Summary, ".") || strings.Contains(e.Summary, "\n") {
			t.Errorf("%s: the summary is one line without a full stop: %q", e.Code, e.Summary)
		}
		if !strings.HasSuffix(e.Advice, ".") && !strings.HasSuffix(e.Advice, "}.") {
			t.Errorf("%s: advice consists of sentences: %q", e.Code, e.Advice)
		}
	}
}

func TestFailureFillsInPlaceholders(t *testing.T) {
	f := New(AccessNotAllowed, nil).For("kafka-1.corp:9092", "LOC1")
	want := "the Cloud Connector with Location ID LOC1 does not expose kafka-1.corp:9092"
	if f.Error() != want {
		t.Errorf("Error() = %q, want %q", f.Error(), want)
	}
	for _, part := range []string{"virtual host kafka-1.corp", "virtual port 9092"} {
		if !strings.Contains(f.Advice(), part) {
			t.Errorf("advice lacks %q: %s", part, f.Advice())
		}
	}
	f = New(AdvertisedLoopback, nil).For("localhost:9092", "")
	if line := `{from: "localhost:9092", to: "VIRTUAL-HOST:PORT"}`; !strings.Contains(f.Advice(), line) {
		t.Errorf("advice lacks the line to paste %s: %s", line, f.Advice())
	}
}

func TestASharedFailureIsNotChanged(t *testing.T) {
	shared := New(BrokerUnreachable, io.EOF).For("kafka-1.corp:9092", "LOC1").With("reply 0x04")
	before := *shared
	var users sync.WaitGroup
	for range 4 { // the race detector sees a write
		users.Go(func() {
			changed := shared.For("kafka-2.corp:9092", "").With("reply 0x02")
			if changed.Code != BrokerUnreachable || changed.Target != "kafka-2.corp:9092" || changed.LocationID != "" || changed.Detail != "reply 0x02" {
				t.Errorf("the copy is %+v", changed)
			}
		})
	}
	users.Wait()
	if *shared != before {
		t.Errorf("the shared failure was changed to %+v", shared)
	}
}

func TestAsFindsTheFailureInAChain(t *testing.T) {
	err := fmt.Errorf("dial: %w", New(ProxySilent, io.ErrUnexpectedEOF).With("no greeting"))
	f, ok := As(err)
	if !ok || f.Code != ProxySilent {
		t.Fatalf("As(%v) = %v, %v", err, f, ok)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("the cause is lost")
	}
	if !Is(err, ProxySilent) || Is(err, ProxyProtocol) || Is(io.EOF, ProxySilent) {
		t.Error("Is does not distinguish codes")
	}
}

func TestUnknownCodeIsInternal(t *testing.T) {
	e := Lookup("no_such_code")
	if e.Code != "no_such_code" || e.Hop != HopLocal {
		t.Errorf("Lookup of an unknown code = %+v", e)
	}
}

// TestTheLastSentenceIsTheNextStep: it begins with an imperative, after at most a condition
// or a place.
func TestTheLastSentenceIsTheNextStep(t *testing.T) {
	step := regexp.MustCompile(`^(([Ii]f|[Ww]here|[Ee]lse|[Ii]n|[Ff]or|[Oo]n|[Oo]utside|[Ww]hen)\b[^.]*?[,:]? )?(add|ask|bind|check|compare|correct|create|expose|look|lower|leave|let|list|make|open|point|put|raise|report|restage|set|start|turn|update|use)\b`)
	for _, e := range All() {
		sentences := regexp.MustCompile(`[.] +`).Split(strings.TrimSuffix(e.Advice, "."), -1)
		last := sentences[len(sentences)-1]
		if m := step.FindString(strings.ToLower(last[:1]) + last[1:]); m == "" && !step.MatchString(last) {
			t.Errorf("%s: %q is not a step", e.Code, last)
		}
	}
}
