package proxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/connector"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/port"
)

// defaultCoalesce is how long reply 00 waits for payload with that fault.
const defaultCoalesce = 100 * time.Millisecond

// errGone ends a conversation whose client has disconnected.
var errGone = errors.New("the client has disconnected")

// A conversation is the handshake with one client.
type conversation struct {
	proxy  *Proxy
	conn   *net.TCPConn
	in     reader
	began  time.Time
	method byte
	record Connect
	where  faults.Where

	slow, trickle     bool
	slowBy, trickleBy faults.Fault
	refuseAtConnect   bool // the token was refused, and the reply to CONNECT reports it
	expires           time.Time
}

// newConversation returns a conversation.
func newConversation(p *Proxy, conn *net.TCPConn) *conversation {
	c := &conversation{proxy: p, conn: conn, in: reader{src: conn}, began: time.Now()}
	c.slowBy, c.slow = c.take(faults.HandshakeSlow)
	c.trickleBy, c.trickle = c.take(faults.HandshakeTrickle)
	return c
}

// take lets a fault happen.
func (c *conversation) take(kind faults.Kind) (faults.Fault, bool) {
	return c.proxy.opts.Faults.Take(kind, c.where)
}

// run performs the handshake. It returns the link and the last message to send before the relay
// begins, or nil if there is nothing to relay; the connection can then be closed. The result is
// recorded before the client can know it.
func (c *conversation) run(ctx context.Context) (*connector.Link, []byte) {
	link, last, err := c.handshake(ctx)
	c.failed(err)
	return link, last
}

// failed records the result of an error, unless there is a result already; it always records a
// violation.
func (c *conversation) failed(err error) {
	v, broken := errors.AsType[*violation](err)
	switch {
	case broken:
		c.finish(Violation, v.text)
	case err == nil || c.record.Result != "":
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.finish(ClientGone, "no message in time")
	default:
		c.finish(ClientGone, "")
	}
}

// finish records the result.
func (c *conversation) finish(result, reason string) {
	c.record.At, c.record.Took = c.began, time.Since(c.began)
	c.record.Result, c.record.Reason = result, reason
	c.proxy.log.add(c.record)
}

// handshake performs the steps from the greeting to the reply.
func (c *conversation) handshake(ctx context.Context) (*connector.Link, []byte, error) {
	if done, err := c.greeting(ctx); done || err != nil {
		return nil, nil, err
	}
	if done, err := c.authentication(ctx); done || err != nil {
		return nil, nil, err
	}
	return c.request(ctx)
}

// greeting reads the greeting and selects the method: 80 whenever it is offered.
func (c *conversation) greeting(ctx context.Context) (done bool, err error) {
	if c.silent(faults.ModeAccept) {
		return true, nil
	}
	c.deadline()
	methods, err := c.in.readGreeting()
	if err != nil {
		return true, err
	}
	if c.silent(faults.ModeGreet) {
		return true, nil
	}
	if _, ok := c.take(faults.ProxyRubbish); ok {
		c.finish(Rubbish, "")
		return true, c.send(ctx, []byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
	}
	_, refused := c.take(faults.MethodRefused)
	for _, m := range c.proxy.methods() {
		if !refused && bytes.IndexByte(methods, m) >= 0 {
			c.method = m
			return false, c.send(ctx, []byte{versionSocks, m})
		}
	}
	c.finish(MethodRefused, "")
	return true, c.send(ctx, []byte{versionSocks, methodNone})
}

// methods returns the accepted methods, the preferred one first.
func (p *Proxy) methods() []byte {
	switch {
	case p.opts.Trusted == "":
		return []byte{methodJWT}
	case p.opts.User != "":
		return []byte{methodUser}
	}
	return []byte{methodOpen}
}

// trust is the authentication in trusted mode.
func (c *conversation) trust(ctx context.Context) (done bool, err error) {
	c.record.Tenant = c.proxy.opts.Trusted
	if c.method == methodOpen {
		return false, nil
	}
	c.deadline()
	user, password, err := c.in.readPassword()
	if err != nil {
		return true, err
	}
	if user != c.proxy.opts.User || password != c.proxy.opts.Password {
		c.finish(AuthStatus, "wrong user or password")
		return true, c.send(ctx, []byte{versionAuth, 1})
	}
	return false, c.send(ctx, []byte{versionAuth, 0})
}

// authentication reads the token and checks it.
func (c *conversation) authentication(ctx context.Context) (done bool, err error) {
	if c.method != methodJWT {
		return c.trust(ctx)
	}
	c.deadline()
	a, err := c.in.readAuthentication()
	if err != nil {
		return true, err
	}
	c.record.LocationID, c.where.LocationID = a.location, a.location
	if c.silent(faults.ModeAuth) {
		return true, nil
	}
	reason, by := c.judge(a.token)
	if reason == "" {
		return false, c.send(ctx, []byte{versionAuth, 0})
	}
	c.record.Reason = reason
	switch by.Mode {
	case faults.ModeEOF:
		c.finish(AuthEOF, reason)
		return true, nil
	case faults.ModeReset:
		c.finish(AuthReset, reason)
		port.Reset(c.conn)
		return true, nil
	case faults.ModeReply:
		c.refuseAtConnect = true
		return false, c.send(ctx, []byte{versionAuth, 0})
	}
	c.finish(AuthStatus, reason)
	status := byte(by.Reply)
	if status == 0 {
		status = 1
	}
	return true, c.send(ctx, []byte{versionAuth, status})
}

// judge returns why a token is refused ("": it is accepted) and the fault that determines how.
func (c *conversation) judge(token string) (reason string, by faults.Fault) {
	tenant, expires, bad := c.proxy.opts.Verifier.Verify(token, time.Now())
	c.record.Tenant, c.expires = tenant, expires
	if bad != nil {
		reason = bad.Error()
		by, _ = c.take(faults.BadToken)
	}
	if f, ok := c.take(faults.AuthRefused); ok && reason == "" {
		reason, by = "refused by a fault", f
	}
	if f, ok := c.proxy.opts.Faults.Active(faults.TokenLimit, c.where); ok && reason == "" && int64(len(token)) > f.Bytes {
		if f, ok = c.take(faults.TokenLimit); ok {
			reason, by = fmt.Sprintf("a token of %d bytes, a fault allows %d", len(token), f.Bytes), f
		}
	}
	return reason, by
}

// request reads the request and connects to its destination.
func (c *conversation) request(ctx context.Context) (*connector.Link, []byte, error) {
	c.deadline()
	q, err := c.in.readRequest()
	if err != nil {
		return nil, nil, err
	}
	c.record.Target, c.record.Domain = q.address(), q.atyp == atypDomain
	c.where.Target = c.record.Target
	if c.silent(faults.ModeConnect) {
		return nil, nil, nil
	}
	switch {
	case c.refuseAtConnect:
		return nil, nil, c.refuse(ctx, replyConnectionRefused, c.record.Reason)
	case q.command != cmdConnect:
		return nil, nil, c.refuse(ctx, replyCommandUnsupported, "")
	case q.atyp == atypIPv6:
		return nil, nil, c.refuse(ctx, replyAddressUnsupported, "")
	}
	if f, ok := c.take(faults.ConnectReply); ok {
		return nil, nil, c.refuse(ctx, byte(f.Reply), "by a fault")
	}
	return c.connect(ctx, q)
}

// connect calls the Cloud Connector. A client that sends before it has the reply violates the
// protocol; one that disconnects ends the attempt.
func (c *conversation) connect(ctx context.Context, q request) (*connector.Link, []byte, error) {
	var link *connector.Link
	var first []byte
	var failed error
	early := c.watched(ctx, func(ctx context.Context) {
		to := connector.Target{Tenant: c.record.Tenant, LocationID: c.record.LocationID, Host: q.host, Port: q.port, Expires: c.expires}
		if link, failed = c.proxy.opts.Network.Connect(ctx, to); failed != nil {
			return
		}
		if f, ok := c.take(faults.Coalesce); ok {
			wait := time.Duration(f.Delay)
			if wait == 0 {
				wait = defaultCoalesce
			}
			defer context.AfterFunc(ctx, link.Close)()
			first = link.First(wait)
		}
	})
	if early != nil {
		if link != nil {
			link.Close()
		}
		return nil, nil, early
	}
	if failed != nil {
		return nil, nil, c.refuse(ctx, replyCode(failed), failed.Error())
	}
	c.record.Internal = link.Internal()
	c.finish(Granted, "")
	return link, append(c.reply(replySuccess), first...), nil
}

// replyCode returns SAP's reply for an error of the Cloud Connector.
func replyCode(err error) byte {
	switch {
	case errors.Is(err, connector.ErrAway):
		return replyNetworkUnreachable
	case errors.Is(err, connector.ErrNotAllowed):
		return replyForbidden
	case errors.Is(err, connector.ErrUnreachable):
		return replyHostUnreachable
	}
	return replyFailure
}

// refuse answers a request with a code other than 00.
func (c *conversation) refuse(ctx context.Context, code byte, reason string) error {
	message := c.reply(code)
	if _, short := c.take(faults.ShortReply); short {
		message = message[:2]
	}
	c.finish(Reply(code), reason)
	return c.send(ctx, message)
}

// reply returns a reply with a meaningless address.
func (c *conversation) reply(code byte) []byte {
	message := []byte{versionSocks, code, 0}
	f, other := c.take(faults.BindAddress)
	switch {
	case other && f.Mode == faults.ModeDomain:
		const name = "connectivity-proxy.invalid"
		message = append(message, atypDomain, byte(len(name)))
		message = append(message, name...)
	case other && f.Mode == faults.ModeIPv6:
		message = append(message, atypIPv6)
		message = append(message, make([]byte, 16)...)
	default:
		message = append(message, atypIPv4, 0, 0, 0, 0)
	}
	return binary.BigEndian.AppendUint16(message, 0)
}

// deadline sets the deadline of the client's next message.
func (c *conversation) deadline() {
	c.conn.SetDeadline(time.Now().Add(c.proxy.opts.StepTimeout))
}

// silent waits until the client disconnects if a fault requires that no more answers are sent.
// Removing the fault does not affect this connection.
func (c *conversation) silent(step string) bool {
	f, ok := c.proxy.opts.Faults.Active(faults.ProxySilent, c.where)
	if !ok || f.Mode != step {
		return false
	}
	if _, ok = c.take(faults.ProxySilent); !ok {
		return false // another connection was the last one to count
	}
	c.finish(Silent, step)
	c.conn.SetDeadline(time.Time{})
	_, _ = io.Copy(io.Discard, c.conn)
	return true
}

// send sends a message, slowly if a fault requires it.
func (c *conversation) send(ctx context.Context, message []byte) error {
	if c.slow {
		if err := c.watched(ctx, c.wait); err != nil {
			return err
		}
	}
	if !c.trickle {
		_, err := c.conn.Write(message)
		return err
	}
	for i := range message {
		if _, err := c.conn.Write(message[i : i+1]); err != nil {
			return err
		}
		pause(ctx, time.Duration(c.trickleBy.Delay))
	}
	return nil
}

// wait waits as long as handshake_slow requires.
func (c *conversation) wait(ctx context.Context) {
	if c.slowBy.Delay > 0 {
		pause(ctx, time.Duration(c.slowBy.Delay))
		return
	}
	_ = c.proxy.opts.Faults.Gone(ctx, c.slowBy.ID) // the caller notices the end of ctx
}

// pause returns after d or when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// watched runs a function during which the client must not send. If it sends or disconnects,
// the function's context is cancelled, and the error tells which of both.
func (c *conversation) watched(ctx context.Context, work func(context.Context)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	seen := make(chan error, 1)
	c.conn.SetReadDeadline(time.Time{})
	go c.watch(cancel, seen)
	work(ctx)
	c.conn.SetReadDeadline(time.Unix(1, 0))
	err := <-seen
	c.deadline()
	return err
}

// watch is the goroutine that reads while the client must not send.
func (c *conversation) watch(cancel context.CancelFunc, seen chan<- error) {
	n, err := c.conn.Read(make([]byte, 1))
	switch {
	case n > 0:
		seen <- violated("bytes were sent before the reply")
	case errors.Is(err, os.ErrDeadlineExceeded):
		seen <- nil
		return
	default:
		seen <- errGone
	}
	cancel()
}
