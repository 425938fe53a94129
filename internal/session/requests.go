package session

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/internal/relay"
)

// headLen is how much of a frame is looked at first: the size and the part of
// the header that every request has.
const headLen = kafka.SizeLen + kafka.RequestHeaderLen

// frameSize reads the size that precedes every frame.
func frameSize(b []byte) int32 { return int32(binary.BigEndian.Uint32(b)) }

// pumpRequests passes the client's requests on until the client ends (io.EOF) or
// something breaks.
func (c *connection) pumpRequests() error {
	for {
		err := c.request()
		c.shown(relay.FromClient, err != nil)
		if err != nil {
			if side, ok := errors.AsType[*relay.Error](err); ok && side.Write {
				return err
			}
			if errors.Is(err, relay.ErrParked) {
				return err
			}
			// What came before it was good and is the broker's.
			if failed := c.requests.Flush(); failed != nil {
				return failed
			}
			return err
		}
	}
}

// request passes one request on.
//
//	size int32 | key int16 | version int16 | correlation id int32 | client id ... | body
func (c *connection) request() error {
	p := &c.requests
	p.InFrame(false)
	if _, err := p.Peek(1); err != nil {
		return err
	}
	p.InFrame(true)
	if c.bare.Load() {
		if done, err := c.bareToken(); done || err != nil {
			return err
		}
	}
	size, header, err := c.header()
	if err != nil {
		return err
	}
	c.asked++
	c.owner.Request(header.Key)
	entry := inFlight{key: header.Key, version: header.Version, correlation: header.CorrelationID, wait: c.maxWait(header, size)}
	whole := kafka.SizeLen + int64(size)
	tooNew := header.Key == kafka.KeyApiVersions && kafka.ApiVersionsTooNew(header.Version)
	if header.Key == kafka.KeyApiVersions && !tooNew {
		if err := c.noteSoftware(header, size); err != nil {
			return err
		}
	}
	if v := c.h.Tap.Viewer(); v != nil {
		c.showRequest(v, entry, size)
	}
	if tooNew {
		if err := p.Drop(whole); err != nil {
			return err
		}
		return c.answer(entry)
	}
	if kafka.TreatmentOf(header.Key, header.Version) == kafka.Refuse {
		return c.refused(header)
	}
	if header.Key == kafka.KeySaslHandshake && header.Version == 0 {
		return c.handshake(entry, whole)
	}
	silent, err := c.acksZero(header, size)
	if err != nil {
		return err
	}
	if silent {
		c.unacknowledged.Store(true)
	} else if err := c.enqueue(entry); err != nil {
		return err
	}
	return p.Pass(whole)
}

// refused is the failure of a request whose response could not be rewritten.
func (c *connection) refused(h kafka.RequestHeader) error {
	detail := fmt.Sprintf("%s version %d", kafka.Name(h.Key), h.Version)
	if api, ok := kafka.Lookup(h.Key); ok {
		detail += fmt.Sprintf(", the highest supported is %d", api.MaxVersion)
	}
	if name := c.clientSoftware(); name != "" {
		detail += ", client " + name
	}
	return failure.New(failure.VersionTooNew, nil).With(detail)
}

// maxSoftware bounds the ApiVersions requests in which the client's name is
// looked for.
const maxSoftware = relay.SmallBuffer - kafka.SizeLen

// noteSoftware remembers how the client calls itself, for failures.
func (c *connection) noteSoftware(h kafka.RequestHeader, size int32) error {
	if h.Version < 3 || size > maxSoftware { // a buffer of any size has room for it
		return nil
	}
	b, err := c.requests.Peek(kafka.SizeLen + int(size))
	if err != nil {
		return c.requests.Unexpected(err)
	}
	if name, release, ok := kafka.ClientSoftware(h.Version, b[kafka.SizeLen:kafka.SizeLen+int(size)]); ok {
		software := name + " " + release
		c.software.Store(&software)
	}
	return nil
}

// header checks the length, as soon as it is there, and reads the fixed part of a
// request's header.
func (c *connection) header() (size int32, h kafka.RequestHeader, err error) {
	head, err := c.requests.Peek(kafka.SizeLen)
	if err != nil {
		return 0, h, c.requests.Unexpected(err)
	}
	size = frameSize(head)
	switch {
	case size < kafka.RequestHeaderLen:
		return 0, h, failure.New(failure.BadFrame, nil).With(fmt.Sprintf("length %d", size))
	case int64(size) > c.maxRequest():
		return 0, h, failure.New(failure.RequestTooLarge, nil).With(fmt.Sprintf("%d bytes, the limit is %d", size, c.maxRequest()))
	}
	if head, err = c.requests.Peek(headLen); err != nil {
		return 0, h, c.requests.Unexpected(err)
	}
	h, err = kafka.ParseRequestHeader(head[kafka.SizeLen:headLen])
	if err != nil {
		return 0, h, failure.New(failure.BadFrame, err)
	}
	return size, h, nil
}

func (c *connection) maxRequest() int64 {
	if c.h.MaxRequest > 0 {
		return c.h.MaxRequest
	}
	return defaultMaxRequest
}

// acksZero reports whether a request is a Produce that the broker will not
// answer. It looks as far into the request as it has to, which the lengths of
// client id and transactional id bound.
func (c *connection) acksZero(h kafka.RequestHeader, size int32) (bool, error) {
	if h.Key != kafka.KeyProduce {
		return false, nil
	}
	for need := headLen; ; {
		b, err := c.requests.Peek(need)
		if err != nil {
			return false, c.requests.Unexpected(err)
		}
		frame := b[kafka.SizeLen:min(len(b), kafka.SizeLen+int(size))]
		zero, enough, err := kafka.AcksZero(h.Version, frame)
		switch {
		case err != nil:
			return false, failure.New(failure.BadFrame, err)
		case enough:
			return zero, nil
		case len(frame) == int(size):
			return false, failure.New(failure.BadFrame, nil).With("a Produce request ends before its field acks")
		}
		if need = len(b) + 1; need > c.requests.Room() && !c.requests.Holds() {
			if err := c.requests.Hold(kafka.SizeLen+min(int(size), kafka.AcksBound), 0); err != nil {
				return false, err
			}
		}
	}
}

// enqueue appends an entry. When the queue is full, what was read so far goes
// out first: without those requests no response would make room.
func (c *connection) enqueue(e inFlight) error {
	if c.queue.full() {
		if err := c.requests.Flush(); err != nil {
			return err
		}
		c.requests.Waiting(true)
		defer c.requests.Waiting(false)
	}
	e.sent = time.Since(c.start)
	if !c.queue.push(e) {
		return relay.ErrStopped
	}
	return nil
}

// answer replies to an ApiVersions request that is newer than the tunnel knows,
// as a broker does that does not know it (KIP-511): the client repeats the
// request in a version that both know.
func (c *connection) answer(e inFlight) error {
	e.kind = local
	now, ok := c.queue.pushLocal(e)
	if !ok {
		return relay.ErrStopped
	}
	frame := kafka.AppendApiVersionsTooNew(nil, e.correlation)
	if v := c.h.Tap.Viewer(); v != nil {
		c.showLocal(v, e, len(frame)-kafka.SizeLen)
	}
	if !now {
		return nil
	}
	n, err := c.client().Write(frame)
	c.Moved(relay.FromServer, n)
	if err != nil {
		return c.responses.WriteError(err)
	}
	return nil
}
