package proxy

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
)

// The messages, all integers big endian:
//
//	greeting         C->S   +----+----------+---------------+
//	                        | 05 | NMETHODS | METHODS (1-n) |      one of them 80
//	                        +----+----------+---------------+
//	                 S->C   05 80 | 05 FF
//	authentication   C->S   +----+---------+-----+--------+--------------+
//	                        | 01 | LEN (4) | JWT | LEN(1) | BASE64(LOCID)|
//	                        +----+---------+-----+--------+--------------+
//	                 S->C   01 00 | 01 status
//	request          C->S   +----+-----+----+------+----------+----------+
//	                        | 05 | CMD | 00 | ATYP | DST.ADDR | PORT (2) |
//	                        +----+-----+----+------+----------+----------+
//	                 S->C   05 REP 00 ATYP BND.ADDR BND.PORT
//
// The length before the Location ID counts its base64 text (standard alphabet,
// with padding), 0 means none.
const (
	versionSocks = 0x05
	versionAuth  = 0x01
	methodOpen   = 0x00
	methodUser   = 0x02
	methodJWT    = 0x80
	methodNone   = 0xff
	cmdConnect   = 0x01
	atypIPv4     = 0x01
	atypDomain   = 0x03
	atypIPv6     = 0x04
)

// The reply codes, with the names SAP gives them.
const (
	replySuccess            = 0x00
	replyFailure            = 0x01
	replyForbidden          = 0x02 // no access-control entry
	replyNetworkUnreachable = 0x03 // Cloud Connector not connected, or Location ID unknown
	replyHostUnreachable    = 0x04 // backend down
	replyConnectionRefused  = 0x05 // authentication failed
	replyCommandUnsupported = 0x07
	replyAddressUnsupported = 0x08
)

// maxToken limits the length of a JWT. SAP documents no limit; this is the one of a client by
// SAP (node-hdb).
const maxToken = 512 << 10

// A violation is a message that differs from the documentation.
type violation struct{ text string }

// Error returns what is wrong with the message.
func (v *violation) Error() string { return "protocol violation: " + v.text }

// violated makes a violation.
func violated(format string, args ...any) error {
	return &violation{fmt.Sprintf(format, args...)}
}

// A reader reads messages. It requests more bytes than a message needs: bytes beyond its end
// were sent too early.
type reader struct {
	src io.Reader
	buf []byte // read, but not taken yet
}

// take returns the next n bytes.
func (r *reader) take(n int) ([]byte, error) {
	for len(r.buf) < n {
		// The buffer grows with the bytes that arrive, not with a length field.
		chunk := make([]byte, min(n-len(r.buf), 16<<10)+64)
		got, err := r.src.Read(chunk)
		r.buf = append(r.buf, chunk[:got]...)
		if err != nil && len(r.buf) < n {
			if errors.Is(err, io.EOF) && len(r.buf) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	b := r.buf[:n:n]
	r.buf = r.buf[n:]
	return b, nil
}

// end checks that no bytes follow a message that has not been answered yet. It does not wait:
// bytes that arrive later are found at the next message.
func (r *reader) end(message string) error {
	if len(r.buf) > 0 {
		return violated("%d bytes follow the %s before it was answered", len(r.buf), message)
	}
	return nil
}

// readGreeting reads a greeting and returns the methods.
func (r *reader) readGreeting() (methods []byte, err error) {
	b, err := r.take(1)
	if err != nil {
		return nil, err
	}
	if b[0] != versionSocks {
		return nil, violated("greeting begins with %#02x, not 05", b[0])
	}
	if b, err = r.take(1); err != nil {
		return nil, err
	}
	if b[0] == 0 {
		return nil, violated("greeting offers no method")
	}
	if methods, err = r.take(int(b[0])); err != nil {
		return nil, err
	}
	return methods, r.end("greeting")
}

// readPassword reads user and password (RFC 1929).
func (r *reader) readPassword() (user, password string, err error) {
	b, err := r.take(2)
	if err != nil {
		return "", "", err
	}
	if b[0] != versionAuth || b[1] == 0 {
		return "", "", violated("authentication begins with % x", b)
	}
	if b, err = r.take(int(b[1])); err != nil {
		return "", "", err
	}
	user = string(b)
	if b, err = r.take(1); err != nil {
		return "", "", err
	}
	if b, err = r.take(int(b[0])); err != nil {
		return "", "", err
	}
	return user, string(b), r.end("authentication")
}

// An authentication has the credentials that the client sends.
type authentication struct {
	token    string
	location string // decoded
}

// readAuthentication reads an authentication message.
func (r *reader) readAuthentication() (a authentication, err error) {
	b, err := r.take(1)
	if err != nil {
		return a, err
	}
	if b[0] != versionAuth {
		return a, violated("authentication begins with %#02x, not 01", b[0])
	}
	if b, err = r.take(4); err != nil {
		return a, err
	}
	n := binary.BigEndian.Uint32(b)
	if n == 0 || n > maxToken {
		return a, violated("token of %d bytes", n)
	}
	if b, err = r.take(int(n)); err != nil {
		return a, err
	}
	for i, c := range b {
		if c <= ' ' || c > '~' {
			return a, violated("byte %#02x in the token, at %d", c, i)
		}
	}
	a.token = string(b)
	if b, err = r.take(1); err != nil {
		return a, err
	}
	if b, err = r.take(int(b[0])); err != nil {
		return a, err
	}
	location, err := base64.StdEncoding.Strict().DecodeString(string(b))
	if err != nil || base64.StdEncoding.EncodeToString(location) != string(b) {
		return a, violated("the Location ID is not base64 with padding")
	}
	a.location = string(location)
	return a, r.end("authentication")
}

// A request is the client's CONNECT request.
type request struct {
	command byte
	atyp    byte
	host    string // dotted quad, domain or IPv6 address
	port    uint16
}

// readRequest reads a request.
func (r *reader) readRequest() (q request, err error) {
	b, err := r.take(4)
	if err != nil {
		return q, err
	}
	switch {
	case b[0] != versionSocks:
		return q, violated("request begins with %#02x, not 05", b[0])
	case b[2] != 0:
		return q, violated("reserved byte of the request is %#02x, not 00", b[2])
	}
	q.command, q.atyp = b[1], b[3]
	var n int
	switch q.atyp {
	case atypIPv4:
		n = 4
	case atypIPv6:
		n = 16
	case atypDomain:
		if b, err = r.take(1); err != nil {
			return q, err
		}
		if n = int(b[0]); n == 0 {
			return q, violated("domain name of no bytes")
		}
	default:
		return q, violated("address type %#02x", q.atyp)
	}
	if b, err = r.take(n + 2); err != nil {
		return q, err
	}
	address := b[:n]
	if q.atyp == atypDomain {
		for _, c := range address {
			if c <= ' ' || c > '~' {
				return q, violated("byte %#02x in the domain name", c)
			}
		}
		q.host = string(address)
	} else {
		ip, _ := netip.AddrFromSlice(address)
		q.host = ip.String()
	}
	q.port = binary.BigEndian.Uint16(b[n:])
	return q, r.end("request")
}

// address returns "host:port".
func (q request) address() string {
	if q.atyp == atypIPv6 {
		return "[" + q.host + "]:" + strconv.Itoa(int(q.port))
	}
	return q.host + ":" + strconv.Itoa(int(q.port))
}
