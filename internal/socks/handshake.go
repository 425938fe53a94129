package socks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// Connect performs the whole handshake on conn, an open connection to the proxy.
//
// It sets conn's deadline to that of ctx and clears it before it returns; cancelling ctx ends
// the handshake at once. If Connect returns nil, conn leads to the broker, and no byte from the
// broker has been read. After an error conn is of no further use; the caller closes it.
//
// Errors are of type [*failure.Failure], with one exception, which wraps ctx's cause and is no
// evidence about the proxy: ctx was cancelled before or during the handshake. Failures of the
// proxy have the proxy as target, all others host:port of the request. Callers need to
// distinguish:
//
//   - proxy_auth_refused: the proxy refused the token, by a status other than 0, by
//     reply 05, or by closing the connection between the authentication and its
//     response; a new token may help.
//   - proxy_silent: ctx's deadline passed first. Detail names the missing response.
//   - connect_silent: the same for the reply to CONNECT: the proxy works, and what is
//     behind it does not answer.
//   - proxy_unreachable: the connection ended before the proxy had sent a byte.
//   - proxy_protocol, proxy_method_refused: it is not the SAP connectivity proxy.
//   - one code for each reply to CONNECT; proxy_general_failure also if the connection
//     ended before a reply.
func Connect(ctx context.Context, conn net.Conn, req Request) error {
	if req.Proxy == "" && conn.RemoteAddr() != nil {
		req.Proxy = conn.RemoteAddr().String()
	}
	if f := req.check(); f != nil {
		return f
	}
	h := handshake{conn: conn, req: req, buf: make([]byte, 0, max(maxMessage, maxAuth+len(req.Token)))}
	if err := ctx.Err(); err != nil {
		return h.gaveUp(ctx, err, "no time was left for the handshake")
	}
	w := watch(ctx, conn)
	err := h.run(ctx)
	if clearErr := w.release(); err == nil && clearErr != nil {
		// Only a connection that another goroutine has closed refuses a deadline.
		return h.broken(ctx, "after the handshake", failure.ProxyUnreachable, clearErr)
	}
	return err
}

// A handshake is one run through the three steps.
type handshake struct {
	conn net.Conn
	req  Request
	buf  []byte // for every message in both directions: one allocation

	asked bool // CONNECT was sent
}

func (h *handshake) run(ctx context.Context) error {
	if err := h.greet(ctx); err != nil {
		return err
	}
	if h.req.Auth != None {
		if err := h.authenticate(ctx); err != nil {
			return err
		}
	}
	return h.connect(ctx)
}

func (h *handshake) greet(ctx context.Context) error {
	if _, err := h.conn.Write(appendGreeting(h.buf, h.req.Auth.method())); err != nil {
		return h.broken(ctx, "sending the greeting", failure.ProxyUnreachable, err)
	}
	answer := h.buf[:shortAnswer]
	if n, err := io.ReadFull(h.conn, answer); err != nil {
		// A load balancer without a proxy behind it sends nothing at all; half a response
		// cannot come from it.
		code := failure.ProxyUnreachable
		if n > 0 {
			code = failure.ProxyProtocol
		}
		return h.broken(ctx, "reading the response to the greeting", code, err)
	}
	return h.refused(greetingRefused(answer, h.req.Auth.method()))
}

func (h *handshake) authenticate(ctx context.Context) error {
	// From the first byte of the token on, the end of the connection is a response: a proxy may
	// close on a bad token, even before it has read all of it.
	message := appendAuth
	if h.req.Auth == Password {
		message = func(b []byte, _, _ string) []byte { return appendPassword(b, h.req.User, h.req.Password) }
	}
	if _, err := h.conn.Write(message(h.buf, h.req.Token, h.req.LocationID)); err != nil {
		return h.broken(ctx, "sending the token", failure.ProxyAuthRefused, err)
	}
	answer := h.buf[:shortAnswer]
	if _, err := io.ReadFull(h.conn, answer); err != nil {
		return h.broken(ctx, "reading the response to the token", failure.ProxyAuthRefused, err)
	}
	return h.refused(authRefused(answer))
}

func (h *handshake) connect(ctx context.Context) error {
	// Once the token is accepted, the route behind the proxy has failed: the same as reply 01.
	if _, err := h.conn.Write(appendConnect(h.buf, h.req.Host, h.req.Port)); err != nil {
		return h.broken(ctx, "sending CONNECT "+h.req.target(), failure.ProxyGeneralFailure, err)
	}
	h.asked = true
	code, err := readReply(h.conn, h.buf[:maxReply])
	switch {
	case errors.Is(err, errProtocol):
		return h.refused(failure.New(failure.ProxyProtocol, err))
	case err != nil:
		return h.broken(ctx, "reading the reply to CONNECT "+h.req.target(), failure.ProxyGeneralFailure, err)
	case code != replySuccess:
		return h.refused(failure.New(refusal(code), nil).With(fmt.Sprintf("reply 0x%02x", byte(code))))
	}
	return nil
}

// refused fills in the target and Location ID of f. It returns a nil error for a nil failure.
func (h *handshake) refused(f *failure.Failure) error {
	if f == nil {
		return nil
	}
	if f.Entry().Hop == failure.HopProxy {
		return f.For(h.req.Proxy, h.req.LocationID)
	}
	return f.For(h.req.target(), h.req.LocationID)
}

// broken classifies an error of the connection: ctx ended, nothing arrived in time, or the
// connection ended, which means code.
func (h *handshake) broken(ctx context.Context, doing string, code failure.Code, err error) error {
	late := errors.Is(err, os.ErrDeadlineExceeded)
	if ended := ctx.Err(); ended != nil && (late || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe)) {
		// The connection failed because ctx ended: watch or the caller has closed it.
		return h.gaveUp(ctx, ended, doing)
	}
	if late {
		// The connection's deadline passed shortly before that of ctx.
		return h.gaveUp(ctx, context.DeadlineExceeded, doing)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%s: the proxy closed the connection: %w", doing, err)
	} else {
		err = fmt.Errorf("%s: %w", doing, err)
	}
	return h.refused(failure.New(code, err))
}

// gaveUp returns the error of a handshake that ctx has ended.
func (h *handshake) gaveUp(ctx context.Context, ended error, doing string) error {
	if errors.Is(ended, context.DeadlineExceeded) {
		code := failure.ProxySilent
		if h.asked {
			code = failure.ConnectSilent
		}
		return h.refused(failure.New(code, ended).With(doing))
	}
	cause := context.Cause(ctx)
	if errors.Is(cause, ended) {
		return fmt.Errorf("SOCKS handshake: %s: %w", doing, cause)
	}
	return fmt.Errorf("SOCKS handshake: %s: %w: %w", doing, ended, cause)
}
