package session

import (
	"encoding/binary"
	"fmt"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/internal/relay"
)

// SASL passes through. In version 1 of its handshake tokens travel inside requests
// and need nothing. After a handshake in version 0 they travel bare, in both
// directions:
//
//	client  SaslHandshake v0  ──▶            a request as all others
//	        ◀──  error 0, mechanisms
//	        size int32 | token  ──▶          bare, the size may be 0
//	        ◀──  size int32 | token          at most one for each of the client's
//	        ...
//	client  Metadata ...  ──▶                requests again
//
// Clients of Kafka 0.9 begin with a bare GSSAPI token and send no handshake.

// gssapi is how a GSSAPI token begins: the tag of an [APPLICATION 0] (RFC 2743,
// section 3.1). No request does, as long as Kafka has fewer than 24 576 APIs.
const gssapi = 0x60

// startsBare reports whether a connection's first frame, which begins after the
// size, is a bare token.
func startsBare(frame []byte) bool { return frame[0] == gssapi }

// bareToken passes one bare token on. done is false when the next frame is a
// request, which ends the exchange: a key that is known in a version that is
// known. What begins a token cannot be one: PLAIN begins with 00 and a letter,
// SCRAM and OAUTHBEARER with "n,", GSSAPI with 60.
func (c *connection) bareToken() (done bool, err error) {
	p := &c.requests
	b, err := p.Peek(kafka.SizeLen)
	if err != nil {
		return false, p.Unexpected(err)
	}
	size := frameSize(b)
	if size < 0 || int64(size) > c.maxRequest() {
		return false, failure.New(failure.BadFrame, nil).With(fmt.Sprintf("a SASL token of length %d", size))
	}
	if size >= kafka.RequestHeaderLen {
		if b, err = p.Peek(headLen); err != nil {
			return false, p.Unexpected(err)
		}
		h, err := kafka.ParseRequestHeader(b[kafka.SizeLen:headLen])
		if err == nil && kafka.Known(h.Key, h.Version) {
			c.bare.Store(false)
			return false, nil
		}
	}
	if v := c.h.Tap.Viewer(); v != nil {
		c.showToken(v, relay.FromClient, size)
	}
	if err := c.enqueue(inFlight{kind: token}); err != nil {
		return false, err
	}
	return true, p.Pass(kafka.SizeLen + int64(size))
}

// handshake passes on a SaslHandshake request in version 0 and waits for its
// answer, because what the next frame is depends on it.
func (c *connection) handshake(e inFlight, whole int64) error {
	if err := c.enqueue(e); err != nil {
		return err
	}
	if err := c.requests.Pass(whole); err != nil {
		return err
	}
	if err := c.requests.Flush(); err != nil {
		return err
	}
	c.requests.Waiting(true)
	defer c.requests.Waiting(false)
	if !c.queue.empty() {
		return relay.ErrStopped
	}
	return nil
}

// handshakeAnswered looks at the error code of a SaslHandshake response.
//
//	size int32 | correlation id int32 | error code int16 | mechanisms
func (c *connection) handshakeAnswered() error {
	b, err := c.responses.Peek(responseHead + 2)
	if err != nil {
		return err
	}
	c.bare.Store(binary.BigEndian.Uint16(b[responseHead:]) == 0)
	return nil
}
