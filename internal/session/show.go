package session

import (
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/relay"
	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
)

// What follows is for viewers of the frames (package tap). Without a viewer, a frame costs one
// load of a pointer.

// shown ends the frame of a direction that viewers get a copy of. cut: it did not pass as
// a whole.
func (c *connection) shown(from relay.Direction, cut bool) {
	p := c.pump(from)
	if capture, ok := p.Captured().(*tap.Capture); ok {
		capture.End(cut)
		p.Capture(nil)
	}
}

// show begins to copy a frame out of a pump.
func (c *connection) show(v *tap.Viewer, from relay.Direction, f tap.Frame) {
	if capture := c.begin(v, f); capture != nil {
		c.pump(from).Capture(capture)
	}
}

func (c *connection) pump(from relay.Direction) *relay.Pump {
	if from == relay.FromClient {
		return &c.requests
	}
	return &c.responses
}

// begin fills in what all frames of the connection share; nil: it is not shown.
func (c *connection) begin(v *tap.Viewer, f tap.Frame) *tap.Capture {
	who := c.owner.Shown()
	if who == nil {
		return nil
	}
	f.Time, f.Connection, f.Target, f.Software = time.Now(), who, c.target, c.clientSoftware()
	return v.Begin(f)
}

func (c *connection) showRequest(v *tap.Viewer, e inFlight, size int32) {
	c.show(v, relay.FromClient, tap.Frame{Request: true, Key: e.key, Version: e.version, CorrelationID: e.correlation, Size: int(size)})
}

func (c *connection) showResponse(v *tap.Viewer, e inFlight, size int32, latency time.Duration) {
	c.show(v, relay.FromServer, tap.Frame{Key: e.key, Version: e.version, CorrelationID: e.correlation, Size: int(size), Latency: latency})
}

func (c *connection) showToken(v *tap.Viewer, from relay.Direction, size int32) {
	c.show(v, from, tap.Frame{Token: true, Request: from == relay.FromClient, Size: int(size)})
}

// clientSoftware returns the name and the version that the client has sent, or "".
func (c *connection) clientSoftware() string {
	if name := c.software.Load(); name != nil {
		return *name
	}
	return ""
}

// showLocal shows an answer of the tunnel's own.
func (c *connection) showLocal(v *tap.Viewer, e inFlight, size int) {
	c.shown(relay.FromClient, false) // the request first
	one := c.begin(v, tap.Frame{Local: true, Key: e.key, Version: e.version, CorrelationID: e.correlation, Size: size})
	if one != nil {
		one.End(false)
	}
}
