package listener

import (
	"context"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// ownerTimeout bounds the search for the owners of ports: a machine may run very many
// processes.
const ownerTimeout = time.Second

// Owners names the processes that listen on local TCP ports: "name (pid 7)". A port is
// missing where the owner cannot be determined, as for processes of other users.
//
// It reads the descriptors of every process, once for all ports. Call it at start only,
// never while a client waits.
func Owners(ctx context.Context, ports ...uint16) map[uint16]string {
	if len(ports) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, ownerTimeout)
	defer cancel()
	return portOwners(ctx, ports)
}

// WithOwner adds to the failure port_taken the process that listens on the port. It
// returns other errors unchanged. See [Owners] for its cost.
func WithOwner(ctx context.Context, port uint16, err error) error {
	f, ok := failure.As(err)
	if !ok || f.Code != failure.PortTaken {
		return err
	}
	owner, ok := Owners(ctx, port)[port]
	if !ok {
		return err
	}
	return failure.New(f.Code, f.Err).For(f.Target, f.LocationID).With("held by " + owner)
}
