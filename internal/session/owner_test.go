package session

import (
	"context"
	"net"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
)

// A dialFunc is Dial of an owner.
type dialFunc func(ctx context.Context) (conn net.Conn, target string, err error)

// to returns a dial that returns this connection at once.
func to(upstream net.Conn) dialFunc {
	return func(context.Context) (net.Conn, string, error) { return upstream, "kafka-1.corp:9092", nil }
}

// owner is an owner that observes nothing and sends the summary to a channel.
type owner struct {
	dial dialFunc
	over chan<- Summary
	name tap.Connection
}

func (o *owner) Dial(ctx context.Context) (net.Conn, string, error) { return o.dial(ctx) }
func (o *owner) Shown() *tap.Connection                             { return &o.name }
func (o *owner) Ended(s Summary)                                    { o.over <- s }

func (o *owner) Request(int16)                                {}
func (o *owner) Connected(InFlight)                           {}
func (o *owner) Answered(int16, time.Duration, time.Duration) {}
func (o *owner) Rewritten(int16, kafka.Result)                {}
func (o *owner) Bytes(int, int)                               {}
func (o *owner) Held(time.Duration)                           {}
