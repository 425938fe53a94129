package health

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	a = hostport.Target{Host: "a", Port: 9092}
	b = hostport.Target{Host: "b", Port: 9092}
	c = hostport.Target{Host: "c", Port: 9092}
)

// A bed is a state with a record of its changes.
type bed struct {
	*testing.T
	*Health
	begin   time.Time
	changes []string // "12s degraded"
}

func newBed(t *testing.T, known ...hostport.Target) *bed {
	d := &bed{T: t, begin: time.Now()}
	d.Health = New(func(ch Change) {
		if ch.From != ch.To {
			d.changes = append(d.changes, fmt.Sprintf("%v %v", time.Since(d.begin).Round(time.Second), ch.To))
		}
	})
	d.Observe(known, nil)
	return d
}

// ready is a bed that was reached at all addresses, with open connections, at 0 s.
func ready(t *testing.T, open int, known ...hostport.Target) *bed {
	d := newBed(t, known...)
	for _, to := range known {
		d.grant(to)
	}
	for range open {
		d.Connected()
	}
	d.Proved(known[0], time.Now())
	d.is(Ready)
	d.changes = nil
	d.begin = time.Now()
	return d
}

func (d *bed) grant(to hostport.Target) { d.Attempt(to, time.Now(), nil) }

func (d *bed) fail(to hostport.Target, code failure.Code) {
	d.Attempt(to, time.Now(), failure.New(code, nil).For(to.String(), to.LocationID))
}

// during calls do every half second for a time, and looks as the monitor does.
func (d *bed) during(long time.Duration, do func()) {
	for end := time.Now().Add(long); time.Now().Before(end); {
		do()
		d.State()
		time.Sleep(500 * time.Millisecond) // synctest
	}
	d.State()
}

func (d *bed) is(want State, codes ...failure.Code) {
	d.Helper()
	s := d.Snapshot()
	var got []failure.Code
	for _, r := range s.Reasons {
		got = append(got, r.Failure.Code)
	}
	if s.State != want || !slices.Equal(got, codes) {
		d.Errorf("after %v: %v %v, want %v %v", time.Since(d.begin), s.State, got, want, codes)
	}
}

func (d *bed) changed(want ...string) {
	d.Helper()
	if !slices.Equal(d.changes, want) {
		d.Errorf("changes %q, want %q", d.changes, want)
	}
}

func TestStates(t *testing.T) {
	const away, refused, broken = failure.ConnectorAway, failure.AccessNotAllowed, failure.BrokerUnreachable
	nothing := func() {}
	for name, test := range map[string]func(d *testing.T){
		"nothing was tried": func(t *testing.T) {
			d := newBed(t, a)
			d.is(Down, failure.NotTried)
			d.during(time.Hour, nothing)
			d.is(Down, failure.NotTried)
			d.grant(a)
			d.Answered()
			d.is(Ready)
			d.changed("1h0m0s ready")
		},
		"reached without an answer": func(t *testing.T) {
			d := newBed(t, a)
			d.grant(a)
			d.during(2*time.Second, nothing)
			d.is(Ready)
		},
		"idle": func(t *testing.T) {
			d := ready(t, 0, a, b)
			d.during(24*time.Hour, nothing)
			d.is(Ready)
			d.changed()
		},
		"no open connection": func(t *testing.T) {
			d := ready(t, 0, a, b)
			d.fail(a, away)
			d.is(Down, away)
			d.during(time.Minute, func() { d.fail(a, away) })
			d.grant(a)
			d.is(Ready)
			d.changed("0s down", "1m0s ready")
			if h := d.Snapshot().Healed; h == nil || h.Failure.Code != away || !h.Recovered.Equal(time.Now()) || h.Recovered.Sub(h.Since) != time.Minute {
				t.Errorf("healed %+v", h)
			}
		},
		"open connections that answer": func(t *testing.T) {
			d := ready(t, 1, a, b)
			d.during(time.Minute, func() { d.Answered(); d.fail(a, away) })
			d.is(Degraded, away)
			d.grant(a)
			d.is(Ready)
			d.changed("2s degraded", "1m0s ready")
		},
		"one that is asked seldom": func(t *testing.T) {
			d := ready(t, 1, a)
			i := 0
			d.during(10*time.Minute, func() {
				if i++; i%60 == 1 { // every half minute
					d.Answered()
				}
				d.fail(a, away)
			})
			d.grant(a)
			if len(d.changes) > 3 { // down, when it is seen to be silent, degraded, ready
				t.Errorf("changes %q", d.changes)
			}
		},
		"open connections that are silent": func(t *testing.T) {
			d := ready(t, 1, a)
			d.during(time.Minute, func() { d.fail(a, away) })
			d.grant(a)
			d.changed("10s down", "1m0s ready")
		},
		"open connections that are cut": func(t *testing.T) {
			d := ready(t, 2, a)
			d.Answered()
			d.fail(a, away)
			d.Answered() // what was under way
			d.Disconnected()
			d.is(Ready, away) // it is not known yet
			d.Disconnected()
			d.during(time.Minute, func() { d.fail(a, away) })
			d.grant(a)
			d.changed("0s down", "1m0s ready")
		},
		"open connections that get stuck": func(t *testing.T) {
			d := ready(t, 1, a)
			d.during(5*time.Second, func() { d.Answered(); d.fail(a, away) })
			d.during(30*time.Second, func() { d.fail(a, away) })
			d.is(Degraded, away) // as far as known, there was no request
			d.Observe(nil, []Reason{{Failure: failure.New(failure.BrokerUnresponsive, nil), Node: "1", At: time.Now()}})
			d.is(Down, failure.BrokerUnresponsive, away)
		},
		"one of three, clients come and go": func(t *testing.T) {
			d := ready(t, 0, a, b, c)
			d.during(time.Minute, func() { d.fail(c, broken); d.grant(a) })
			d.is(Degraded, broken)
			d.grant(c)
			d.is(Ready)
			d.changed("1s degraded", "1m0s ready")
		},
		"one of three, and no client elsewhere": func(t *testing.T) {
			d := ready(t, 1, a, b, c)
			d.fail(c, broken)
			d.during(time.Minute, nothing)
			d.is(Degraded, broken)
			d.grant(c)
			d.changed("10s degraded", "1m0s ready")
		},
		"one of three, and nothing else is tried": func(t *testing.T) {
			d := ready(t, 0, a, b, c)
			d.during(time.Minute, func() { d.fail(c, broken) })
			d.is(Down, broken)
			d.changed("10s down")
		},
		"all of three, one after the other": func(t *testing.T) {
			d := ready(t, 0, a, b, c)
			d.during(time.Minute, func() { d.fail(a, refused); d.fail(b, refused); d.fail(c, refused) })
			d.is(Down, refused, refused, refused)
			d.grant(b)
			d.is(Ready) // the others are to be tried again
			if got := d.Failing(); !slices.Equal(got, []hostport.Target{a, c}) {
				t.Errorf("to be tried again: %v", got)
			}
			d.grant(a)
			d.grant(c)
			d.changed("0s down", "1m0s ready")
			if got := d.Failing(); len(got) > 0 {
				t.Errorf("to be tried again: %v", got)
			}
		},
		"all of three, slowly, with one that answers": func(t *testing.T) {
			d := ready(t, 1, a, b, c)
			d.during(time.Minute, func() {
				d.Answered()
				d.fail(a, refused)
				if time.Since(d.begin) > 20*time.Second {
					d.fail(b, refused)
					d.fail(c, refused)
				}
			})
			d.is(Degraded, refused, refused, refused)
			d.grant(a)
			d.changed("2s degraded", "1m0s ready")
		},
		"the newest cause": func(t *testing.T) {
			d := ready(t, 0, a)
			d.fail(a, failure.ProxyGeneralFailure)
			d.is(Down, failure.ProxyGeneralFailure)
			d.during(time.Minute, func() { d.fail(a, refused) })
			d.is(Down, refused)
			d.changed("0s down")
		},
		"an answer opens nothing": func(t *testing.T) {
			d := ready(t, 1, a)
			d.during(time.Hour, func() { d.Answered() })
			d.fail(a, away)
			d.during(time.Hour, d.Answered)
			d.is(Degraded, away)
		},
		"late outcomes": func(t *testing.T) {
			d := ready(t, 0, a)
			before := time.Now()
			time.Sleep(time.Second) // synctest
			d.fail(a, away)
			d.Attempt(a, before, nil) // it began before
			d.is(Down, away)
			time.Sleep(time.Second) // synctest
			during := time.Now()
			time.Sleep(time.Second) // synctest
			d.grant(a)
			d.Attempt(a, during, failure.New(away, nil))
			d.is(Ready)
			d.Attempt(a, during, failure.New(broken, nil))
			d.is(Ready)
			d.changed("1s down", "3s ready")
		},
		"refused behind a grant": func(t *testing.T) {
			d := newBed(t, a)
			opened := time.Now()
			d.during(time.Minute, func() {
				d.grant(a)
				d.Refused(a, failure.New(failure.TLSRefused, nil))
			})
			d.is(Down, failure.TLSRefused)
			d.changed()
			d.Proved(a, opened) // a connection of before
			d.is(Down, failure.TLSRefused)
			d.grant(a)
			d.Proved(a, time.Now())
			d.is(Ready)
			d.changed("1m0s ready")
		},
		"one refuses, and is tried alone": func(t *testing.T) {
			d := ready(t, 0, a, b, c)
			d.during(time.Minute, func() { d.grant(a); d.Refused(a, failure.New(failure.TLSRefused, nil)) })
			d.is(Down, failure.TLSRefused)
			d.changed("10s down")
		},
		"unanswered requests": func(t *testing.T) {
			d := ready(t, 1, a)
			stall := []Reason{{Failure: failure.New(failure.BrokerUnresponsive, nil), Node: "1", At: time.Now()}}
			d.during(time.Minute, func() { d.Observe(nil, stall); d.grant(a) })
			d.is(Degraded, failure.BrokerUnresponsive)
			d.Observe(nil, nil)
			d.is(Ready)
			if h := d.Snapshot().Healed; h == nil || h.Node != "1" {
				t.Errorf("healed %+v", h)
			}
			d.changed("0s degraded", "1m0s ready")
		},
		"what is not known any more is forgotten": func(t *testing.T) {
			d := ready(t, 0, a, b)
			d.fail(b, broken)
			d.grant(a)
			d.during(time.Minute, func() { d.grant(a) })
			d.is(Degraded, broken)
			d.Observe([]hostport.Target{a}, nil)
			d.is(Ready)
			if got := d.Failing(); len(got) > 0 {
				t.Errorf("to be tried again: %v", got)
			}
		},
		"another Cloud Connector": func(t *testing.T) {
			other := hostport.Target{Host: "d", Port: 9092, LocationID: "OTHER"}
			d := ready(t, 0, a, other)
			d.during(time.Minute, func() { d.fail(other, away); d.grant(a) })
			d.is(Degraded, away)
			d.during(time.Minute, func() { d.fail(a, failure.ProxyUnreachable); d.fail(other, away) })
			d.is(Down, failure.ProxyUnreachable, away)
		},
		"an address behind a broken route": func(t *testing.T) {
			d := ready(t, 0, a)
			before := time.Now()
			time.Sleep(time.Second) // synctest
			d.fail(a, away)
			d.Attempt(a, before, failure.New(failure.ConnectSilent, nil)) // it is no evidence about the route now
			d.is(Down, away, failure.ConnectSilent)
			time.Sleep(time.Second) // synctest
			d.grant(a)
			d.is(Ready)
		},
		"one of two at the start": func(t *testing.T) {
			d := newBed(t, a, b)
			began := time.Now()
			time.Sleep(time.Second) // synctest
			d.fail(b, broken)
			d.is(Down, broken)
			time.Sleep(time.Second) // synctest
			d.Attempt(a, began, nil)
			d.Proved(a, time.Now())
			d.is(Degraded, broken)
			d.grant(b)
			d.is(Ready)
		},
		"another route, with open connections": func(t *testing.T) {
			d := ready(t, 1, a)
			d.during(time.Minute, func() { d.Answered(); d.fail(a, away) })
			d.Moved()
			d.is(Ready)
			d.changed("2s degraded", "1m0s ready")
		},
		"another route": func(t *testing.T) {
			d := ready(t, 0, a)
			d.Moved()
			d.is(Ready)
			d.fail(b, away)
			d.is(Down, away)
			d.Moved()
			d.is(Down, failure.NotTried)
		},
		"nothing can be tried": func(t *testing.T) {
			d := newBed(t)
			d.Blocked(failure.New(failure.DestinationNotFound, nil))
			d.is(Down, failure.DestinationNotFound)
			d.Blocked(nil)
			d.is(Down, failure.NotTried)
		},
		"server names do not count": func(t *testing.T) {
			named := a
			named.ServerName = "kafka-1"
			d := ready(t, 0, named)
			d.fail(a, broken)
			d.is(Down, broken)
			if got := d.Failing(); !slices.Equal(got, []hostport.Target{named}) {
				t.Errorf("to be tried again: %v", got)
			}
		},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
	}
}
