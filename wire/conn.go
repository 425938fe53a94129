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
)

// DialOptions configure a connection. The zero value is for a broker without TLS and SASL.
type DialOptions struct {
	// ClientID names the program in each request: in the broker's request log and quotas.
	// Empty: none is sent.
	ClientID string
	// SoftwareName and SoftwareVersion name the program to the broker, for its metrics (KIP-511):
	// letters, digits, - and . only, both or neither.
	SoftwareName, SoftwareVersion string

	TLS      *tls.Config    // nil: no TLS. Without a ServerName it is the host of the address
	SASL     sasl.Mechanism // nil: no SASL
	MaxFrame int            // the longest response in bytes; 0: the constant MaxFrame
	// Dial replaces a plain TCP connection.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// A Conn is a connection to one broker. Requests may be sent by many goroutines at a time; the
// broker answers them in order. The caller has to close it.
type Conn struct {
	options  DialOptions
	clientID *string // of each request
	host     string
	conn     net.Conn
	done     chan struct{} // closed when the goroutine of read has ended; Close waits for it
	ranges   map[int16]Range
	codec    Codec // keeps the fields of the messages that it has decoded

	// sending is held while a request is written, and during an exchange that no other
	// request may interrupt. It is taken before mu.
	sending sync.Mutex
	expires time.Time // of the SASL session (KIP-368), guarded by sending; zero: never

	mu      sync.Mutex // guards what follows
	next    int32
	waiting map[int32]*call
	broken  error // why the connection was closed; nil: it is open
}

// A Range is a range of versions of an API.
type Range struct{ Min, Max int16 }

// A call waits for one response.
type call struct {
	key, version int16
	response     chan []byte // the frame; closed without one if the connection ends first
}

// ErrConnect is in the chain of the errors of [Dial] if no connection was established.
var ErrConnect = errors.New("connect")

// ErrClosed is returned by requests after [Conn.Close].
var ErrClosed = errors.New("the connection was closed")

// Dial connects to a broker, requests its versions and authenticates. ctx bounds all of that,
// and nothing after it.
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
	c := &Conn{options: o, host: host, conn: conn, done: make(chan struct{}), waiting: map[int32]*call{}}
	if o.ClientID != "" {
		c.clientID = &o.ClientID
	}
	go c.read()
	if err := c.begin(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// begin makes the exchanges that precede any other request.
func (c *Conn) begin(ctx context.Context) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	if err := c.requestVersions(ctx); err != nil {
		return err
	}
	return c.authenticate(ctx)
}

// requestVersions learns the versions of the broker. A broker that does not know the version of
// the request responds in version 0, with its own versions (KIP-511).
func (c *Conn) requestVersions(ctx context.Context) error {
	request := kmsg.NewPtrApiVersionsRequest()
	request.Version = 2 // the last one without the name of the client
	if c.options.SoftwareName != "" {
		request.Version = 4 // version 5 names the broker's id too, which is not known
		request.ClientSoftwareName, request.ClientSoftwareVersion = c.options.SoftwareName, c.options.SoftwareVersion
	}
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

// Versions returns the versions of an API that the broker supports.
func (c *Conn) Versions(key int16) (r Range, ok bool) {
	r, ok = c.ranges[key]
	return r, ok
}

// Version returns the newest version of an API that the broker and this package support.
func (c *Conn) Version(key int16) (int16, error) {
	api, known := apiOf(key)
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

// Request sends a request in its version and returns the response, nil for a Produce request
// with acks=0, which has none. If ctx ends before the response arrives, the response is dropped and
// the connection stays usable; if ctx ends while the request is written, the connection is closed.
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

// exchange is Request for a caller that holds c.sending.
func (c *Conn) exchange(ctx context.Context, m Message) (Message, error) {
	waiting, err := c.send(ctx, m)
	if err != nil {
		return nil, err
	}
	return c.wait(ctx, waiting)
}

// send writes a request; the caller holds c.sending. It returns no call if there will be no
// response.
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
	if err := c.write(ctx, AppendRequest(nil, m, id, c.clientID)); err != nil {
		// A part of it may have been sent: the broker would read what follows as its rest.
		err = fmt.Errorf("wire: to the broker: %w", errors.Join(err, ctx.Err()))
		c.fail(err)
		return nil, err
	}
	return waiting, nil
}

// write writes a frame until ctx ends.
func (c *Conn) write(ctx context.Context, frame []byte) error {
	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = c.conn.SetWriteDeadline(time.Unix(1, 0))
		close(cut)
	})
	_, err := c.conn.Write(frame)
	if !stop() {
		<-cut // then the next frame can be written again
		err = errors.Join(err, c.conn.SetWriteDeadline(time.Time{}))
	}
	return err
}

// wait returns the response to a request.
func (c *Conn) wait(ctx context.Context, waiting *call) (Message, error) {
	select {
	case frame, ok := <-waiting.response:
		if !ok {
			c.mu.Lock()
			defer c.mu.Unlock()
			return nil, c.broken
		}
		version := waiting.version
		if waiting.key == keyAPIVersions && len(frame) >= 6 && int16(binary.BigEndian.Uint16(frame[4:])) == kerr.UnsupportedVersion.Code {
			version = 0
		}
		_, m, err := c.codec.ParseResponse(frame, waiting.key, version)
		if err != nil {
			return nil, err
		}
		return m, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wire: no response to %s: %w", nameOfAPI(waiting.key), ctx.Err())
	}
}

// read delivers the responses to the calls that wait for them, until the connection ends. Dial
// starts it, Close waits for it.
func (c *Conn) read() {
	defer close(c.done)
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
			if err := c.deliver(frame); err != nil {
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

// deliver gives a frame to the call that waits for it. It is copied, because the next frame
// overwrites it.
func (c *Conn) deliver(frame []byte) error {
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
	waiting.response <- append([]byte{}, frame...)
	return nil
}

// fail closes the connection and ends all calls that wait. The first reason is kept.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return
	}
	c.broken = err
	for id, waiting := range c.waiting {
		delete(c.waiting, id)
		close(waiting.response)
	}
	_ = c.conn.Close()
}

// Close closes the connection and waits until its goroutine has ended. Requests that wait for
// a response fail with [ErrClosed].
func (c *Conn) Close() error {
	c.fail(ErrClosed)
	<-c.done
	return nil
}
