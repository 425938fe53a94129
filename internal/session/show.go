package session

import (
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
)

// What follows is for who watches the frames (package tap). With nobody there, a frame costs
// one load of a pointer.

// shown ends the frame that who watches gets a copy of. cut: it did not pass as a whole.
func (p *pump) shown(cut bool) {
	if p.tee != nil {
		p.tee.End(cut)
		p.tee, p.ahead = nil, 0
	}
}

// show begins to copy a frame out of a pump.
func (c *connection) show(v *tap.Viewer, p *pump, f tap.Frame) {
	p.tee, p.ahead = c.begin(v, f), 0
}

// begin says of a frame what is the same for all of the connection; nil: it is not shown.
func (c *connection) begin(v *tap.Viewer, f tap.Frame) *tap.Capture {
	who := c.owner.Shown()
	if who == nil {
		return nil
	}
	f.Time, f.Connection, f.Target, f.Software = time.Now(), who, c.target, c.calledItself()
	return v.Begin(f)
}

func (c *connection) showRequest(v *tap.Viewer, e inFlight, size int32) {
	c.show(v, &c.requests, tap.Frame{Request: true, Key: e.key, Version: e.version, CorrelationID: e.correlation, Size: int(size)})
}

func (c *connection) showResponse(v *tap.Viewer, e inFlight, size int32, latency time.Duration) {
	c.show(v, &c.responses, tap.Frame{Key: e.key, Version: e.version, CorrelationID: e.correlation, Size: int(size), Latency: latency})
}

func (c *connection) showToken(v *tap.Viewer, p *pump, size int32, request bool) {
	c.show(v, p, tap.Frame{Token: true, Request: request, Size: int(size)})
}

// calledItself returns the name and the version that the client has said, or "".
func (c *connection) calledItself() string {
	if name := c.software.Load(); name != nil {
		return *name
	}
	return ""
}

// showLocal shows an answer of the tunnel's own.
func (c *connection) showLocal(v *tap.Viewer, e inFlight, size int) {
	c.requests.shown(false) // the request first
	one := c.begin(v, tap.Frame{Local: true, Key: e.key, Version: e.version, CorrelationID: e.correlation, Size: size})
	if one != nil {
		one.End(false)
	}
}
