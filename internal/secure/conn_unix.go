//go:build unix

package secure

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// A Conn is a TLS connection over TCP.
type Conn struct {
	*tls.Conn
	wire *wire
}

func wrap(conn net.Conn, config *tls.Config) (net.Conn, *tls.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		over := tls.Client(conn, config)
		return over, over
	}
	w := &wire{TCPConn: tcp, fd: -1}
	over := tls.Client(w, config)
	return &Conn{Conn: over, wire: w}, over
}

// SyscallConn returns access to the TCP connection, to wait for it.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return c.wire.SyscallConn() }

// ReadReady decrypts into b the data that has arrived, without waiting. fd is the socket's
// descriptor, inside a callback of its RawConn. The error is syscall.EAGAIN if no complete
// record has arrived, and io.EOF at the end. It must not run concurrently with Read.
func (c *Conn) ReadReady(fd uintptr, b []byte) (int, error) {
	c.wire.fd = int(fd)
	defer func() { c.wire.fd = -1 }()
	total := 0
	for total < len(b) {
		n, err := c.Read(b[total:])
		total += n
		if err == nil {
			continue
		}
		if total > 0 {
			break // the next read returns the error again
		}
		if errors.Is(err, errDry) {
			return 0, syscall.EAGAIN
		}
		return 0, err
	}
	return total, nil
}

// CloseWrite ends the outgoing stream, in TLS and in TCP.
func (c *Conn) CloseWrite() error {
	return errors.Join(c.Conn.CloseWrite(), c.wire.CloseWrite())
}

// Abort closes the connection with a reset.
func (c *Conn) Abort() {
	_ = c.wire.SetLinger(0)
	_ = c.wire.Close()
}

// wire is the connection from which a tls.Conn reads. It waits, except inside ReadReady.
type wire struct {
	*net.TCPConn
	fd int // -1 outside ReadReady
}

// errDry is the error of a read that would have to wait. A tls.Conn keeps the bytes that it has
// read so far if an error is temporary.
var errDry net.Error = dryError{}

type dryError struct{}

func (dryError) Error() string   { return "nothing to read yet" }
func (dryError) Timeout() bool   { return true }
func (dryError) Temporary() bool { return true }

func (w *wire) Read(b []byte) (int, error) {
	if w.fd < 0 {
		return w.TCPConn.Read(b)
	}
	// Only EAGAIN means that no more bytes have arrived: the poller reports an end that arrives
	// together with bytes only once.
	n, err := readNow(w.fd, b)
	switch {
	case n > 0:
		return n, nil
	case errors.Is(err, syscall.EAGAIN):
		return 0, errDry
	case err != nil:
		return 0, &net.OpError{Op: "read", Net: "tcp", Source: w.LocalAddr(), Addr: w.RemoteAddr(), Err: os.NewSyscallError("read", err)}
	}
	return 0, io.EOF
}

func readNow(fd int, b []byte) (int, error) {
	for {
		n, err := syscall.Read(fd, b)
		if !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}
