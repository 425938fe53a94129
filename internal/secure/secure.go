// Package secure is TLS towards brokers whose waiting reads hold no buffer.
//
// A tls.Conn that waits in Read holds the caller's buffer, and whether it has
// something to give cannot be seen from outside: a record may have come in part, or
// several at once. A [Conn] is asked, when its socket is readable, for what there is:
//
//	raw, err := conn.SyscallConn()
//	raw.Read(func(fd uintptr) bool {
//		n, err = conn.ReadReady(fd, buf)        // decrypts what has come, does not wait
//		return !errors.Is(err, syscall.EAGAIN)  // false: wait until more has come
//	})
//
// Otherwise it is a net.Conn like any other.
package secure

import (
	"context"
	"crypto/tls"
	"net"
)

// Client performs a TLS handshake as the client over conn, which it closes when that
// fails. What it returns is a [*Conn] where conn is a TCP connection and the system
// is a Unix.
func Client(ctx context.Context, conn net.Conn, config *tls.Config) (net.Conn, error) {
	secured, over := wrap(conn, config)
	if err := over.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secured, nil
}
