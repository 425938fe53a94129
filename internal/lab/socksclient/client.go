// Package socksclient is a client of the connectivity proxy for tests and measurements without
// the tunnel.
//
//	conn, err := socksclient.Dial(ctx, socksclient.Target{Proxy: addr, Token: jwt, Host: "kafka-1.onprem.invalid", Port: 9092})
//
// It performs the handshake step by step and reads no byte too many. It is deliberately
// independent of internal/socks, so that the two can be compared. The tunnel itself does not
// use it.
package socksclient

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"
)

// A Target is the destination of a connection and the credentials for it.
type Target struct {
	Proxy      string // host:port
	Token      string
	LocationID string
	Host       string // virtual
	Port       uint16
	Greeting   []byte // default 05 01 80
	Domain     bool   // send a dotted quad as a domain name
}

// A Refused error is a refusal of the proxy at one step.
type Refused struct {
	Step string // "method", "authentication", "connect"
	Code byte
}

// Error returns step and code.
func (r *Refused) Error() string { return fmt.Sprintf("%s refused: %#02x", r.Step, r.Code) }

// Dial opens a connection through the proxy. ctx limits the handshake.
func Dial(ctx context.Context, t Target) (*net.TCPConn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", t.Proxy)
	if err != nil {
		return nil, err
	}
	tcp := conn.(*net.TCPConn)
	stop := context.AfterFunc(ctx, func() { tcp.SetDeadline(time.Unix(1, 0)) })
	err = handshake(tcp, t)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		tcp.Close()
		return nil, err
	}
	return tcp, nil
}

// handshake performs the steps on an open connection.
func handshake(conn net.Conn, t Target) error {
	greeting := t.Greeting
	if greeting == nil {
		greeting = []byte{5, 1, 0x80}
	}
	if err := step(conn, "method", greeting, 5, 0x80); err != nil {
		return err
	}
	if err := step(conn, "authentication", Authentication(t.Token, t.LocationID), 1, 0); err != nil {
		return err
	}
	if err := step(conn, "connect", Request(t), 5, 0); err != nil {
		return err
	}
	return skipAddress(conn)
}

// step sends a message and reads the two bytes of the response.
func step(conn net.Conn, name string, message []byte, version, good byte) error {
	if _, err := conn.Write(message); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	var answer [2]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if answer[0] != version {
		return fmt.Errorf("%s: response begins with %#02x", name, answer[0])
	}
	if answer[1] != good {
		return &Refused{name, answer[1]}
	}
	return nil
}

// Authentication returns the message with token and Location ID.
func Authentication(token, locationID string) []byte {
	b := binary.BigEndian.AppendUint32([]byte{1}, uint32(len(token)))
	b = append(b, token...)
	location := base64.StdEncoding.EncodeToString([]byte(locationID))
	b = append(b, byte(len(location)))
	return append(b, location...)
}

// Request returns the CONNECT message.
func Request(t Target) []byte {
	b := []byte{5, 1, 0}
	if ip, err := netip.ParseAddr(t.Host); err == nil && ip.Is4() && !t.Domain {
		b = append(append(b, 1), ip.AsSlice()...)
	} else {
		b = append(append(b, 3, byte(len(t.Host))), t.Host...)
	}
	return binary.BigEndian.AppendUint16(b, t.Port)
}

// skipAddress reads the rest of a reply.
func skipAddress(conn net.Conn) error {
	var head [2]byte // reserved, address type
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	n := 2
	switch head[1] {
	case 1:
		n += 4
	case 4:
		n += 16
	case 3:
		var length [1]byte
		if _, err := io.ReadFull(conn, length[:]); err != nil {
			return fmt.Errorf("reply: %w", err)
		}
		n += int(length[0])
	default:
		return fmt.Errorf("reply: address type %#02x", head[1])
	}
	if _, err := io.ReadFull(conn, make([]byte, n)); err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	return nil
}
