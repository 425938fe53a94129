package connector

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// relayKinds are the faults that apply to relayed bytes.
var relayKinds = []faults.Kind{
	faults.ResetAfter, faults.Stall, faults.Trickle, faults.Latency, faults.Bandwidth,
	faults.HalfClose, faults.IdleCut, faults.LifetimeCut, faults.ExpiryCut,
}

const (
	maxQueued = 1 << 20               // queued bytes in one direction of one link
	readSize  = 32 << 10              // bytes per read of the slow path
	slice     = 20 * time.Millisecond // duration of the bytes of one write under a bandwidth limit
)

// errCut ends a link that a fault resets, or that ended while a leg waited.
var errCut = errors.New("cut by a fault")

// errHungUp ends a link that a fault closes cleanly.
var errHungUp = errors.New("closed by a fault")

// A profile is the effect of the faults on one direction of a link.
type profile struct {
	stall   bool
	trickle bool
	pause   time.Duration // between the bytes of a trickle
	latency time.Duration
	rate    int64          // bytes per second, 0: no limit
	resets  []faults.Fault // reset_after

	halfClose string // the mode; "": FIN is passed on in its direction alone
	ends      []cut
}

// A cut ends a link after it was idle for a time, or at a time.
type cut struct {
	idle     time.Duration // 0: use at
	at       time.Time
	endError error
}

// due returns when the link will end by this cut.
func (c cut) due(l *Link) time.Time {
	if c.idle > 0 {
		return l.idleSince().Add(c.idle)
	}
	return c.at
}

// endError returns the error with which a mode ends a link.
func endError(mode string) error {
	if mode == faults.ModeReset {
		return errCut
	}
	return errHungUp
}

// add adds the effect of a fault; of two of the same kind the worse one applies.
func (p *profile) add(f faults.Fault, l *Link) {
	switch f.Kind {
	case faults.ResetAfter:
		p.resets = append(p.resets, f)
	case faults.Stall:
		p.stall = true
	case faults.Trickle:
		p.trickle, p.pause = true, max(p.pause, time.Duration(f.Delay))
	case faults.Latency:
		p.latency = max(p.latency, time.Duration(f.Delay))
	case faults.Bandwidth:
		if p.rate == 0 || f.Rate < p.rate {
			p.rate = f.Rate
		}
	case faults.HalfClose:
		p.halfClose = f.Mode
	case faults.IdleCut:
		p.ends = append(p.ends, cut{idle: time.Duration(f.Delay), endError: endError(f.Mode)})
	case faults.LifetimeCut:
		p.ends = append(p.ends, cut{at: l.opened.Add(time.Duration(f.Delay)), endError: endError(f.Mode)})
	case faults.ExpiryCut:
		if !l.expires.IsZero() {
			p.ends = append(p.ends, cut{at: l.expires, endError: endError(f.Mode)})
		}
	}
}

// plain reports whether bytes pass at full speed.
func (p profile) plain() bool {
	return !p.stall && !p.trickle && p.latency == 0 && p.rate == 0 && len(p.resets) == 0 && len(p.ends) == 0
}

// end returns when the link ends next (zero: never) and how.
func (p profile) end(l *Link) (at time.Time, endError error) {
	for _, c := range p.ends {
		if due := c.due(l); at.IsZero() || due.Before(at) {
			at, endError = due, c.endError
		}
	}
	return at, endError
}

// earlier returns the earlier of two times; zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// step does one thing: it waits, reads a chunk or writes one. io.EOF means that src has ended
// and everything is written. kicks is the link's count from before the profile was made.
func (g *leg) step(p profile, kicks uint64) error {
	left, limited := g.untilReset(p.resets)
	end, endError := p.end(g.link)
	switch {
	case limited && left <= 0:
		return errCut
	case endError != nil && !time.Now().Before(end):
		return endError
	case p.stall:
		return g.wait(end)
	case len(g.queue) == 0 && g.eof:
		return io.EOF
	case len(g.queue) == 0:
		return g.read(end, kicks)
	}
	due := g.queue[0].came.Add(p.latency)
	if (p.trickle || p.rate > 0) && g.next.After(due) {
		due = g.next
	}
	switch {
	case !time.Now().Before(due):
		return g.write(p, left, limited)
	case g.eof || g.queued >= maxQueued:
		return g.wait(earlier(due, end))
	}
	return g.read(earlier(due, end), kicks)
}

// read reads a chunk from src, or returns at the given time (zero: never) or when kicked.
func (g *leg) read(until time.Time, kicks uint64) error {
	g.src.SetReadDeadline(until)
	if g.link.kicks.Load() != kicks {
		return nil // the kick's deadline may have been overwritten just now
	}
	b := make([]byte, readSize)
	n, err := g.src.Read(b)
	if n > 0 {
		g.queue = append(g.queue, chunk{data: b[:n], came: time.Now()})
		g.queued += n
		g.link.touch()
	}
	switch {
	case err == nil || errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	case errors.Is(err, io.EOF):
		g.eof = true
		return nil
	}
	return err
}

// write writes as much of the first chunk as the faults allow now.
func (g *leg) write(p profile, left int64, limited bool) error {
	data := g.queue[0].data
	n := int64(len(data))
	var pause time.Duration
	if p.rate > 0 {
		n = min(n, max(1, p.rate*int64(slice)/int64(time.Second)))
	}
	if p.trickle {
		n, pause = 1, p.pause
	}
	if limited {
		n = min(n, left)
	}
	if p.rate > 0 {
		pause = max(pause, time.Duration(n)*time.Second/time.Duration(p.rate))
	}
	wrote, err := g.dst.Write(data[:n])
	g.count(int64(wrote))
	g.link.touch()
	g.queued -= wrote
	if wrote == len(data) {
		g.queue = g.queue[1:]
	} else {
		g.queue[0].data = data[wrote:]
	}
	if pause > 0 {
		g.next = time.Now().Add(pause)
	}
	return err
}

// wait returns at the given time (zero: never), when kicked or, with an error, when the link
// ends.
func (g *leg) wait(until time.Time) error {
	var at <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		at = timer.C
	}
	select {
	case <-at:
	case <-g.kicked:
	case <-g.link.ended:
		return errCut
	}
	return nil
}

// A baseline is how much a leg had moved when a reset_after fault began to apply to it, by the
// fault's ID.
type baseline struct {
	mu sync.Mutex
	at map[string]int64
}

// since returns how many of the moved bytes count for a fault. The leg itself (own) starts the
// count when it first sees the fault.
func (b *baseline) since(id string, moved int64, own bool) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	at, known := b.at[id]
	switch {
	case known:
		return moved - at
	case own && b.at == nil:
		b.at = make(map[string]int64)
		fallthrough
	case own:
		b.at[id] = moved
	}
	return 0
}

// untilReset returns how many more bytes may pass before one of the faults cuts the link;
// limited is false if there is none. The bytes are those of the fault's direction, or of both
// directions together, from when the fault began to apply.
func (g *leg) untilReset(resets []faults.Fault) (left int64, limited bool) {
	for i, f := range resets {
		rest := f.Bytes - g.bases.since(f.ID, g.moved.Load(), true)
		if f.Direction == "" {
			other := g.link.up
			if g == other {
				other = g.link.down
			}
			rest -= other.bases.since(f.ID, other.moved.Load(), false)
		}
		if i == 0 || rest < left {
			left = rest
		}
	}
	return left, len(resets) > 0
}
