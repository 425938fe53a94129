// Package secure implements TLS connections to brokers that hold no buffer while a read waits.
//
// A tls.Conn that waits in Read holds the caller's buffer, and its user cannot see whether data
// is available: part of a record may have arrived, or several records at once. When its socket
// is readable, a [Conn] returns the available data:
//
//	raw, err := conn.SyscallConn()
//	raw.Read(func(fd uintptr) bool {
//		n, err = conn.ReadReady(fd, buf)        // decrypts what has arrived, does not wait
//		return !errors.Is(err, syscall.EAGAIN)  // false: wait until more has arrived
//	})
//
// Otherwise it is a net.Conn like any other.
//
// [Client] performs the handshake. It returns its errors as failures of the catalogue, with the
// facts that the operator needs: the names in the broker's certificate, its issuer, its expiry.
// Every certificate is verified; this cannot be switched off.
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

// sessions is how many TLS sessions are kept, one for each broker: a resumed session needs no
// certificates (RFC 8446, section 2.2).
const sessions = 128

// Config returns the configuration for all connections to the brokers of a cluster. roots are
// the trusted authorities; nil: those of the system.
func Config(roots *x509.CertPool) *tls.Config {
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(sessions)}
}

// A Peer is the expected server of a connection.
type Peer struct {
	ServerName string // host name or IP address that the certificate must contain
	Target     string // host:port and Location ID of the connection, for failures
	LocationID string
}

// Client performs a TLS handshake as the client over conn, which it closes if the handshake
// fails; the error is then a failure of the catalogue, unless ctx was cancelled. It returns a
// [*Conn] if conn is a TCP connection and the system is a Unix.
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

// ParseRoots parses CA certificates in PEM form.
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
		return nil, fmt.Errorf("contains no certificate, but %s", article(other))
	}
	return nil, errors.New("contains no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
}
