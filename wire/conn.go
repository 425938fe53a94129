package wire

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// DialOptions say how to come to a broker. The zero value is for one without TLS and SASL.
type DialOptions struct {
	ClientID string         // empty: kafka-tunnel
	TLS      *tls.Config    // nil: none. Without a ServerName it is the host of the address
	SASL     sasl.Mechanism // nil: none
	MaxFrame int            // the longest response in bytes; 0: MaxFrame
	// Dial replaces a plain TCP connection.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// A Conn is a connection to one broker. Requests may be sent by many goroutines at a time;
// the broker answers them in their order. It has to be closed.
type Conn struct {
	options DialOptions
	host    string
	conn    net.Conn
	reading chan struct{} // closed when the reader has ended
	ranges  map[int16]Range
	codec   Codec // remembers the messages that it has met

	sending sync.Mutex // held while a request is written, and while nothing may come between two
	expires time.Time  // of the SASL session (KIP-368); zero: never

	mu      sync.Mutex
	next    int32
	waiting map[int32]*call
	broken  error // why nothing comes any more
}

// A Range is that of the versions of an API.
type Range struct{ Min, Max int16 }

// A call waits for one response.
type call struct {
	key, version int16
	answer       chan []byte // the frame; closed without one if the connection breaks
}

// ErrConnect is that of an address where nobody answers.
var ErrConnect = errors.New("connect")

// ErrClosed is that of a connection that was closed by its owner.
var ErrClosed = errors.New("the connection was closed")

// Dial connects, asks the broker for its versions and authenticates. ctx bounds all of that.
func Dial(ctx context.Context, address string, o DialOptions) (*Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("wire: %w", err)
	}
	dial := o.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("wire: %w: %w", ErrConnect, err)
	}
	if o.TLS != nil {
		config := o.TLS.Clone()
		if config.ServerName == "" {
			config.ServerName = host
		}
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("wire: TLS with %s: %w", address, errors.Join(err, conn.Close()))
		}
		conn = secure
	}
	if o.ClientID == "" {
		o.ClientID = "kafka-tunnel"
	}
	c := &Conn{options: o, host: host, conn: conn, reading: make(chan struct{}), waiting: map[int32]*call{}}
	go c.read()
	if err := c.begin(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// begin is what comes before any other request.
func (c *Conn) begin(ctx context.Context) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	if err := c.askVersions(ctx); err != nil {
		return err
	}
	return c.authenticate(ctx)
}

// askVersions asks with the newest version that is known here. A broker that does not know
// it answers with version 0, and its own (KIP-511).
func (c *Conn) askVersions(ctx context.Context) error {
	request := kmsg.NewPtrApiVersionsRequest()
	request.Version = 4 // with version 5 the broker wants to be told its own id
	request.ClientSoftwareName, request.ClientSoftwareVersion = "kafka-tunnel", "1"
	for {
		answer, err := c.exchange(ctx, request)
		if err != nil {
			return err
		}
		versions := answer.(*kmsg.ApiVersionsResponse)
		if e := ErrorOf(versions.ErrorCode); e.Code == kerr.UnsupportedVersion.Code && request.Version > 0 {
			request.Version = 0
			continue
		} else if e.Code != 0 {
			return fmt.Errorf("wire: ApiVersions: %s", e.Name)
		}
		c.ranges = map[int16]Range{}
		for _, k := range versions.ApiKeys {
			c.ranges[k.ApiKey] = Range{k.MinVersion, k.MaxVersion}
		}
		return nil
	}
}

// Versions returns what the broker knows of an API.
func (c *Conn) Versions(key int16) (r Range, ok bool) {
	r, ok = c.ranges[key]
	return r, ok
}

// Version returns the newest version of an API that both sides know.
func (c *Conn) Version(key int16) (int16, error) {
	api, known := kafka.Lookup(key)
	r, ok := c.ranges[key]
	switch {
	case !known:
		return 0, fmt.Errorf("wire: no API has the key %d", key)
	case !ok:
		return 0, fmt.Errorf("wire: the broker does not have %s", api.Name)
	case r.Min > api.MaxVersion:
		return 0, fmt.Errorf("wire: the broker has %s from version %d on, and %d is the newest that is known here", api.Name, r.Min, api.MaxVersion)
	}
	return min(r.Max, api.MaxVersion), nil
}

// Request sends a request in the version that it has, and returns the response. There is
// none for a Produce request with acks=0, and nil is returned. When ctx ends first, the
// response is dropped when it comes.
func (c *Conn) Request(ctx context.Context, m Message) (Message, error) {
	c.sending.Lock()
	if !c.expires.IsZero() && time.Now().After(c.expires) {
		if err := c.authenticate(ctx); err != nil {
			c.sending.Unlock()
			return nil, err
		}
	}
	waiting, err := c.send(ctx, m)
	c.sending.Unlock()
	if err != nil || waiting == nil {
		return nil, err
	}
	return c.wait(ctx, waiting)
}

// exchange is Request for one who holds c.sending.
func (c *Conn) exchange(ctx context.Context, m Message) (Message, error) {
	waiting, err := c.send(ctx, m)
	if err != nil {
		return nil, err
	}
	return c.wait(ctx, waiting)
}

// send writes a request; c.sending is held. No call is returned if there is no response.
func (c *Conn) send(ctx context.Context, m Message) (*call, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("wire: %w", err)
	}
	waiting := &call{m.Key(), m.GetVersion(), make(chan []byte, 1)}
	c.mu.Lock()
	if c.broken != nil {
		defer c.mu.Unlock()
		return nil, c.broken
	}
	id := c.next
	c.next++
	if p, ok := m.(*kmsg.ProduceRequest); ok && p.Acks == 0 {
		waiting = nil
	} else {
		c.waiting[id] = waiting
	}
	c.mu.Unlock()
	if err := c.write(ctx, AppendRequest(nil, m, id, &c.options.ClientID)); err != nil {
		// Some of it may have been sent: what follows would be read as the rest of it.
		err = fmt.Errorf("wire: to the broker: %w", errors.Join(err, ctx.Err()))
		c.fail(err)
		return nil, err
	}
	return waiting, nil
}

// write writes a frame, for as long as ctx lets it.
func (c *Conn) write(ctx context.Context, frame []byte) error {
	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = c.conn.SetWriteDeadline(time.Unix(1, 0))
		close(cut)
	})
	_, err := c.conn.Write(frame)
	if !stop() {
		<-cut // the next one may be written again
		err = errors.Join(err, c.conn.SetWriteDeadline(time.Time{}))
	}
	return err
}

// wait returns the response to a request.
func (c *Conn) wait(ctx context.Context, waiting *call) (Message, error) {
	select {
	case frame, ok := <-waiting.answer:
		if !ok {
			c.mu.Lock()
			defer c.mu.Unlock()
			return nil, c.broken
		}
		version := waiting.version
		if waiting.key == kafka.KeyApiVersions && len(frame) >= 6 && int16(binary.BigEndian.Uint16(frame[4:])) == kerr.UnsupportedVersion.Code {
			version = 0
		}
		_, m, err := c.codec.ParseResponse(frame, waiting.key, version)
		if err != nil {
			return nil, err
		}
		return m, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wire: no answer to %s: %w", kafka.Name(waiting.key), ctx.Err())
	}
}

// read hands the responses to those who wait for them, until the connection ends. Close
// waits for it.
func (c *Conn) read() {
	defer close(c.reading)
	frames := Frames{Max: c.options.MaxFrame}
	buffer := make([]byte, 64<<10)
	for {
		n, err := c.conn.Read(buffer)
		_, _ = frames.Write(buffer[:n]) // never fails
		for {
			frame, err := frames.Next()
			if err != nil {
				c.fail(fmt.Errorf("wire: from the broker: %w", err))
				return
			}
			if frame == nil {
				break
			}
			if err := c.hand(frame); err != nil {
				c.fail(fmt.Errorf("wire: from the broker: %w", err))
				return
			}
		}
		if err != nil {
			c.fail(fmt.Errorf("wire: from the broker: %w", errors.Join(err, frames.End())))
			return
		}
	}
}

// hand gives a frame to who waits for it. It is copied: the next one takes its place.
func (c *Conn) hand(frame []byte) error {
	if len(frame) < 4 {
		return ErrShort
	}
	id := int32(binary.BigEndian.Uint32(frame))
	c.mu.Lock()
	defer c.mu.Unlock()
	waiting, ok := c.waiting[id]
	if !ok {
		return fmt.Errorf("%w: correlation id %d", ErrUnexpectedResponse, id)
	}
	delete(c.waiting, id)
	waiting.answer <- append([]byte{}, frame...)
	return nil
}

// fail ends the connection for all who wait, with the first reason.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return
	}
	c.broken = err
	for id, waiting := range c.waiting {
		delete(c.waiting, id)
		close(waiting.answer)
	}
	_ = c.conn.Close()
}

// Close ends the connection, and waits until nothing of it is left.
func (c *Conn) Close() error {
	c.fail(ErrClosed)
	<-c.reading
	return nil
}
