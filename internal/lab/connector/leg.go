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

// A leg is one direction of a link. While no fault concerns it, the kernel moves
// the bytes; else they pass through a queue of chunks, each of which says when
// it came.
type leg struct {
	link      *Link
	direction string
	src, dst  *net.TCPConn
	moved     atomic.Int64  // bytes written to dst
	total     *atomic.Int64 // of the connector
	kicked    chan struct{} // cap 1: look at the faults again
	seen      atomic.Uint64 // kicks of the link that this leg has noticed
	noticed   chan struct{} // cap 1: seen has grown
	over      chan struct{} // closed when pump has returned

	queue  []chunk
	queued int
	eof    bool      // src has ended; the queue is still to be written
	next   time.Time // earliest time of the next write, for trickle and bandwidth
	bases  baseline
}

// A chunk waits to be written.
type chunk struct {
	data []byte
	came time.Time
}

// newLeg returns one direction of a link that counts its bytes in total, too.
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
		g.src.SetReadDeadline(time.Time{}) // before the faults are looked at: a kick sets it after they changed
		var err error
		if p := g.profile(); p.plain() && len(g.queue) == 0 && !g.eof {
			err = g.copy()
		} else {
			err = g.step(p, kicks)
		}
		switch {
		case err == nil || errors.Is(err, os.ErrDeadlineExceeded):
			// One step further, or kicked.
		case errors.Is(err, io.EOF):
			g.finish(g.profile())
			return
		case errors.Is(err, errHungUp):
			g.link.hangUp()
			return
		default:
			g.link.Close()
			return
		}
	}
}

// finish passes on that src has ended.
func (g *leg) finish(p profile) {
	switch {
	case p.halfClose == faults.ModeReset:
		g.link.Close()
	case p.halfClose != "":
		g.link.hangUp()
	case g.dst.CloseWrite() != nil:
		g.link.Close()
	}
}

// copy moves bytes inside the kernel until src ends (io.EOF) or a kick comes. A
// read deadline interrupts it without loss: it is looked at before bytes are
// taken from src, never between taking and writing.
func (g *leg) copy() error {
	n, err := io.Copy(g.dst, g.src)
	g.link.touch() // when the last of them moved is not known
	g.count(n)
	if err == nil {
		return io.EOF
	}
	return err
}

// count notes moved bytes.
func (g *leg) count(n int64) {
	g.moved.Add(n)
	g.total.Add(n)
}

// awaitNotice returns when the leg has noticed that many kicks and thus moves
// no more bytes by the old faults; when it has ended; or when time is up, which
// happens while dst takes no bytes.
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
	signal(g.noticed) // for others who wait
}

// signal puts a token into a channel with room for one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// profile asks the faults.
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
