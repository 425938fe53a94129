package upstream

import (
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
)

// headStart is how long a bootstrap address has for itself before the next one is
// tried as well (R10).
const headStart = 2 * time.Second

// maxParallel is how many bootstrap addresses are tried at a time for one client.
const maxParallel = 2

// DialAny opens a connection to one of the targets, which are equivalent: the
// bootstrap addresses of a cluster. It starts with the one that was good last;
// the next is tried when a failure concerns that address alone, or in parallel
// when there is no outcome after two seconds. The first connection wins.
func (d *Dialer) DialAny(ctx context.Context, targets []hostport.Target) (net.Conn, hostport.Target, error) {
	order := d.Order(targets)
	if len(order) == 1 {
		conn, err := d.Dial(ctx, order[0])
		return conn, order[0], err
	}
	r := race{d: d, order: order, outcomes: make(chan finish)}
	f := r.run(ctx)
	if f.err == nil {
		d.prefer(f.target)
	}
	return f.conn, f.target, f.err
}

// A race is one DialAny.
type race struct {
	d        *Dialer
	order    []hostport.Target // not tried yet
	outcomes chan finish
	running  int
}

// A finish is how one of the attempts of a race ended.
type finish struct {
	conn   net.Conn
	target hostport.Target
	err    error
}

func (r *race) run(ctx context.Context) finish {
	ctx, cancel := context.WithCancel(ctx)
	defer r.end()
	defer cancel()
	timer := time.NewTimer(headStart)
	defer timer.Stop()
	r.start(ctx)
	for {
		select {
		case f := <-r.outcomes:
			r.running--
			if f.err == nil || !concernsAddress(f.err) || expired(ctx) {
				return f
			}
			if len(r.order) == 0 && r.running == 0 {
				return f
			}
			r.start(ctx)
		case <-timer.C:
			r.start(ctx)
		}
		timer.Reset(headStart)
	}
}

// start tries the next target, if there is one and a lane is free. While its gate
// is shut a second attempt could only wait as well.
func (r *race) start(ctx context.Context) {
	if len(r.order) == 0 || r.running == maxParallel {
		return
	}
	target := r.order[0]
	if gate := r.d.pacer().known(r.d.route(target.LocationID)); r.running > 0 && gate != nil && gate.failure() != nil {
		return
	}
	r.order = r.order[1:]
	var patience time.Duration
	if len(r.order) == 0 && r.running == 0 {
		patience = addressMaxWait // there is no other address
	}
	r.running++
	go r.try(ctx, target, patience)
}

// try makes one attempt; run or end takes its outcome.
func (r *race) try(ctx context.Context, target hostport.Target, patience time.Duration) {
	conn, err := r.d.dial(ctx, target, patience)
	r.outcomes <- finish{conn, target, err}
}

// end waits for the attempts that have lost.
func (r *race) end() {
	for ; r.running > 0; r.running-- {
		if f := <-r.outcomes; f.conn != nil {
			_ = f.conn.Close()
		}
	}
}

// concernsAddress reports whether a failure concerns no other address.
func concernsAddress(err error) bool {
	f, ok := failure.As(err)
	return ok && (f.Entry().Retry == failure.RetryAddress || f.Code == failure.AddressUnsupported || f.Code == failure.CommandRefused)
}

// Order returns the targets in this process's order: shuffled once, so that many
// instances do not all start with the same broker, and the last good one first.
func (d *Dialer) Order(targets []hostport.Target) []hostport.Target {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !sameTargets(d.order, targets) {
		d.order = append([]hostport.Target(nil), targets...)
		rand.Shuffle(len(d.order), func(i, j int) { d.order[i], d.order[j] = d.order[j], d.order[i] })
	}
	return append([]hostport.Target(nil), d.order...)
}

// sameTargets reports whether both lists have the same targets, in whatever order.
func sameTargets(order, targets []hostport.Target) bool {
	if len(order) != len(targets) {
		return false
	}
	for _, t := range targets {
		if !slices.Contains(order, t) {
			return false
		}
	}
	return true
}

// prefer moves a target to the front.
func (d *Dialer) prefer(target hostport.Target) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, t := range d.order {
		if t == target {
			copy(d.order[1:i+1], d.order[:i])
			d.order[0] = target
			return
		}
	}
}
