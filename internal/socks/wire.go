package socks

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The first bytes of messages: of SOCKS5 itself (RFC 1928) and of the sub-negotiation for
// method 0x80.
const (
	socksVersion byte = 0x05
	authVersion  byte = 0x01
)

// A method is an authentication method (RFC 1928, section 3).
type method byte

const (
	methodOpen     method = 0x00 // no authentication
	methodPassword method = 0x02 // RFC 1929
	methodJWT      method = 0x80 // SAP: a JSON Web Token and a Location ID
	methodNone     method = 0xff // the proxy accepts none of the offered methods
)

// method returns the method that the greeting offers.
func (a Auth) method() method {
	switch a {
	case None:
		return methodOpen
	case Password:
		return methodPassword
	default:
		return methodJWT
	}
}

// A status is the result of the authentication. Only statusOK is documented.
type status byte

const statusOK status = 0x00

// A command is a SOCKS5 command. SAP's proxy supports only this one.
type command byte

const commandConnect command = 0x01

// An addressType is the form of an address (RFC 1928, section 5).
type addressType byte

const (
	addressIPv4   addressType = 0x01
	addressDomain addressType = 0x03
	addressIPv6   addressType = 0x04 // never sent; tolerated in a reply
)

// A replyCode is the result of CONNECT. Names and meanings are SAP's (see refusal).
type replyCode byte

const (
	replySuccess            replyCode = 0x00
	replyFailure            replyCode = 0x01
	replyForbidden          replyCode = 0x02
	replyNetworkUnreachable replyCode = 0x03
	replyHostUnreachable    replyCode = 0x04
	replyConnectionRefused  replyCode = 0x05
	replyTTLExpired         replyCode = 0x06
	replyCommandUnsupported replyCode = 0x07
	replyAddressUnsupported replyCode = 0x08
)

// Sizes of messages in bytes.
const (
	shortAnswer = 2                         // a response to greeting or authentication
	maxConnect  = 4 + 1 + maxHost + 2       // the longest CONNECT
	maxReply    = 4 + 1 + 255 + 2           // the longest reply
	maxAuth     = 1 + 4 + 1 + 255 + 255     // the longest authentication, without its token
	maxMessage  = max(maxConnect, maxReply) // the buffer size for everything except the token
)

// Greeting and its response (RFC 1928, section 3). The tunnel offers one method, which the
// proxy accepts or refuses.
//
//	+----+----------+---------+        +----+--------+
//	|VER | NMETHODS | METHODS |        |VER | METHOD |
//	+----+----------+---------+        +----+--------+
//	| 05 |    01    |   80    |        | 05 |   80   |   FF: none acceptable
//	+----+----------+---------+        +----+--------+
func appendGreeting(b []byte, m method) []byte {
	return append(b, socksVersion, 1, byte(m))
}

// Authentication by method 0x80 and its response (SAP, "Using the TCP Protocol for Cloud
// Applications").
//
//	+----+---------------+---------+------+----------+        +----+--------+
//	|VER |    JWT LEN    |   JWT   | LLEN |  LOC ID  |        |VER | STATUS |
//	+----+---------------+---------+------+----------+        +----+--------+
//	| 01 | 4, big-endian | JWT LEN |  1   | LLEN     |        | 01 |   00   |   else: refused
//	+----+---------------+---------+------+----------+        +----+--------+
//
// LOC ID is the Location ID in base64 with padding, and LLEN the length of that
// text; without a Location ID LLEN is 0 and nothing follows.
func appendAuth(b []byte, token, locationID string) []byte {
	b = append(b, authVersion)
	b = binary.BigEndian.AppendUint32(b, uint32(len(token)))
	b = append(b, token...)
	b = append(b, byte(base64.StdEncoding.EncodedLen(len(locationID))))
	return base64.StdEncoding.AppendEncode(b, []byte(locationID))
}

// Authentication by method 0x02 (RFC 1929, section 2); the response is as above.
//
//	+----+------+----------+------+----------+
//	|VER | ULEN |  UNAME   | PLEN |  PASSWD  |
//	+----+------+----------+------+----------+
//	| 01 |  1   | 1 to 255 |  1   | 0 to 255 |
//	+----+------+----------+------+----------+
func appendPassword(b []byte, user, password string) []byte {
	b = append(b, authVersion, byte(len(user)))
	b = append(b, user...)
	b = append(b, byte(len(password)))
	return append(b, password...)
}

// CONNECT (RFC 1928, section 4) with the virtual host and port of the Cloud
// Connector.
//
//	+----+-----+-----+------+----------+----------+
//	|VER | CMD | RSV | ATYP | DST.ADDR | DST.PORT |
//	+----+-----+-----+------+----------+----------+
//	| 05 | 01  | 00  |  1   | variable | 2, big-e.|
//	+----+-----+-----+------+----------+----------+
//
//	ATYP 01: 4 bytes, for hosts that are dotted quads, as SAP's own sample does
//	ATYP 03: 1 byte length and that many bytes, for all others
func appendConnect(b []byte, host string, port uint16) []byte {
	b = append(b, socksVersion, byte(commandConnect), 0)
	if addr, ok := dottedQuad(host); ok {
		quad := addr.As4()
		b = append(b, byte(addressIPv4))
		b = append(b, quad[:]...)
	} else {
		b = append(b, byte(addressDomain), byte(len(host)))
		b = append(b, host...)
	}
	return binary.BigEndian.AppendUint16(b, port)
}

// errProtocol marks responses that no SOCKS5 proxy sends.
var errProtocol = errors.New("not SOCKS5")

// readReply reads the reply to CONNECT (RFC 1928, section 6) and no byte more: the next bytes
// are the broker's. buf has at least maxReply bytes.
//
//	+----+-----+-----+------+----------+----------+
//	|VER | REP | RSV | ATYP | BND.ADDR | BND.PORT |
//	+----+-----+-----+------+----------+----------+
//	| 05 |  1  | 00  |  1   | variable |    2     |
//	+----+-----+-----+------+----------+----------+
//
// BND.ADDR has no meaning but must be skipped: for ATYP 01 4 bytes, for 03 one byte of length
// and that many bytes, for 04 16 bytes. REP is checked first, because a proxy that refuses may
// close without sending the rest; then nothing more is read.
func readReply(r io.Reader, buf []byte) (replyCode, error) {
	head := buf[:2]
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, err
	}
	if head[0] != socksVersion {
		return 0, fmt.Errorf("%w: the reply begins with 0x%02x", errProtocol, head[0])
	}
	code := replyCode(head[1])
	if code != replySuccess {
		return code, nil
	}
	// At least one byte of address follows for every type.
	head = buf[:3]
	if err := readOn(r, head); err != nil {
		return code, err
	}
	var rest int
	switch addressType(head[1]) {
	case addressIPv4:
		rest = 4 - 1 + 2
	case addressDomain:
		rest = int(head[2]) + 2
	case addressIPv6:
		rest = 16 - 1 + 2
	default:
		return code, fmt.Errorf("%w: the reply has address type 0x%02x", errProtocol, head[1])
	}
	return code, readOn(r, buf[:rest])
}

// readOn fills b with the bytes that must follow: if they are missing, the end is never clean.
func readOn(r io.Reader, b []byte) error {
	_, err := io.ReadFull(r, b)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}
