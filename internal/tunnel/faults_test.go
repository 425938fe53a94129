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

// A view is what a client sees of a fault.
type view string

const (
	answered     view = "answered"      // as if nothing were
	held         view = "held"          // open while the tunnel tries again; refused when the hold time is over
	heldAnswered view = "held/answered" // open while the tunnel tries again; answered when the fault has gone
	refused      view = "refused"       // long before the hold time is over
	refusedOnce  view = "refused once"  // with the first failure; who waits at the gate meanwhile is refused in turn
	slowly02     view = "slowly"        // refused, but not before a second is over
	closedFIN    view = "closed"        // FIN, while it is idle
	broken       view = "broken"        // FIN: the tunnel ends it in the midst of work
	resetRST     view = "reset"         // RST
	resetAsking  view = "reset, asking" // RST, when it asks
	silent       view = "silent"        // open and silent; answered when the fault has gone
	asked        view = "last words"    // answered after the client's FIN, then FIN
)

// A pace is how often the tunnel may try while a crowd of clients reconnects as
// fast as it can.
type pace struct {
	perClient int           // attempts for each connection of a client
	pause     time.Duration // between attempts; 0: one attempt is all
	each      int           // connections to the proxy for one attempt, where it is not one
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
		n += 2 + int(took/p.pause) // the first of a young outage, and one that was under way
	}
	return max(p.each, 1) * n * addresses
}

// A faultRow says what one fault of the lab does.
type faultRow struct {
	name  string // besides kind and mode
	fault faults.Fault
	with  []faults.Fault // needed for the fault to show
	lab   lab.Options
	env   []string
	cold  bool // there from the start; otherwise a connection was granted before
	inUse bool // it concerns one address only: the one that was good last

	open  view // what a connection sees that was open before; "": there is none
	fresh view // what a new one sees

	code   failure.Code // of what a new connection meets, "": nothing
	hop    failure.Hop
	also   []failure.Code // of what open connections meet
	ready  bool           // /readyz stays at 200
	pace   pace
	tokens pace // of requests for a token; zero: three in all
	count  func(*testing.T, *testbed) int
	slow   bool // it heals only after half a minute: not asked to
}

// refusalEnd is how a connection ends whose broker was not reached: as near as it can
// be to the refused connection that a direct client would meet.
const refusalEnd = endRST

// crowdSize is how many clients reconnect during a fault.
const crowdSize = 20

// rowsAtATime is how many landscapes run beside each other. They mostly wait; it
// does not depend on the number of processors, as t.Parallel does.
const rowsAtATime = 16

// someRows leaves out rows that take half a minute to heal, and of the others takes the
// first of each code, then every nth of these.
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

// TestFaults goes through every fault of the lab: what clients and operators see of it,
// and what it does to the state of the cluster. With -short it goes through one of each
// failure code.
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

// TestEveryFaultHasARow: who adds a kind of fault, or a mode, says what it does.
func TestEveryFaultHasARow(t *testing.T) {
	rows := map[string]bool{}
	for _, row := range faultRows() {
		if rows[row.title()] {
			t.Errorf("two rows are called %s", row.title())
		}
		rows[row.title()] = true
		rows[string(row.fault.Kind)+" "+row.fault.Mode] = true
		if want := failure.Lookup(row.code); row.code != "" && want.Hop != row.hop {
			t.Errorf("%s: hop %s, the catalogue says %s", row.title(), row.hop, want.Hop)
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

// A trial is one row at work.
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

// counts is what there was before the fault.
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

// start starts a landscape with the fault.
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
			f.Target = tr.Status().Clusters[0].Bootstrap[0] // the last good one is the first
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
