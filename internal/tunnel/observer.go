package tunnel

import (
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/internal/metrics"
	"github.com/kafka-tunnel/kafka-tunnel/internal/session"
	"github.com/kafka-tunnel/kafka-tunnel/internal/topology"
	"github.com/kafka-tunnel/kafka-tunnel/internal/traffic"
)

// An observer counts what one connection does. Its methods are called by the session:
// Request by the request pump, Answered and Rewritten by the response pump.
type observer struct {
	cl   *cluster
	node *traffic.Node

	// Set before Connected is called.
	target topology.Target
	opened time.Time
	open   *traffic.Conn // nil until Connected

	requested, answered apis
	proved              bool // the broker has answered; owned by the response pump
}

// apis are the instruments of the API that a pump has met last.
type apis struct {
	key int16
	api *metrics.API
}

func (a *apis) get(cl *cluster, key int16) *metrics.API {
	if a.api == nil || a.key != key {
		a.key, a.api = key, cl.metrics.API(key, kafka.Name(key))
	}
	return a.api
}

func (o *observer) Request(key int16) { o.requested.get(o.cl, key).Request() }

func (o *observer) Connected(open session.InFlight) {
	o.open = o.node.Open(o.target, open)
	o.cl.health.Connected()
	o.cl.tunnel.stir()
}

func (o *observer) Answered(key int16, took, wait time.Duration) {
	o.answered.get(o.cl, key).Response(took)
	o.node.Answered(took, wait)
	if o.proved {
		o.cl.health.Answered()
		return
	}
	o.proved = true
	o.cl.health.Proved(o.target, o.opened)
}

func (o *observer) Rewritten(key int16, r kafka.Result) {
	api := o.answered.get(o.cl, key)
	api.Rewritten(r.Rewritten)
	api.Hidden(r.Hidden)
	o.cl.caps.note(r.Capped)
}

func (o *observer) Bytes(toBroker, toClient int) {
	if toBroker > 0 {
		o.cl.metrics.Bytes(metrics.ToBroker, int64(toBroker))
	}
	if toClient > 0 {
		o.cl.metrics.Bytes(metrics.ToClient, int64(toClient))
	}
}

func (o *observer) Held(d time.Duration) { o.cl.metrics.Hold(d) }

// reached notes where the connection leads.
func (o *observer) reached(target topology.Target) {
	o.target, o.opened = target, time.Now()
}

// close notes that the connection has ended.
func (o *observer) close() {
	if o.open != nil {
		o.open.Close()
		o.cl.health.Disconnected()
	}
}
