package tunnel

import (
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/internal/metrics"
	"github.com/kafka-tunnel/kafka-tunnel/internal/session"
)

// observer counts what the sessions of a cluster do.
type observer struct{ cl *cluster }

func (o observer) api(key int16) *metrics.API { return o.cl.metrics.API(key, kafka.Name(key)) }

func (o observer) Request(key int16) { o.api(key).Request() }

func (o observer) Connected(session.InFlight) {}

func (o observer) Answered(key int16, d, _ time.Duration) {
	o.api(key).Response(d)
	o.cl.way.Load().dialer.Alive() // who answers was reached
}

func (o observer) Rewritten(key int16, r kafka.Result) {
	o.api(key).Rewritten(r.Rewritten)
	o.api(key).Hidden(r.Hidden)
	o.cl.caps.note(r.Capped)
}

func (o observer) Bytes(toBroker, toClient int) {
	if toBroker > 0 {
		o.cl.metrics.Bytes(metrics.ToBroker, int64(toBroker))
	}
	if toClient > 0 {
		o.cl.metrics.Bytes(metrics.ToClient, int64(toClient))
	}
}

func (o observer) Held(d time.Duration) { o.cl.metrics.Hold(d) }
