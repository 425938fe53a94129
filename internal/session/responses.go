package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/internal/relay"
	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
)

// responseHead is the size and the correlation id of a response.
const responseHead = kafka.SizeLen + 4

// pumpResponses passes the broker's responses on until one side ends or the pump
// is to rest (relay.ErrParked).
func (c *connection) pumpResponses() (Result, error) {
	p := &c.responses
	for {
		if c.queue.drained() {
			if err := p.Flush(); err != nil {
				return c.broken(err)
			}
			return ClientClosed, nil
		}
		p.InFrame(false)
		if _, err := c.nextByte(); err != nil {
			switch {
			case errors.Is(err, relay.ErrParked):
				return "", err
			case errors.Is(err, io.EOF):
				return BrokerClosed, nil
			case errors.Is(err, errDrained):
				return ClientClosed, nil
			}
			return c.broken(err)
		}
		p.InFrame(true)
		err := c.response()
		c.shown(relay.FromServer, err != nil)
		if err != nil {
			return c.broken(p.Unexpected(err))
		}
	}
}

// errDrained is the end of the response pump: the client sends no more requests and
// has every response.
var errDrained = errors.New("every response has been written")

// broken returns how a connection ends whose response pump has met err. A client that
// has ended its side may close the socket at any time, and after that the broker is
// not waited for (R14): neither is a failure.
func (c *connection) broken(err error) (Result, error) {
	side, _ := errors.AsType[*relay.Error](err)
	switch {
	case errors.Is(err, relay.ErrStalled) && c.responses.Draining():
		return ClientClosed, nil
	case side != nil && side.Write && relay.IsReset(err) && c.queue.isClosed():
		return ClientClosed, nil
	}
	return Failed, c.classify(err)
}

// nextByte waits for the first byte of a response. While nothing else is
// buffered, local answers whose turn has come are written.
func (c *connection) nextByte() ([]byte, error) {
	p := &c.responses
	if len(p.Buffered()) == 0 {
		if err := p.Flush(); err != nil {
			return nil, err
		}
		for more := c.queue.markFlushed(); more; more = c.queue.markFlushed() {
			if err := c.localAnswers(); err != nil {
				return nil, err
			}
		}
		// Only now: until then the request pump took the last response for one that is
		// in flight, and left it to this pump to end.
		if c.queue.drained() {
			return nil, errDrained
		}
	}
	return p.Peek(1)
}

// localAnswers writes the local answers at the head of the queue.
func (c *connection) localAnswers() error {
	for {
		e, ok := c.queue.takeLocal()
		if !ok {
			return nil
		}
		if err := c.responses.Replace(0, kafka.AppendApiVersionsTooNew(nil, e.correlation)); err != nil {
			return err
		}
	}
}

// response passes one response on.
//
//	size int32 | correlation id int32 | header tags (flexible versions) | body
func (c *connection) response() error {
	p := &c.responses
	head, err := p.Peek(kafka.SizeLen)
	if err != nil {
		return err
	}
	if c.toClient.Load() == 0 && !p.HasSpan() && isAlert(head) {
		return failure.New(failure.BrokerExpectsTLS, nil).For(c.target, "")
	}
	size := frameSize(head)
	if size < 0 {
		return c.badLength(size)
	}
	begin := kafka.SizeLen + int(min(size, 4))
	if head, err = p.Peek(begin); err != nil {
		return err
	}
	// Answers of the tunnel that come before this response in the order.
	if err := c.localAnswers(); err != nil {
		return err
	}
	e, ok := c.queue.take(head[kafka.SizeLen:begin])
	if ok && e.kind == token {
		if v := c.h.Tap.Viewer(); v != nil {
			c.showToken(v, relay.FromServer, size)
		}
		return p.Pass(kafka.SizeLen + int64(size))
	}
	if size < 4 {
		return c.badLength(size)
	}
	correlation := int32(binary.BigEndian.Uint32(head[kafka.SizeLen:]))
	switch {
	case !ok:
		return failure.New(failure.UnexpectedResponse, nil).For(c.target, "").With("no request is in flight")
	case e.correlation != correlation:
		return failure.New(failure.UnexpectedResponse, nil).For(c.target, "").
			With(fmt.Sprintf("correlation id %d, expected %d", correlation, e.correlation))
	}
	latency := time.Since(c.start) - e.sent
	c.answered(e, latency)
	if v := c.h.Tap.Viewer(); v != nil {
		c.showResponse(v, e, size, latency)
	}
	if e.key == kafka.KeySaslHandshake && e.version == 0 {
		if err := c.handshakeAnswered(); err != nil {
			return err
		}
	}
	info := kafka.ResponseInfo{Key: e.key, Version: e.version, FrameSize: size}
	switch kafka.TreatmentOf(e.key, e.version) {
	case kafka.Head:
		return c.rewriteHead(info)
	case kafka.Whole:
		if kafka.SizeLen+int(info.FrameSize) > p.Room() && kafka.Streams(e.key, e.version) {
			return c.rewriteTail(info)
		}
		return c.rewriteWhole(info)
	case kafka.Tail:
		return c.rewriteTail(info)
	default:
		return p.Pass(kafka.SizeLen + int64(size))
	}
}

// isAlert reports whether a first response begins as a TLS alert does (RFC 8446,
// section 5.1): content type 21, version 3.x, a length below 256. As the size of a
// frame that would be 352 MB.
func isAlert(b []byte) bool { return b[0] == 21 && b[1] == 3 && b[2] <= 4 && b[3] == 0 }

func (c *connection) badLength(size int32) error {
	return failure.New(failure.ResponseMalformed, nil).For(c.target, "").With(fmt.Sprintf("length %d", size))
}

// sizePrefix is the size that precedes a frame.
func sizePrefix(size int64) []byte {
	return binary.BigEndian.AppendUint32(nil, uint32(size))
}

func (c *connection) rewritten(key int16, r kafka.Result) {
	if capture, ok := c.responses.Captured().(*tap.Capture); ok {
		capture.Rewritten(r.Rewritten + r.Hidden)
	}
	c.owner.Rewritten(key, r)
}

// responseFailure returns the failure of a rewriter's error.
func (c *connection) responseFailure(info kafka.ResponseInfo, err error) error {
	code := failure.ResponseMalformed
	switch {
	case errors.Is(err, kafka.ErrTooLarge):
		code = failure.ResponseTooLarge
	case errors.Is(err, kafka.ErrControllers):
		code = failure.ControllersUnsupported
	}
	return failure.New(code, err).For(c.target, "").With(fmt.Sprintf("%s version %d", kafka.Name(info.Key), info.Version))
}
