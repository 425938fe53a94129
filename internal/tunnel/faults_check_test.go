package tunnel

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// checkOpen checks what a connection sees that was open before the fault.
func (tr *trial) checkOpen(t *testing.T) {
	const who = "the open connection"
	switch tr.row.open {
	case answered:
		tr.ask(t, tr.open)
		tr.open.awaitAnswer(t, who)
	case asked:
		tr.ask(t, tr.open)
		if err := tr.open.conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		tr.open.awaitAnswer(t, who)
		tr.open.awaitEnd(t, who, endFIN)
	case silent:
		tr.ask(t, tr.open) // checked later
	case closedFIN:
		tr.open.awaitEnd(t, who, endFIN)
	case broken:
		tr.ask(t, tr.open)
		tr.open.awaitEnd(t, who, endFIN)
	case resetAsking:
		tr.ask(t, tr.open)
		tr.open.awaitEnd(t, who, endRST)
	case resetRST:
		tr.open.awaitEnd(t, who, endRST)
	}
}

// checkFresh checks what a new connection sees.
func (tr *trial) checkFresh(t *testing.T) {
	const who = "the new connection"
	granted := tr.lab.State().Connects["granted"]
	tr.fresh = dialRaw(t, tr.Address(""))
	if err := tr.fresh.ask(); err != nil && tr.row.fresh != resetAsking { // it may already be reset
		t.Fatal(err)
	}
	switch tr.row.fresh {
	case answered:
		tr.fresh.awaitAnswer(t, who)
		tr.fresh.close()
	case held, heldAnswered:
		// The connection is held if it is still open after the tunnel has tried in
		// vain: twice, or once where the fault may have gone before the second attempt.
		times := 2
		if tr.row.fresh == heldAnswered {
			times = 1
		}
		tried := await(t, who, func() bool { return tr.counter(t, "failures_total", "code")[string(tr.row.code)] >= times }, tr.fresh.ended)
		if !tried || tr.fresh.over() {
			t.Fatalf("%s: closed (%v) before the tunnel tried again", who, tr.fresh.end)
		}
	case broken:
		tr.fresh.awaitEnd(t, who, endFIN)
	case refusedOnce:
		tr.fresh.awaitEnd(t, who, refusalEnd)
		if n := tr.counter(t, "failures_total", "code")[string(tr.row.code)]; n != 1 {
			t.Errorf("%s: refused after %d failures, want 1", who, n)
		}
	case refused, slowly02:
		tr.fresh.awaitEnd(t, who, refusalEnd)
		if took := time.Since(tr.fresh.sent); tr.row.fresh == slowly02 && took < refusedPause {
			t.Errorf("%s: closed after %v", who, took)
		}
	case resetAsking:
		tr.fresh.awaitEnd(t, who, endRST)
	case silent:
		// A third connection is granted too, and the others are still open and silent.
		await(t, who, func() bool { return tr.lab.State().Connects["granted"] > granted }, nil)
		third := dialRaw(t, tr.Address(""))
		tr.ask(t, third)
		await(t, who, func() bool { return tr.lab.State().Connects["granted"] > granted+1 }, nil)
		for _, c := range []*rawClient{tr.open, tr.fresh, third} {
			if c.over() || len(c.answers) > 0 {
				t.Errorf("a stalled connection has %d answers, end %v", len(c.answers), c.end)
			}
		}
	default:
		t.Fatalf("no view %q", tr.row.fresh)
	}
}

// checkReady checks what an operator sees.
func (tr *trial) checkReady(t *testing.T) {
	if tr.row.fresh == heldAnswered {
		return // it recovers by itself at any moment
	}
	if tr.row.ready {
		// The method states checks whether the cluster is ready or degraded. The
		// failure of new connections is among the reasons before its effect on the
		// state is known.
		met := tr.row.code != "" && tr.row.code != failure.BrokerReset && tr.row.code != failure.BrokerStalled
		tr.until(t, "/readyz", func(status int, body string) bool {
			reasons := readiness(t, body).Reasons
			return !met && status == http.StatusOK && len(reasons) == 0 || slices.ContainsFunc(reasons, func(r admin.Reason) bool {
				return met && r.Code == tr.row.code && r.Hop == tr.row.hop && r.Advice != ""
			})
		})
		return
	}
	tr.until(t, "/readyz", func(status int, body string) bool {
		c := readiness(t, body).Clusters[0]
		return status == http.StatusServiceUnavailable && c.Hop == tr.row.hop && c.Code == tr.row.code && c.Advice != ""
	})
}

// checkCrowd has clients reconnect until each of them has been served or refused often
// enough.
func (tr *trial) checkCrowd(t *testing.T) {
	if tr.row.fresh == silent {
		return
	}
	rounds := map[view]int{refused: 5, slowly02: 2}[tr.row.fresh]
	tr.crowd = newCrowd(t, tr.Address(""), crowdSize)
	await(t, "the crowd", func() bool { return tr.crowd.been(max(rounds, 1)) }, nil)
	_, got, ends, errs := tr.crowd.seen()
	if len(errs) > 0 {
		t.Errorf("the crowd: %d errors, the first: %v", len(errs), errs[0])
	}
	want := refusalEnd
	switch tr.row.fresh {
	case broken:
		want = endFIN
	case answered, heldAnswered:
		if len(ends) > 0 {
			t.Errorf("the crowd: want answers, got %v", ends)
		}
		tr.fresh.awaitOpenOrAnswer(t, tr.row.fresh)
		return
	case resetAsking:
		want = endRST
	}
	if got > 0 || ends[want] == 0 || len(ends) != 1 {
		t.Errorf("the crowd: %d answers and %v, want %s alone", got, ends, want)
	}
	if tr.row.fresh == held {
		tr.fresh.awaitEnd(t, "the held connection", refusalEnd)
	}
}

// awaitOpenOrAnswer waits for the answer of a client that was held.
func (c *rawClient) awaitOpenOrAnswer(t *testing.T, v view) {
	t.Helper()
	if v == heldAnswered {
		c.awaitAnswer(t, "the held connection")
	}
}

// checkPace checks how many attempts and token requests reached the upstream services.
func (tr *trial) checkPace(t *testing.T) {
	dials := 3 // the open connection, the new one, a third one or a probe
	if tr.crowd != nil {
		n, _, _, _ := tr.crowd.seen()
		dials += n
	}
	addresses := max(tr.row.lab.Brokers, 1)
	attempts := tr.attempts(t) - tr.before.attempts
	tokens := tr.lab.State().Tokens.Requests - tr.before.tokens
	took := time.Since(tr.began) // measured after the counters were read, so the limit is never too strict
	if most := tr.row.pace.allowed(dials, addresses, took); attempts > most {
		t.Errorf("%d attempts for %d connections in %v, want at most %d", attempts, dials, took, most)
	}
	most := 3
	if tr.row.tokens != (pace{}) {
		most = tr.row.tokens.allowed(dials, 1, took)
	}
	if tokens > most {
		t.Errorf("%d token requests in %v, want at most %d", tokens, took, most)
	}
	t.Logf("%d connections in %v: %d attempts, %d requests for a token", dials, took.Round(time.Millisecond), attempts, tokens)
}

// codes returns the failure codes that the row must cause.
func (row *faultRow) codes() []string {
	var codes []string
	for _, c := range append(slices.Clone(row.also), row.code) {
		if c != "" && !slices.Contains(codes, string(c)) {
			codes = append(codes, string(c))
		}
	}
	slices.Sort(codes)
	return codes
}

// results returns the results with which the row's connections must be counted.
func (row *faultRow) results() []string {
	results := map[view]string{
		answered: "ok", heldAnswered: "ok", asked: "ok",
		held: "no_upstream", refusedOnce: "no_upstream", refused: "no_upstream", slowly02: "no_upstream",
		resetAsking: "broken", broken: "broken",
	}
	var list []string
	if r := results[row.fresh]; r != "" {
		list = append(list, r)
	}
	switch row.open {
	case closedFIN, asked:
		list = append(list, "ok") // the broker's FIN, or the client's
	case resetRST, resetAsking, broken:
		list = append(list, "broken")
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// checkMetrics checks the counters.
func (tr *trial) checkMetrics(t *testing.T) {
	codes, results := tr.row.codes(), tr.row.results()
	if got := sortedKeys(tr.counter(t, "failures_total", "code")); !slices.Equal(got, codes) {
		t.Errorf("failures_total has %v, want %v", got, codes)
	}
	var got []string
	await(t, "connections_total", func() bool {
		got = sortedKeys(tr.counter(t, "connections_total", "result"))
		return len(got) >= len(results)
	}, nil)
	if !slices.Equal(got, results) {
		t.Errorf("connections_total has %v, want %v", got, results)
	}
}

// checkLog checks that each failure is logged once, with hop and advice.
func (tr *trial) checkLog(t *testing.T) {
	await(t, "the log", func() bool { // effects are logged after their cause
		logged := map[string]bool{}
		for _, line := range tr.logLines(t) {
			logged[line["code"]] = true
		}
		return len(logged) >= len(tr.row.codes())
	}, nil)
	most := 1 + int(time.Since(tr.began)/(30*time.Second))
	lines := map[string]int{}
	codes := map[string]bool{}
	caused := false
	for _, line := range tr.logLines(t) {
		code := failure.Code(line["code"])
		if line["msg"] == "no new token" {
			// The token cache logs when the kind of failure changes, with the time of
			// the next attempt.
			if line["advice"] == "" || line["next_in"] == "" {
				t.Errorf("the token cache's line of %s: %v", code, line)
			}
			continue
		}
		want := "WARN"
		if code == failure.BrokerReset && caused {
			want = "INFO"
		}
		if line["level"] != want {
			t.Errorf("%s is logged as %s after its cause: %t", code, line["level"], caused)
		}
		if r := failure.Lookup(code).Retry; r == failure.RetryGate || code == failure.BrokerUnreachable {
			caused = true
		}
		codes[line["code"]] = true
		lines[line["code"]+" "+line["target"]]++
		f := failure.New(code, nil).For(line["target"], line["location_id"])
		if line["hop"] != string(f.Entry().Hop) || line["advice"] != f.Advice() || line["advice"] == "" || line["cluster"] != "default" || (line["conn"] == "") != (f.Entry().Hop == failure.HopDestination) { // no connection belongs to the reading of a destination
			t.Errorf("the log line of %s: %v", code, line)
		}
	}
	if got := sortedKeys(codes); !slices.Equal(got, tr.row.codes()) {
		t.Errorf("the log has %v, want %v", got, tr.row.codes())
	}
	for what, n := range lines {
		if n > most {
			t.Errorf("%d lines of %s, want %d", n, what, most)
		}
	}
	if max := len(tr.row.codes()) * max(tr.row.lab.Brokers, 1); len(lines) > max {
		t.Errorf("lines of %d kinds, want %d: %v", len(lines), max, lines)
	}
}

// heal removes the fault.
func (tr *trial) heal(t *testing.T) {
	if tr.row.cold {
		tr.lab.Faults().Clear()
	}
	for _, id := range tr.ids {
		tr.lab.Faults().Remove(id)
	}
	if tr.crowd != nil {
		tr.crowd.stop()
	}
	if tr.row.open == silent {
		tr.open.awaitAnswer(t, "the open connection, after the fault")
	}
	if tr.row.fresh == silent {
		tr.fresh.awaitAnswer(t, "the new connection, after the fault")
	}
	if tr.row.open == answered || tr.row.open == silent {
		tr.ask(t, tr.open)
		tr.open.awaitAnswer(t, "the open connection, after the fault")
	}
	if tr.row.slow {
		return
	}
	tr.roundTrip(t, "after", 1)
	tr.until(t, "/readyz", func(status int, _ string) bool { return status == http.StatusOK })
	if v := tr.lab.State().Violations; len(v) > 0 {
		t.Errorf("violations of the protocol: %q", v)
	}
}
