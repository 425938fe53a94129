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
//
// [Client] performs the handshake. What can go wrong there is told as a failure of
// the catalogue, with what the operator needs to mend it: the names in the broker's
// certificate, who issued it, when it expires. Every certificate is verified; there
// is no way to leave that out.
package secure

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
)

// sessions is how many TLS sessions are kept, one for each broker: who comes back
// needs no new certificates (RFC 8446, section 2.2).
const sessions = 128

// Config returns what all connections to the brokers of a cluster have in common. roots
// are the authorities that are trusted; nil: those of the system.
func Config(roots *x509.CertPool) *tls.Config {
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(sessions)}
}

// A Peer is who is expected behind a connection.
type Peer struct {
	ServerName string // host name or IP address that the certificate must be for
	Target     string // host:port and Location ID by which it was reached, for failures
	LocationID string
}

// Client performs a TLS handshake as the client over conn, which it closes when that
// fails; the error is then a failure of the catalogue, unless ctx was cancelled. What
// it returns is a [*Conn] where conn is a TCP connection and the system is a Unix.
func Client(ctx context.Context, conn net.Conn, config *tls.Config, peer Peer) (net.Conn, error) {
	config = config.Clone()
	config.ServerName = peer.ServerName
	secured, over := wrap(conn, config)
	if err := over.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, err
		}
		return nil, explain(err, peer)
	}
	return secured, nil
}

// ParseRoots reads the certificates of authorities, in PEM form.
func ParseRoots(text []byte) (*x509.CertPool, error) {
	roots := x509.NewCertPool()
	n := 0
	var other string
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			other = block.Type
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d cannot be read: %w", n+1, err)
		}
		roots.AddCert(cert)
		n++
	}
	switch {
	case n > 0:
		return roots, nil
	case other != "":
		return nil, fmt.Errorf("holds no certificate, but %s", article(other))
	}
	return nil, errors.New("holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
}
