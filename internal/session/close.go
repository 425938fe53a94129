package session

import (
	"errors"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/relay"
)

// close ends both connections so that each peer sees what the other one did: a
// reset on one side becomes a reset on the other, everything else a FIN behind
// the last byte (R14).
//
// A client whose broker was not reached gets a reset too, where a direct client would
// find the connection refused. A FIN would be wrong: as the first thing it reads,
// franz-go takes that for a refused authentication and fails the records that it holds.
func (c *connection) close(result Result, err error) {
	if result == NotReached {
		relay.Abort(c.client())
		return
	}
	// A broker that refuses the tunnel's handshake behind its end was not reached
	// either.
	reset := relay.IsReset(err) || failure.Is(err, failure.TLSRefused)
	side, _ := errors.AsType[*relay.Error](err)
	for _, p := range []*relay.Pump{&c.requests, &c.responses} {
		mine := side != nil && side.Client == (p.From() == relay.FromClient)
		p.Close(reset && !mine || c.undelivered.Load() && p == &c.responses)
	}
}
