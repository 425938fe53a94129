//go:build !unix

package secure

import (
	"crypto/tls"
	"net"
)

func wrap(conn net.Conn, config *tls.Config) (net.Conn, *tls.Conn) {
	over := tls.Client(conn, config)
	return over, over
}
