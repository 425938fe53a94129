package tunnel

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/health"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// A stateRow is the effect of one fault on the state of the cluster.
type stateRow struct {
	title, old      string // the fault, and what happened to the old connection
	want            health.State
	reason          string
	detect, recover time.Duration // 0: not visible, or not waited for
	probe           bool          // recovered by the probe, not by a client
}

// steady is how long a fault stays after the state has changed, or when the state is
// not to change.
const steady = 5 * time.Second / 2

// stateRows are the rows whose state is checked: every kind of fault, with one busy
// connection from before the fault where the fault leaves it open, and with clients
// that come and go. The state changes once when the fault begins and once when it has
// gone, and /readyz and the metrics show the same.
func stateRows() []faultRow {
	rows := onceEach(faultRows())
	for i := range rows {
		rows[i].env = slices.Clone(rows[i].env)
		for j, variable := range rows[i].env { // on a busy machine a handshake may take a second
			rows[i].env[j] = strings.Replace(variable, "HANDSHAKE_TIMEOUT=1s", "HANDSHAKE_TIMEOUT=3s", 1)
		}
	}
	// Rows that wait for a probe first.
	slices.SortStableFunc(rows, func(a, b faultRow) int { return cmp.Compare(b.probed(), a.probed()) })
	return rows
}

// onceEach leaves out rows that differ from an earlier one only in their mode.
func onceEach(rows []faultRow) []faultRow {
	type kind struct {
		kind        faults.Kind
		code        failure.Code
		open, fresh view
		inUse, slow bool
	}
	seen := map[kind]bool{}
	return slices.DeleteFunc(rows, func(r faultRow) bool {
		k := kind{r.fault.Kind, r.code, r.open, r.fresh, r.inUse, r.slow}
		defer func() { seen[k] = true }()
		return seen[k]
	})
}

// probed is 1 if no client tries the failing address again.
func (row *faultRow) probed() int {
	if row.inUse && row.code != "" {
		return 1
	}
	return 0
}

// state is the expected state of the cluster during the fault.
func (row *faultRow) state() health.State {
	atOnce := row.fault.Kind == faults.LinkReset || row.fault.Kind == faults.ResetAfter || row.code == failure.BrokerStalled
	switch {
	case row.fresh == silent:
		return health.Degraded // requests wait
	case row.code == "", atOnce, row.fresh == heldAnswered && row.open == answered: // connections are granted, or granted again at once
		return health.Ready
	case row.inUse:
		return health.Degraded // there are other brokers
	case row.open == answered:
		return health.Degraded
	}
	return health.Down
}

// states runs one row.
func (row *faultRow) states(t *testing.T) *stateRow {
	tr := row.start(t)
	want := row.state()
	result := &stateRow{title: row.title(), old: string(row.open), want: want}
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	if tr.open != nil {
		work.Go(func() { tr.open.atWork(ctx) })
	}
	for range 3 {
		work.Go(func() { passingClients(ctx, tr.Address("")) })
	}
	samples := &sampler{}
	work.Go(func() { samples.run(ctx, t, tr.testbed) })

	transient := row.fresh == heldAnswered
	if want != health.Ready {
		await(t, "the state "+want.String(), func() bool { return slices.Contains(tr.stateChanges(t).states(), want) }, nil)
		result.detect = tr.stateChanges(t).when(want).Sub(tr.began)
		for _, c := range tr.stateChanges(t) {
			if c.state == want {
				result.reason = c.cause
			}
		}
	}
	if !transient {
		hold(ctx, steady)
	}
	began := time.Now()
	tr.lab.Faults().Clear()
	switch {
	case want == health.Ready, row.slow:
		hold(ctx, time.Second)
	default:
		await(t, "the recovery", func() bool { return tr.State() == health.Ready }, nil)
		if ready := tr.stateChanges(t).last(); !transient {
			result.recover = ready.Sub(began)
		}
		hold(ctx, time.Second)
	}
	result.probe = row.probed() > 0
	var expected []health.State
	if row.cold && want == health.Ready {
		expected = append(expected, health.Ready) // when the first connection was granted
	}
	if want != health.Ready {
		expected = append(expected, want) // without a connection before: the first failure
	}
	if want != health.Ready && !row.slow {
		expected = append(expected, health.Ready)
	}
	if got := tr.stateChanges(t).states(); !slices.Equal(got, expected) {
		t.Errorf("the state was %v, want %v", got, expected)
	}
	samples.check(t, len(expected))
	if want == health.Degraded && row.fresh == silent {
		tr.checkStall(t)
	}
	return result
}

// State returns the state of the only cluster.
func (bed *testbed) State() health.State { return bed.clusters[0].health.State() }

// checkStall checks that a stall is logged once when it begins and once when it ends.
func (tr *trial) checkStall(t *testing.T) {
	begun, ended := 0, 0
	for line := range strings.Lines(tr.log.String()) {
		if contains(line, "level=WARN", "code=broker_unresponsive", "node=bootstrap", "clients=", "advice=") {
			begun++
		}
		if contains(line, "level=INFO", "a broker answers in time again", "node=bootstrap", "after=") {
			ended++
		}
	}
	if begun != 1 || ended != 1 {
		t.Errorf("logged %d starts and %d ends of a stall", begun, ended)
	}
}

// atWork sends requests until the connection or the context ends.
func (c *rawClient) atWork(ctx context.Context) {
	for {
		if c.ask() != nil {
			return
		}
		select {
		case <-c.answers:
		case <-c.ended:
			return
		case <-ctx.Done():
			return
		}
		hold(ctx, 200*time.Millisecond)
	}
}

// passingClients connects, sends a request, waits for a while and leaves, again and
// again.
func passingClients(ctx context.Context, address string) {
	for ctx.Err() == nil {
		visit(ctx, address)
		hold(ctx, 200*time.Millisecond)
	}
}

func visit(ctx context.Context, address string) {
	c, err := newRawClient(ctx, address)
	if err != nil {
		return
	}
	defer c.close()
	if c.ask() != nil {
		return
	}
	select {
	case <-c.answers:
	case <-c.ended:
	case <-time.After(20 * time.Second):
	case <-ctx.Done():
	}
}

func hold(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// A stateChange is a line of the log.
type stateChange struct {
	at    time.Time
	state health.State
	cause string
}

type stateChanges []stateChange

// stateChanges returns the logged changes of the state since the fault began.
func (tr *trial) stateChanges(t *testing.T) (list stateChanges) {
	t.Helper()
	for line := range strings.Lines(tr.log.String()) {
		if !contains(line, " state=", " was=") {
			continue
		}
		attrs, err := parseLogLine(strings.TrimSpace(line))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		at, err := time.Parse(time.RFC3339Nano, attrs["time"])
		if err != nil {
			t.Fatal(err)
		}
		if at.Before(tr.began) {
			continue
		}
		state := map[string]health.State{"ready": health.Ready, "degraded": health.Degraded, "down": health.Down}[attrs["state"]]
		if want := map[health.State]string{health.Ready: "INFO", health.Degraded: "WARN", health.Down: "ERROR"}[state]; attrs["level"] != want {
			t.Errorf("%s: want %s", line, want)
		}
		list = append(list, stateChange{at, state, attrs["cause"]})
	}
	return list
}

func (list stateChanges) states() (states []health.State) {
	for _, c := range list {
		states = append(states, c.state)
	}
	return states
}

func (list stateChanges) when(s health.State) time.Time {
	for _, c := range list {
		if c.state == s {
			return c.at
		}
	}
	return time.Time{}
}

func (list stateChanges) last() time.Time { return list[len(list)-1].at }

// A sampler polls /readyz and /metrics as a platform does.
type sampler struct {
	mu              sync.Mutex
	probes, scrapes []string // without repetitions in a row
}

func (s *sampler) run(ctx context.Context, t *testing.T, bed *testbed) {
	for ctx.Err() == nil {
		status, body, err := httpGet(ctx, bed.AdminURL()+"/readyz")
		if err != nil {
			return
		}
		r := readiness(t, body)
		_, metrics, err := httpGet(ctx, bed.AdminURL()+"/metrics")
		if err != nil {
			return
		}
		var shown []string
		for line := range strings.Lines(metrics) {
			if strings.HasPrefix(line, "kafka_tunnel_state{") && strings.HasSuffix(line, " 1\n") {
				shown = append(shown, line)
			}
		}
		s.mu.Lock()
		s.probes = append(s.probes, fmt.Sprint(status, " ", r.State))
		s.scrapes = append(s.scrapes, strings.Join(shown, ""))
		s.probes, s.scrapes = slices.Compact(s.probes), slices.Compact(s.scrapes)
		s.mu.Unlock()
		hold(ctx, 300*time.Millisecond)
	}
}

// check checks that /readyz and the metrics show no more states than there were,
// including the first one before any change, and that each answer names exactly one.
func (s *sampler) check(t *testing.T, changes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.probes) > changes+1 || len(s.scrapes) > changes+1 {
		t.Errorf("/readyz showed %q, the metrics %q", s.probes, s.scrapes)
	}
	for _, probe := range s.probes {
		if !slices.Contains([]string{"200 ready", "200 degraded", "503 down"}, probe) {
			t.Errorf("/readyz: %s", probe)
		}
	}
	for _, scrape := range s.scrapes {
		if strings.Count(scrape, "\n") != 1 {
			t.Errorf("%d states at a time: %q", strings.Count(scrape, "\n"), scrape)
		}
	}
}

// stateTable is the table of docs/operations.md.
func stateTable(rows []*stateRow) string {
	var b strings.Builder
	b.WriteString("| fault | old connection | state | reason | seen after | ready after |\n|---|---|---|---|---|---|\n")
	shown := func(d time.Duration) string {
		if d == 0 {
			return "-"
		}
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	for _, r := range rows {
		if r == nil {
			continue
		}
		old, reason, recovered := r.old, "-", shown(r.recover)
		if old == "" {
			old = "none"
		}
		if r.reason != "" {
			reason = "`" + r.reason + "`"
		}
		if r.probe && r.recover > 0 {
			recovered += " (probe)"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", r.title, old, r.want, reason, shown(r.detect), recovered)
	}
	return b.String()
}
