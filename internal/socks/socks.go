// Package socks is the client side of SOCKS5 as SAP's connectivity proxy speaks
// it: RFC 1928 with the vendor's authentication method 0x80, which carries a
// JSON Web Token and the Location ID of a Cloud Connector.
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
//	// conn now leads to the broker; nothing of what it sent has been read.
//
// [Connect] makes three steps, each one write and an answer read to the byte:
//
//	client                         connectivity proxy
//	greeting: method 0x80     ──▶
//	                          ◀──  method chosen
//	token and Location ID     ──▶
//	                          ◀──  status
//	CONNECT virtual host:port ──▶
//	                          ◀──  reply
//
// Every answer that is not a success is a [failure.Failure] with the meaning
// that SAP gives it, which is not always that of RFC 1928: reply 05 is a refused
// token, not a refused connection.
//
// A proxy in Kyma's trusted mode takes no token; [None] and [Password] are for such
// ones: then the greeting offers method 00 or 02 (RFC 1929), and with 00 the second step
// is left out.
//
// The package opens no connections, resolves no names, fetches no tokens and
// tries nothing twice. A token never stands in an error.
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

// An Auth is how the client shows who it is. Only [JWT] can say a Location ID.
type Auth uint8

// The ways to authenticate that the tunnel knows.
const (
	JWT      Auth = iota // SAP's method 0x80
	None                 // method 0x00: a proxy in trusted mode
	Password             // method 0x02 (RFC 1929)
)

// A Request says where to go and on whose behalf.
type Request struct {
	Auth       Auth
	Token      string // for JWT: JSON Web Token in compact form, without "Bearer "
	User       string // for Password
	Password   string // for Password
	LocationID string // for JWT: of the Cloud Connector; "": the one without a Location ID
	Host       string // virtual host as the Cloud Connector exposes it; never resolved here
	Port       uint16 // virtual port
	Proxy      string // host:port of the proxy, for failures; "": the connection's remote address
}

// String returns the request without its token.
func (r Request) String() string {
	s := "CONNECT " + r.target()
	if r.LocationID != "" {
		s += fmt.Sprintf(" at Location ID %q", r.LocationID)
	}
	return s
}

// GoString returns the same as String, so that %#v does not show the token.
func (r Request) GoString() string { return r.String() }

// LogValue returns the same as String, so that a log does not show the token.
func (r Request) LogValue() slog.Value { return slog.StringValue(r.String()) }

func (r Request) target() string {
	return net.JoinHostPort(r.Host, strconv.Itoa(int(r.Port)))
}

// Limits of the wire format.
const (
	// MaxLocationID is the length in bytes of the longest Location ID: its base64
	// form with padding has to fit into a length of one byte.
	MaxLocationID = 189
	// maxHost is what a length of one byte can say (RFC 1928, section 5).
	maxHost = 255
	// maxCredential is the same for user and password (RFC 1929, section 2).
	maxCredential = 255
	// maxToken bounds the token. The format would allow 4 GiB; what the proxy
	// accepts is not documented. It is the bound of package token.
	maxToken = 64 << 10
)

// CheckLocationID says whether a Location ID can be sent. Its error is worded for
// a user who wrote it into a configuration.
func CheckLocationID(id string) error {
	if len(id) > MaxLocationID {
		return fmt.Errorf("a Location ID has at most %d bytes, this one has %d", MaxLocationID, len(id))
	}
	return nil
}

// check refuses what cannot be put on the wire, before anything is sent.
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
			f.Target = r.Host[:32] + "..." // thousands of bytes help nobody
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
		return fmt.Sprintf("the host has %d bytes, at most %d are possible", len(host), maxHost)
	case strings.ContainsRune(host, ':'):
		// No host name holds a colon: this is an IPv6 literal, for which the proxy
		// has no address type (reply 08).
		return "an IPv6 address"
	case strings.ContainsFunc(host, func(c rune) bool { return c <= ' ' || c == 0x7f }):
		return "the host has a space or a control character"
	}
	return ""
}

// dottedQuad returns the address that host spells, if it is IPv4 in the usual
// form. Anything else, 010.0.0.1 for example, is a name.
func dottedQuad(host string) (netip.Addr, bool) {
	if c := host[len(host)-1]; c < '0' || c > '9' {
		return netip.Addr{}, false // the common case, without the cost of an error
	}
	addr, err := netip.ParseAddr(host)
	return addr, err == nil && addr.Is4()
}
