package tunnel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/health"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/internal/secure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/session"
)

// probeInterval is the shortest time between two probes of a cluster.
const probeInterval = 30 * time.Second

// fresh is how old evidence may be before a request for readiness starts a probe (R22).
const fresh = 60 * time.Second

// retested is how many failing addresses one probe tries again.
const retested = 8

// ask requests a probe. It never blocks: a probe in progress counts too.
func (cl *cluster) ask() {
	select {
	case cl.asked <- struct{}{}:
	default:
	}
}

// probe is the loop that probes on request (R22): without requests nothing is dialled.
func (cl *cluster) probe(ctx context.Context) {
	var last time.Time
	for {
		select {
		case <-cl.asked:
		case <-ctx.Done():
			return
		}
		if !cl.doubtful() || time.Since(last) < probeInterval {
			continue
		}
		last = time.Now()
		if err := cl.probeAll(ctx); err != nil {
			cl.tunnel.logger.Debug("a probe failed", "cluster", cl.cfg.Name, "error", err)
		}
	}
}

// doubtful reports whether a probe could find out more than is known: the state is not
// ready, an address is failing that no client may try, or there was no evidence for a
// minute.
func (cl *cluster) doubtful() bool {
	s := cl.health.Snapshot()
	return s.State != health.Ready || time.Since(s.Evidence) > fresh || len(cl.health.Failing()) > 0
}

// probeAll probes the cluster, and then the addresses that are failing.
func (cl *cluster) probeAll(ctx context.Context) error {
	if err := cl.probeRoute(ctx, func(ctx context.Context, w *route) (net.Conn, hostport.Target, error) {
		return w.dialer.DialAny(ctx, w.bootstrap)
	}); err != nil {
		return err // the probe has tried them, or no address can be tried
	}
	failing := cl.health.Failing()
	var errs []error
	for _, target := range failing[:min(len(failing), retested)] {
		errs = append(errs, cl.probeRoute(ctx, func(ctx context.Context, w *route) (net.Conn, hostport.Target, error) {
			conn, err := w.dialer.Dial(ctx, target)
			return conn, target, err
		}))
	}
	return errors.Join(errs...)
}

// apiVersionsV0 is a whole ApiVersions request in version 0 without a client id.
//
//	size int32 | key 18 | version 0 | correlation id 1 | client id null
var apiVersionsV0 = [...]byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff}

// probeRoute requests a broker's versions (R22): it uses every hop as a client would,
// and needs no permission. Its outcome counts like an attempt of a client.
func (cl *cluster) probeRoute(ctx context.Context, dial func(context.Context, *route) (net.Conn, hostport.Target, error)) error {
	ctx, cancel := context.WithTimeout(ctx, cl.tunnel.cfg.Connectivity.Hold)
	defer cancel()
	w, err := cl.currentRoute(ctx)
	if err != nil {
		return err
	}
	conn, target, err := dial(ctx, w)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	opened := time.Now()
	if err := exchange(conn); err != nil {
		f := probeFailure(err).For(target.String(), target.LocationID)
		cl.tunnel.report(ctx, f, "cluster", cl.cfg.Name)
		if _, all := refusesAll(session.Summary{Err: f}); all {
			cl.refused(target, f)
		}
		return f
	}
	cl.health.Proved(target, opened)
	return nil
}

// errTLS is a TLS alert in place of a response.
var errTLS = errors.New("the response is a TLS alert")

// probeFailure returns the catalogue's failure for what was received in place of an
// answer.
func probeFailure(err error) *failure.Failure {
	const probe = "probe with ApiVersions"
	if f := secure.Refusal(err); f != nil {
		return f
	}
	switch {
	case errors.Is(err, errTLS):
		return failure.New(failure.BrokerExpectsTLS, err).With(probe)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return failure.New(failure.BrokerStalled, err).With(probe)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return failure.New(failure.BrokerReset, err).With(probe)
	}
	return failure.New(failure.ResponseMalformed, err).With(probe)
}

func exchange(conn net.Conn) error {
	if _, err := conn.Write(apiVersionsV0[:]); err != nil {
		return err
	}
	var head [8]byte
	n, err := io.ReadFull(conn, head[:])
	if n >= 4 && head[0] == 21 && head[1] == 3 { // RFC 8446, section 5.1: an alert
		return errTLS
	}
	if err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < 10 || int64(size) > int64(kafka.WholeBound(kafka.KeyApiVersions)) || binary.BigEndian.Uint32(head[4:]) != 1 {
		return fmt.Errorf("the response is not an ApiVersions response")
	}
	_, err = io.CopyN(io.Discard, conn, int64(size)-4)
	return err
}
