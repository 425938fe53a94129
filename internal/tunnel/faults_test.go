package tunnel

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// A view is what a client sees while a fault is there.
type view string

const (
	answered     view = "answered"      // as without the fault
	held         view = "held"          // open while the tunnel tries again; refused at the end of the hold time
	heldAnswered view = "held/answered" // open while the tunnel tries again; answered when the fault has gone
	refused      view = "refused"       // long before the end of the hold time
	refusedOnce  view = "refused once"  // with the first failure; clients that wait at the gate are then refused too
	slowly02     view = "slowly"        // refused, but not before a second has passed
	closedFIN    view = "closed"        // FIN, while it is idle
	broken       view = "broken"        // FIN: the tunnel closes it while requests are in flight
	resetRST     view = "reset"         // RST
	resetAsking  view = "reset, asking" // RST, after its first request
	silent       view = "silent"        // open and silent; answered when the fault has gone
	asked        view = "last words"    // answered after the client's FIN, then FIN
)

// A pace is how often the tunnel may try while clients reconnect as fast as they can.
type pace struct {
	perClient int           // attempts for each connection of a client
	pause     time.Duration // between attempts; 0: only one attempt
	each      int           // connections to the proxy for one attempt; 0: one
}

var (
	atGate    = pace{pause: 250 * time.Millisecond} // R11
	atAddress = pace{pause: time.Second}            // 04, connect_silent, TLS
	atRefusal = pace{pause: 5 * time.Second}        // 02
	never     = pace{pause: 30 * time.Second}       // 401
	free      = pace{perClient: 1}
)

// allowed returns how many attempts are within the pace.
func (p pace) allowed(connections, addresses int, took time.Duration) int {
	n := p.perClient * connections
	if p.pause > 0 {
		n += 2 + int(took/p.pause) // the first attempt of a new outage, and one that was in flight
	}
	return max(p.each, 1) * n * addresses
}

// A faultRow is the expected effect of one fault of the lab.
type faultRow struct {
	name  string // besides kind and mode
	fault faults.Fault
	with  []faults.Fault // faults that are needed for it to have an effect
	lab   lab.Options
	env   []string
	cold  bool // the fault is there from the start; otherwise a connection was granted before it
	inUse bool // the fault concerns only one address, the last good one

	open  view // what a connection sees that was open before; "": no such connection
	fresh view // what a new connection sees

	code   failure.Code // failure of a new connection; "": none
	hop    failure.Hop
	also   []failure.Code // failures of open connections
	ready  bool           // /readyz stays at 200
	pace   pace
	tokens pace // of token requests; zero: at most three
	count  func(*testing.T, *testbed) int
	slow   bool // recovery takes half a minute, so the test does not wait for it
}

// refusalEnd is how a connection ends whose broker was not reached. It is as close as
// possible to the refused connection that a direct client would get.
const refusalEnd = endRST

// crowdSize is how many clients reconnect during a fault.
const crowdSize = 20

// rowsAtATime is how many rows, each with its own lab, run in parallel. They mostly
// wait, so the number does not depend on the processors, as it would with t.Parallel.
const rowsAtATime = 16

// someRows leaves out rows whose recovery takes half a minute. Of the others it takes
// the first row of each code, and of these every nth.
func someRows(rows []faultRow, every int) []faultRow {
	seen := map[failure.Code]bool{}
	firsts := 0
	return slices.DeleteFunc(rows, func(r faultRow) bool {
		if r.tokens == never && !r.slow || r.probed() > 0 || seen[r.code] {
			return true
		}
		seen[r.code] = true
		firsts++
		return firsts%every != 0
	})
}

// TestFaults goes through every fault of the lab. It checks what clients and operators
// see of the fault, and its effect on the state of the cluster. With -short it goes
// through one fault for each failure code.
func TestFaults(t *testing.T) {
	t.Parallel()
	rows, states := faultRows(), stateRows()
	if testing.Short() {
		rows, states = someRows(rows, 1), someRows(states, 5)
	}
	p := pool{slots: make(chan struct{}, rowsAtATime)}
	results := make([]*stateRow, len(states))
	for i, row := range states {
		p.start(func() {
			t.Run("state of "+row.title(), func(t *testing.T) { results[i] = row.states(t) })
		})
	}
	for _, row := range rows {
		p.start(func() {
			t.Run(row.title(), func(t *testing.T) { row.run(t) })
		})
	}
	p.work.Wait()
	t.Log("\n" + stateTable(results))
}

// A pool runs a bounded number of rows at a time.
type pool struct {
	slots chan struct{}
	work  sync.WaitGroup
}

// start runs a row once there is room.
func (p *pool) start(row func()) {
	p.slots <- struct{}{}
	p.work.Go(func() {
		defer func() { <-p.slots }()
		row()
	})
}

// TestEveryFaultHasARow: every kind of fault and every mode has a row with its expected
// effect.
func TestEveryFaultHasARow(t *testing.T) {
	rows := map[string]bool{}
	for _, row := range faultRows() {
		if rows[row.title()] {
			t.Errorf("two rows are called %s", row.title())
		}
		rows[row.title()] = true
		rows[string(row.fault.Kind)+" "+row.fault.Mode] = true
		if want := failure.Lookup(row.code); row.code != "" && want.Hop != row.hop {
			t.Errorf("%s: hop %s, the catalogue has %s", row.title(), row.hop, want.Hop)
		}
	}
	for _, kind := range faults.Kinds() {
		modes := kind.Modes
		if len(modes) == 0 {
			modes = []string{""}
		}
		for _, mode := range modes {
			if !rows[string(kind.Kind)+" "+mode] {
				t.Errorf("no row for %s %s", kind.Kind, mode)
			}
		}
	}
}

func (row *faultRow) title() string {
	title := string(row.fault.Kind)
	for _, part := range []string{row.fault.Mode, row.name} {
		if part != "" {
			title += " " + part
		}
	}
	return title
}

// A trial is one row that runs.
type trial struct {
	*testbed
	row    *faultRow
	began  time.Time // when the fault was added
	before counts
	open   *rawClient
	fresh  *rawClient
	crowd  *crowd
	ids    []string
}

// counts holds the values of counters before the fault.
type counts struct{ attempts, tokens int }

func (row *faultRow) run(t *testing.T) {
	tr := row.start(t)
	tr.checkOpen(t)
	tr.checkFresh(t)
	tr.checkReady(t)
	tr.checkCrowd(t)
	tr.checkPace(t)
	tr.checkMetrics(t)
	tr.checkLog(t)
	tr.heal(t)
}

// start starts a lab with the fault.
func (row *faultRow) start(t *testing.T) *trial {
	t.Helper()
	o := row.lab
	if o.Brokers == 0 {
		o.Brokers = 1
	}
	if row.cold {
		o.Faults = append(slices.Clone(row.with), row.fault)
	}
	env := slices.Clone(row.env)
	if row.fresh != held && row.fresh != refusedOnce {
		env = append(env, "KAFKA_TUNNEL_CONNECTIVITY_HOLD=10m")
	} else if len(row.env) == 0 {
		env = append(env, "KAFKA_TUNNEL_CONNECTIVITY_HOLD=3s")
	}
	tr := &trial{row: row, began: time.Now()}
	tr.testbed = newTestbed(t, o, env...)
	if row.cold {
		return tr
	}
	tr.open = dialRaw(t, tr.Address(""))
	tr.ask(t, tr.open)
	tr.open.awaitAnswer(t, "before the fault")
	tr.before = counts{tr.attempts(t), tr.lab.State().Tokens.Requests}
	tr.began = time.Now()
	for _, f := range append(slices.Clone(row.with), row.fault) {
		if row.inUse {
			f.Target = tr.Status().Clusters[0].Bootstrap[0] // the last good address is the first
		}
		f, err := tr.lab.Faults().Add(f)
		if err != nil {
			t.Fatal(err)
		}
		tr.ids = append(tr.ids, f.ID)
	}
	return tr
}

func (tr *trial) ask(t *testing.T, c *rawClient) {
	t.Helper()
	if err := c.ask(); err != nil {
		t.Fatal(err)
	}
}

// attempts returns how often the tunnel has tried.
func (tr *trial) attempts(t *testing.T) int {
	if tr.row.count != nil {
		return tr.row.count(t, tr.testbed)
	}
	return tr.connects()
}
