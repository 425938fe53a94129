// Package socks implements the client side of SOCKS5 for SAP's connectivity proxy: RFC 1928
// with the vendor's authentication method 0x80, which carries a JSON Web Token and the Location
// ID of a Cloud Connector.
//
//	conn, err := dialer.DialContext(ctx, "tcp", proxy)
//	...
//	err = socks.Connect(ctx, conn, socks.Request{
//		Token: jwt, LocationID: "LOC1", Host: "kafka-1.corp", Port: 9092, Proxy: proxy,
//	})
//	if err != nil {
//		conn.Close()
//		return err
//	}
//	// conn now leads to the broker; no byte from it has been read.
//
// [Connect] performs three steps, each one write and one response, of which it reads no byte
// too many:
//
//	client                         connectivity proxy
//	greeting: method 0x80     ──▶
//	                          ◀──  method chosen
//	token and Location ID     ──▶
//	                          ◀──  status
//	CONNECT virtual host:port ──▶
//	                          ◀──  reply
//
// Every response other than success is a [failure.Failure] with SAP's meaning, which differs
// from that of RFC 1928 in some cases: reply 05 is a refused token, not a refused connection.
//
// A proxy in Kyma's trusted mode accepts no token; [None] and [Password] are for such a proxy:
// the greeting then offers method 00 or 02 (RFC 1929), and with 00 there is no second step.
//
// The package opens no connections, resolves no names, fetches no tokens and does not retry. No
// error contains a token.
package socks

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// An Auth is an authentication method. Only [JWT] can carry a Location ID.
type Auth uint8

// The authentication methods that the tunnel supports.
const (
	JWT      Auth = iota // SAP's method 0x80
	None                 // method 0x00: a proxy in trusted mode
	Password             // method 0x02 (RFC 1929)
)

// A Request is the destination of a connection and the credentials for it.
type Request struct {
	Auth       Auth
	Token      string // for JWT: JSON Web Token in compact form, without "Bearer "
	User       string // for Password
	Password   string // for Password
	LocationID string // for JWT: Location ID of the Cloud Connector; "": none
	Host       string // virtual host as the Cloud Connector exposes it; never resolved here
	Port       uint16 // virtual port
	Proxy      string // host:port of the proxy, for failures; "": the connection's remote address
}

// String returns the request without its token.
func (r Request) String() string {
	s := "CONNECT " + r.target()
	if r.LocationID != "" {
		s += fmt.Sprintf(" with Location ID %q", r.LocationID)
	}
	return s
}

// GoString returns the same as String: %#v does not show the token.
func (r Request) GoString() string { return r.String() }

// LogValue returns the same as String: a log does not show the token.
func (r Request) LogValue() slog.Value { return slog.StringValue(r.String()) }

func (r Request) target() string {
	return net.JoinHostPort(r.Host, strconv.Itoa(int(r.Port)))
}

// Limits of the wire format.
const (
	// MaxLocationID is the length in bytes of the longest Location ID: the length of its base64
	// form with padding must fit into one byte.
	MaxLocationID = 189
	// maxHost is the longest host whose length fits into one byte (RFC 1928, section 5).
	maxHost = 255
	// maxCredential is the same limit for user and password (RFC 1929, section 2).
	maxCredential = 255
	// maxToken limits the token, as in package token. The format would allow 4 GiB; the proxy's
	// own limit is undocumented.
	maxToken = 64 << 10
)

// CheckLocationID returns an error if a Location ID cannot be sent. Its text is for a user who
// has configured it.
func CheckLocationID(id string) error {
	if len(id) > MaxLocationID {
		return fmt.Errorf("a Location ID has at most %d bytes, this one has %d", MaxLocationID, len(id))
	}
	return nil
}

// check returns an error for a request that cannot be encoded, before anything is sent.
func (r Request) check() *failure.Failure {
	if err := CheckLocationID(r.LocationID); err != nil {
		return failure.New(failure.ConfigInvalid, err).For(r.target(), "")
	}
	switch {
	case r.Auth == Password && (r.User == "" || len(r.User) > maxCredential || len(r.Password) > maxCredential):
		return failure.New(failure.Internal, errors.New("a SOCKS handshake without a user, or with a user or password that is too long"))
	case r.Auth != JWT:
	case r.Token == "":
		return failure.New(failure.Internal, errors.New("a SOCKS handshake without a token"))
	case len(r.Token) > maxToken:
		return failure.New(failure.Internal, fmt.Errorf("a token of %d bytes, more than %d", len(r.Token), maxToken))
	}
	if why := unsupported(r.Host); why != "" {
		f := failure.New(failure.AddressUnsupported, nil).For(r.target(), r.LocationID).With(why)
		if len(r.Host) > maxHost {
			f.Target = r.Host[:32] + "..." // the rest of thousands of bytes would not help
		}
		return f
	}
	return nil
}

// unsupported returns why a host cannot be sent, or "".
func unsupported(host string) string {
	switch {
	case host == "":
		return "the host is empty"
	case len(host) > maxHost:
		return fmt.Sprintf("the host has %d bytes, more than %d", len(host), maxHost)
	case strings.ContainsRune(host, ':'):
		// No host name contains a colon: this is an IPv6 literal, for which the proxy has no
		// address type (reply 08).
		return "an IPv6 address"
	case strings.ContainsFunc(host, func(c rune) bool { return c <= ' ' || c == 0x7f }):
		return "the host has a space or a control character"
	}
	return ""
}

// dottedQuad returns the address of a host that is IPv4 in the usual form. All others, for
// example 010.0.0.1, are names.
func dottedQuad(host string) (netip.Addr, bool) {
	if c := host[len(host)-1]; c < '0' || c > '9' {
		return netip.Addr{}, false // the common case, without the cost of an error
	}
	addr, err := netip.ParseAddr(host)
	return addr, err == nil && addr.Is4()
}
