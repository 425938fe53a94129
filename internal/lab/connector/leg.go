package connector

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// A leg is one direction of a link. While no fault applies, the kernel moves the bytes;
// otherwise they pass through a queue of chunks, each with its time of arrival.
type leg struct {
	link      *Link
	direction string
	src, dst  *net.TCPConn
	moved     atomic.Int64  // bytes written to dst
	total     *atomic.Int64 // counter of the connector
	kicked    chan struct{} // capacity 1: check the faults again
	seen      atomic.Uint64 // number of kicks that this leg has noticed
	noticed   chan struct{} // capacity 1: seen has increased
	over      chan struct{} // closed when pump has returned

	queue  []chunk
	queued int
	eof    bool      // src has ended; the queue remains to be written
	next   time.Time // earliest time of the next write, for trickle and bandwidth
	bases  baseline
}

// A chunk waits to be written.
type chunk struct {
	data []byte
	came time.Time
}

// newLeg returns one direction of a link that also adds its bytes to total.
func newLeg(l *Link, direction string, total *atomic.Int64) *leg {
	return &leg{link: l, direction: direction, total: total,
		kicked: make(chan struct{}, 1), noticed: make(chan struct{}, 1), over: make(chan struct{})}
}

// pump moves bytes until src ends, and passes on how it ended.
func (g *leg) pump() {
	defer close(g.over)
	for {
		kicks := g.link.kicks.Load()
		g.seen.Store(kicks)
		signal(g.noticed)
		g.src.SetReadDeadline(time.Time{}) // before the faults are checked: a kick sets it after they changed
		var err error
		if p := g.profile(); p.plain() && len(g.queue) == 0 && !g.eof {
			err = g.copy()
		} else {
			err = g.step(p, kicks)
		}
		switch {
		case err == nil || errors.Is(err, os.ErrDeadlineExceeded):
			// A step was completed, or the leg was kicked.
		case errors.Is(err, io.EOF):
			g.finish(g.profile())
			return
		case errors.Is(err, errHungUp):
			g.link.closeCleanly()
			return
		default:
			g.link.Close()
			return
		}
	}
}

// finish passes on the end of src.
func (g *leg) finish(p profile) {
	switch {
	case p.halfClose == faults.ModeReset:
		g.link.Close()
	case p.halfClose != "":
		g.link.closeCleanly()
	case g.dst.CloseWrite() != nil:
		g.link.Close()
	}
}

// copy moves bytes in the kernel until src ends (io.EOF) or is kicked. A read deadline
// interrupts it without loss: the kernel checks it before it takes bytes from src, never
// between reading and writing.
func (g *leg) copy() error {
	n, err := io.Copy(g.dst, g.src)
	g.link.touch() // the time of the last byte is unknown
	g.count(n)
	if err == nil {
		return io.EOF
	}
	return err
}

// count counts moved bytes.
func (g *leg) count(n int64) {
	g.moved.Add(n)
	g.total.Add(n)
}

// awaitNotice returns when the leg has noticed that many kicks and moves no more bytes
// according to the old faults; when it has ended; or at the timeout, which happens while dst
// does not accept bytes.
func (g *leg) awaitNotice(kicks uint64, timeUp <-chan struct{}) {
	for g.seen.Load() < kicks {
		select {
		case <-g.noticed:
		case <-g.over:
			return
		case <-g.link.ended:
			return
		case <-timeUp:
			return
		}
	}
	signal(g.noticed) // for other waiters
}

// signal puts a token into a channel with room for one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// profile returns the effect of the current faults.
func (g *leg) profile() profile {
	l := g.link
	var p profile
	for _, f := range l.registry.opts.Faults.InForce(l.where, l.held, relayKinds...) {
		if f.Direction == "" || f.Direction == g.direction {
			p.add(f, l)
		}
	}
	return p
}
