package tunnel

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// probeInterval is the shortest time between two probes of a cluster.
const probeInterval = 30 * time.Second

// ask wants a probe. It never blocks: a probe that is under way answers too.
func (cl *cluster) ask() {
	select {
	case cl.asked <- struct{}{}:
	default:
	}
}

// probe is the loop that probes when somebody asks (R22): nobody asks, nothing
// is dialled.
func (cl *cluster) probe(ctx context.Context) {
	var last time.Time
	for {
		select {
		case <-cl.asked:
		case <-ctx.Done():
			return
		}
		if cl.ready() || time.Since(last) < probeInterval {
			continue
		}
		last = time.Now()
		if err := cl.probeWay(ctx); err != nil {
			cl.tunnel.logger.Debug("a probe has failed", "cluster", cl.cfg.Name, "error", err)
		}
	}
}

// apiVersionsV0 is a whole ApiVersions request in version 0 without a client id.
//
//	size int32 | key 18 | version 0 | correlation id 1 | client id null
var apiVersionsV0 = [...]byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff}

// probeWay asks a broker for its versions (R22): it walks every hop as a client
// would and needs no permission. Whatever it meets is the dialer's evidence.
func (cl *cluster) probeWay(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cl.tunnel.cfg.Connectivity.Hold)
	defer cancel()
	w, err := cl.lead(ctx)
	if err != nil {
		return err
	}
	conn, target, err := w.dialer.DialAny(ctx, w.bootstrap)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if err := exchange(conn); err != nil {
		f := failure.New(failure.ResponseMalformed, err).For(target.String(), target.LocationID).With("probe with ApiVersions")
		cl.tunnel.report(ctx, f, "cluster", cl.cfg.Name)
		return f
	}
	w.dialer.Alive()
	return nil
}

func exchange(conn net.Conn) error {
	if _, err := conn.Write(apiVersionsV0[:]); err != nil {
		return err
	}
	var head [8]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(head[:])
	if size < 10 || int64(size) > int64(kafka.WholeBound(kafka.KeyApiVersions)) || binary.BigEndian.Uint32(head[4:]) != 1 {
		return fmt.Errorf("the answer is not one to ApiVersions")
	}
	_, err := io.CopyN(io.Discard, conn, int64(size)-4)
	return err
}
