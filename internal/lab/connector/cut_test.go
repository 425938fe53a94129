package connector

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// endOf waits for the end of a connection that carries nothing more, and says
// how it came: faults.ModeFIN or faults.ModeReset.
func endOf(t *testing.T, conn net.Conn) string {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	n, err := conn.Read(make([]byte, 1))
	switch {
	case errors.Is(err, io.EOF):
		return faults.ModeFIN
	case isReset(err) && !errors.Is(err, os.ErrDeadlineExceeded):
		return faults.ModeReset
	}
	t.Fatalf("%d bytes and %v, want the end of the connection", n, err)
	return ""
}

// over waits for the end of the relay.
func (w *way) over(t *testing.T) {
	t.Helper()
	select {
	case <-w.done:
	case <-time.After(time.Minute):
		t.Fatal("the relay goes on")
	}
}

func TestHalfCloseEndsTheWhole(t *testing.T) {
	for _, mode := range []string{faults.ModeFIN, faults.ModeReset} {
		for _, fromBroker := range []bool{false, true} {
			for _, slow := range []bool{false, true} {
				set := newSet(t)
				if slow {
					add(t, set, faults.Fault{Kind: faults.Latency, Delay: faults.Duration(time.Millisecond)})
				}
				w := newWay(t, set) // open before the fault
				direction, from, to := faults.Up, w.client, w.broker
				if fromBroker {
					direction, from, to = faults.Down, to, from
				}
				add(t, set, faults.Fault{Kind: faults.HalfClose, Mode: mode, Direction: direction})
				send(t, from, []byte("last words"))
				expect(t, to, []byte("last words"))
				from.CloseWrite()
				for side, conn := range map[string]net.Conn{"from": from, "to": to} {
					if got := endOf(t, conn); got != mode {
						t.Errorf("%s, fromBroker=%v, slow=%v: side %s saw %s", mode, fromBroker, slow, side, got)
					}
				}
				w.over(t)
			}
		}
	}
}

func TestHalfCloseOfTheOtherDirection(t *testing.T) {
	set := newSet(t)
	add(t, set, faults.Fault{Kind: faults.HalfClose, Direction: faults.Down})
	w := newWay(t, set)
	w.client.CloseWrite()
	if got := endOf(t, w.broker); got != faults.ModeFIN {
		t.Errorf("the broker saw %s", got)
	}
	send(t, w.broker, []byte("the answer"))
	expect(t, w.client, []byte("the answer"))
}

func TestIdleCut(t *testing.T) {
	const idle = 50 * time.Millisecond
	for _, mode := range []string{faults.ModeFIN, faults.ModeReset} {
		set := newSet(t)
		began := time.Now()
		w := newWay(t, set)
		add(t, set, faults.Fault{Kind: faults.IdleCut, Mode: mode, Delay: faults.Duration(idle)})
		for _, conn := range []net.Conn{w.client, w.broker} {
			if got := endOf(t, conn); got != mode {
				t.Errorf("%s: saw %s", mode, got)
			}
		}
		w.over(t)
		if took := time.Since(began); took < idle {
			t.Errorf("%s: cut after %v", mode, took)
		}
	}
}

// TestIdleCutSparesTheBusy: bytes in one direction keep both alive.
func TestIdleCutSparesTheBusy(t *testing.T) {
	const idle = time.Hour
	set := newSet(t)
	w := newWay(t, set)
	f := add(t, set, faults.Fault{Kind: faults.IdleCut, Delay: faults.Duration(idle)})
	send(t, w.client, []byte("x"))
	expect(t, w.broker, []byte("x"))
	set.Remove(f.ID)
	send(t, w.broker, []byte("y"))
	expect(t, w.client, []byte("y"))
	c := cut{idle: idle}
	l := &Link{}
	l.touch()
	first := c.due(l)
	l.active.Add(int64(time.Second))
	if d := c.due(l).Sub(first); d != time.Second {
		t.Errorf("a byte a second later moves the cut by %v", d)
	}
}

func TestIdleCutOfAStalledLink(t *testing.T) {
	set := newSet(t)
	add(t, set, faults.Fault{Kind: faults.Stall})
	add(t, set, faults.Fault{Kind: faults.IdleCut, Delay: faults.Duration(time.Millisecond)})
	w := newWay(t, set)
	if got := endOf(t, w.client); got != faults.ModeFIN {
		t.Errorf("saw %s", got)
	}
	w.over(t)
}

func TestLifetimeAndExpiryCut(t *testing.T) {
	const life = 50 * time.Millisecond
	for _, mode := range []string{faults.ModeFIN, faults.ModeReset} {
		for _, f := range []faults.Fault{
			{Kind: faults.LifetimeCut, Mode: mode, Delay: faults.Duration(life)},
			{Kind: faults.ExpiryCut, Mode: mode},
		} {
			set := newSet(t)
			add(t, set, f)
			began := time.Now()
			w := newWay(t, set, expiring(began.Add(life)))
			// Traffic does not help.
			send(t, w.client, []byte("x"))
			expect(t, w.broker, []byte("x"))
			for _, conn := range []net.Conn{w.client, w.broker} {
				if got := endOf(t, conn); got != mode {
					t.Errorf("%s, %s: saw %s", f.Kind, mode, got)
				}
			}
			w.over(t)
			if took := time.Since(began); took < life {
				t.Errorf("%s, %s: cut after %v", f.Kind, mode, took)
			}
		}
	}
}

// TestTokensThatDoNotExpire: without an expiry there is no cut.
func TestTokensThatDoNotExpire(t *testing.T) {
	set := newSet(t)
	add(t, set, faults.Fault{Kind: faults.ExpiryCut})
	w := newWay(t, set)
	send(t, w.client, []byte("x"))
	expect(t, w.broker, []byte("x"))
}

func TestConnectionLimit(t *testing.T) {
	set := newSet(t)
	r, _ := landscape(t, set, nil)
	f := add(t, set, faults.Fault{Kind: faults.ConnectionLimit, Limit: 2})
	to := Target{Tenant: "zone", LocationID: "LOC1", Host: "kafka", Port: 9092}
	connect := func() (*Link, error) { return r.Connect(t.Context(), to) }
	first, err := connect()
	if err != nil {
		t.Fatal(err)
	}
	second, err := connect()
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if _, err = connect(); !errors.Is(err, ErrFull) {
		t.Errorf("the third: %v", err)
	}
	first.Close()
	third, err := connect()
	if err != nil {
		t.Errorf("the third, when the first had ended: %v", err)
	}
	defer third.Close()
	if list := set.List(); list[0].Hits != 1 {
		t.Errorf("list %+v", list)
	}
	set.Remove(f.ID)
	fourth, err := connect()
	if err != nil {
		t.Fatal(err)
	}
	fourth.Close()
}

// TestConnectionLimitIsExact: connections that come up together do not exceed it.
func TestConnectionLimitIsExact(t *testing.T) {
	const limit, tries = 5, 40
	set := newSet(t)
	r, _ := landscape(t, set, nil)
	add(t, set, faults.Fault{Kind: faults.ConnectionLimit, Limit: limit})
	results := make(chan error, tries)
	for range tries {
		go func() {
			_, err := r.Connect(t.Context(), Target{Tenant: "zone", LocationID: "LOC1", Host: "kafka", Port: 9092})
			results <- err
		}()
	}
	granted := 0
	for range tries {
		if err := <-results; err == nil {
			granted++
		} else if !errors.Is(err, ErrFull) {
			t.Error(err)
		}
	}
	if granted != limit || r.Open() != limit {
		t.Errorf("%d granted, %d open, want %d", granted, r.Open(), limit)
	}
}
