package session

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/relay"
	"github.com/kafka-tunnel/kafka-tunnel/internal/secure"
)

// A Summary is what is known about a connection that has ended.
type Summary struct {
	Target             string // what was dialled, "" if nothing was
	Software           string // the name and version of the client software, "" if it sends none
	Result             Result
	Err                error // why it ended; nil when one side just closed it
	Requests           int64
	ToBroker, ToClient int64 // bytes
	Duration           time.Duration
}

// Result is how a connection ended.
type Result string

// The results of a connection.
const (
	ClientClosed Result = "client_closed" // the client closed it cleanly
	BrokerClosed Result = "broker_closed" // the broker closed it cleanly
	Silent       Result = "silent"        // the client closed it without a byte: a port probe
	Refused      Result = "refused"       // what the client sent was refused
	NotReached   Result = "not_reached"   // the broker was not reached
	Failed       Result = "failed"        // it broke
	Stopped      Result = "stopped"       // the tunnel was stopped
)

// outcome is how a connection ends. The pump that ends first sets it.
type outcome struct {
	mu         sync.Mutex // guards what follows
	set        bool
	result     Result
	err        error
	requestErr error // what ended the request pump
}

func (o *outcome) setOnce(result Result, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.set {
		o.set, o.result, o.err = true, result, err
	}
}

// classify returns the failure for the error that ended a pump.
func (c *connection) classify(err error) error {
	if err == nil || errors.Is(err, relay.ErrStopped) {
		return nil
	}
	if _, ok := failure.As(err); ok {
		return err
	}
	if f := secure.Refusal(err); f != nil {
		return f.For(c.target, "")
	}
	if lost := c.acks.Err(); lost != nil {
		return failure.New(failure.BrokerReset, lost).For(c.target, "")
	}
	if large, ok := errors.AsType[*relay.TooLargeError](err); ok {
		return failure.New(failure.ResponseTooLarge, nil).For(c.target, "").With(large.Error())
	}
	side, ok := errors.AsType[*relay.Error](err)
	if !ok {
		return failure.New(failure.Internal, err)
	}
	client := side.Client
	code := failure.BrokerReset
	switch {
	case errors.Is(err, relay.ErrStalled) && client:
		code = failure.ClientStalled
	case errors.Is(err, relay.ErrStalled):
		code = failure.BrokerStalled
	case client:
		code = failure.ClientReset
	}
	f := failure.New(code, err).For(c.target, "")
	if errors.Is(err, io.ErrUnexpectedEOF) {
		f = f.With("the connection ended within a frame")
	}
	return f
}
