package socks

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// unhex reads the notation of the vectors: hexadecimal with spaces.
func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestGoldenBytes(t *testing.T) {
	location189 := strings.Repeat("x", 189)
	tests := []struct {
		name          string
		req           Request
		auth, connect string
	}{
		{
			"no Location ID", Request{Token: "a.b.c", Host: "kafka-1.corp", Port: 9092},
			"01 00000005 612e622e63 00",
			"05 01 00 03 0c 6b61666b612d312e636f7270 2384",
		},
		{
			"Location ID", Request{Token: "a.b.c", LocationID: "LOC1", Host: "kafka-1.corp", Port: 9092},
			"01 00000005 612e622e63 08 54453944 4d513d3d",
			"05 01 00 03 0c 6b61666b612d312e636f7270 2384",
		},
		{
			"dotted quad", Request{Token: "a.b.c", Host: "10.20.30.40", Port: 65535},
			"01 00000005 612e622e63 00",
			"05 01 00 01 0a141e28 ffff",
		},
		{
			"not quite a dotted quad", Request{Token: "a.b.c", Host: "10.20.30.040", Port: 1},
			"01 00000005 612e622e63 00",
			"05 01 00 03 0c 31302e32302e33302e303430 0001",
		},
		{
			"longest Location ID", Request{Token: "a.b.c", LocationID: location189, Host: "k", Port: 9092},
			"01 00000005 612e622e63 fc" + hex.EncodeToString([]byte(strings.Repeat("eHh4", 63))),
			"05 01 00 03 01 6b 2384",
		},
		{
			"UTF-8 Location ID", Request{Token: "a.b.c", LocationID: "Köln", Host: "k", Port: 9092},
			"01 00000005 612e622e63 08 53384f32 6247343d",
			"05 01 00 03 01 6b 2384",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			conn := &script{answers: granted}
			if err := Connect(t.Context(), conn, test.req); err != nil {
				t.Fatal(err)
			}
			want := [][]byte{{5, 1, 0x80}, unhex(t, test.auth), unhex(t, test.connect)}
			if len(conn.writes) != len(want) {
				t.Fatalf("%d writes, want one for each of %d steps", len(conn.writes), len(want))
			}
			for i := range want {
				if !bytes.Equal(conn.writes[i], want[i]) {
					t.Errorf("step %d: sent % x, want % x", i+1, conn.writes[i], want[i])
				}
				// Step by step: each message leaves only after the answer to the last.
				if conn.readAt[i] != 2*i {
					t.Errorf("step %d was sent after %d bytes of answers, want %d", i+1, conn.readAt[i], 2*i)
				}
			}
		})
	}
}

func TestLongTokenIsOneWrite(t *testing.T) {
	req := testRequest()
	req.Token = strings.Repeat("t", maxToken)
	conn := &script{answers: granted}
	if err := Connect(t.Context(), conn, req); err != nil {
		t.Fatal(err)
	}
	if got, want := len(conn.writes[1]), 1+4+maxToken+1+8; got != want {
		t.Errorf("the authentication has %d bytes, want %d", got, want)
	}
}

// The reply is read to the byte, whatever address it holds and however it comes.
func TestNothingOfThePayloadIsRead(t *testing.T) {
	payload := []byte("\x00\x00\x00\x01x the first bytes of the broker")
	replies := map[string]string{
		"IPv4":         "05 00 00 01 00000000 0000",
		"domain":       "05 00 00 03 0c 6b61666b612d312e636f7270 2384",
		"empty domain": "05 00 00 03 00 2384",
		"long domain":  "05 00 00 03 ff" + strings.Repeat("61", 255) + "2384",
		"IPv6":         "05 00 00 04 00112233445566778899aabbccddeeff 2384",
		"RSV not zero": "05 00 7f 01 00000000 0000",
	}
	for name, reply := range replies {
		for _, atOnce := range []int{0, 1, 2, 3, 7} {
			t.Run(fmt.Sprintf("%s/%d", name, atOnce), func(t *testing.T) {
				answers := append([]byte{5, 0x80, 1, 0}, unhex(t, reply)...)
				conn := &script{answers: append(answers, payload...), atOnce: atOnce}
				if err := Connect(t.Context(), conn, testRequest()); err != nil {
					t.Fatal(err)
				}
				rest, err := io.ReadAll(conn)
				if err != nil || !bytes.Equal(rest, payload) {
					t.Errorf("left to read: %q, %v, want %q", rest, err, payload)
				}
			})
		}
	}
}

func TestEveryRefusalIsAFailure(t *testing.T) {
	const ok1, ok2 = "05 80", "01 00"
	tests := []struct {
		answers string
		code    failure.Code
		detail  string
	}{
		{"05 ff", failure.ProxyMethodRefused, "method 0xff"},
		{"05 00", failure.ProxyMethodRefused, "method 0x00"},
		{"05 02", failure.ProxyMethodRefused, "method 0x02"},
		{"04 80", failure.ProxyProtocol, "begins with 0x04 0x80"},
		{"00 5a", failure.ProxyProtocol, "begins with 0x00 0x5a"},
		{"48 54", failure.ProxyProtocol, "the response is HTTP"},
		{"15 03", failure.ProxyProtocol, "the response is TLS"},
		{ok1 + "01 01", failure.ProxyAuthRefused, "status 0x01"},
		{ok1 + "01 ff", failure.ProxyAuthRefused, "status 0xff"},
		{ok1 + "05 00", failure.ProxyProtocol, "begins with 0x05 0x00"},
		{ok1 + ok2 + "05 01", failure.ProxyGeneralFailure, "reply 0x01"},
		{ok1 + ok2 + "05 02", failure.AccessNotAllowed, "reply 0x02"},
		{ok1 + ok2 + "05 03", failure.ConnectorAway, "reply 0x03"},
		{ok1 + ok2 + "05 04", failure.BrokerUnreachable, "reply 0x04"},
		{ok1 + ok2 + "05 05", failure.ProxyAuthRefused, "reply 0x05"},
		{ok1 + ok2 + "05 06", failure.ProxyGeneralFailure, "reply 0x06"},
		{ok1 + ok2 + "05 07", failure.CommandRefused, "reply 0x07"},
		{ok1 + ok2 + "05 08", failure.AddressUnsupported, "reply 0x08"},
		{ok1 + ok2 + "05 09", failure.ProxyGeneralFailure, "reply 0x09"},
		{ok1 + ok2 + "05 ff", failure.ProxyGeneralFailure, "reply 0xff"},
		{ok1 + ok2 + "05 02 00 01 00000000 0000", failure.AccessNotAllowed, "reply 0x02"},
		{ok1 + ok2 + "04 00", failure.ProxyProtocol, ""},
		{ok1 + ok2 + "01 05", failure.ProxyProtocol, ""},
		{ok1 + ok2 + "05 00 00 00 00 00", failure.ProxyProtocol, ""},
		{ok1 + ok2 + "05 00 00 02 00 00", failure.ProxyProtocol, ""},
	}
	for _, test := range tests {
		t.Run(test.answers, func(t *testing.T) {
			// The peer stays silent afterwards: nothing more may be needed to know.
			conn := &script{answers: unhex(t, test.answers), end: errors.New("a read too many")}
			err := Connect(t.Context(), conn, testRequest())
			f := wantFailure(t, err, test.code)
			if !strings.Contains(f.Detail, test.detail) {
				t.Errorf("detail %q, want %q in it", f.Detail, test.detail)
			}
			target := testTarget
			if f.Entry().Hop == failure.HopProxy {
				target = testProxy
			}
			if f.Target != target || f.LocationID != "LOC1" {
				t.Errorf("target %q at %q, want %q at LOC1", f.Target, f.LocationID, target)
			}
		})
	}
}

// lost is what an end of the connection means after n bytes of answers.
func lost(n int) failure.Code {
	switch n {
	case 0:
		return failure.ProxyUnreachable
	case 1:
		return failure.ProxyProtocol
	case 2, 3:
		return failure.ProxyAuthRefused
	default:
		return failure.ProxyGeneralFailure
	}
}

func TestEarlyEndAtEachOffset(t *testing.T) {
	reset := &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	for _, end := range []error{io.EOF, reset} {
		for n := range granted {
			t.Run(fmt.Sprintf("%v/%d", end, n), func(t *testing.T) {
				conn := &script{answers: granted[:n], end: end}
				err := Connect(t.Context(), conn, testRequest())
				wantFailure(t, err, lost(n))
				if errors.Is(end, syscall.ECONNRESET) && !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("%v does not say that the connection was reset", err)
				}
			})
		}
	}
}

func TestConnectionLostWhileSending(t *testing.T) {
	for step, code := range map[int]failure.Code{
		1: failure.ProxyUnreachable, 2: failure.ProxyAuthRefused, 3: failure.ProxyGeneralFailure,
	} {
		conn := &script{answers: granted, failFrom: step, end: syscall.EPIPE}
		f := wantFailure(t, Connect(t.Context(), conn, testRequest()), code)
		if !strings.Contains(f.Error(), "sending") {
			t.Errorf("step %d: %q does not name the direction", step, f.Error())
		}
	}
}

func TestNothingIsSentForABadRequest(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Request)
		code   failure.Code
	}{
		{"IPv6", func(r *Request) { r.Host = "2001:db8::1" }, failure.AddressUnsupported},
		{"IPv6 in brackets", func(r *Request) { r.Host = "[::1]" }, failure.AddressUnsupported},
		{"IPv6 with zone", func(r *Request) { r.Host = "fe80::1%eth0" }, failure.AddressUnsupported},
		{"IPv4 in IPv6", func(r *Request) { r.Host = "::ffff:10.0.0.1" }, failure.AddressUnsupported},
		{"host of 256", func(r *Request) { r.Host = strings.Repeat("h", 256) }, failure.AddressUnsupported},
		{"no host", func(r *Request) { r.Host = "" }, failure.AddressUnsupported},
		{"line break in host", func(r *Request) { r.Host = "a\nb" }, failure.AddressUnsupported},
		{"Location ID of 190", func(r *Request) { r.LocationID = strings.Repeat("x", 190) }, failure.ConfigInvalid},
		{"no token", func(r *Request) { r.Token = "" }, failure.Internal},
		{"huge token", func(r *Request) { r.Token = strings.Repeat("t", maxToken+1) }, failure.Internal},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			req := testRequest()
			test.change(&req)
			conn := &script{answers: granted}
			f := wantFailure(t, Connect(t.Context(), conn, req), test.code)
			if len(conn.writes) != 0 {
				t.Errorf("sent % x", conn.writes)
			}
			if len(f.Error()) > 500 {
				t.Errorf("the error has %d bytes", len(f.Error()))
			}
		})
	}
}

func TestHostOf255Passes(t *testing.T) {
	req := testRequest()
	req.Host = strings.Repeat("h", 255)
	conn := &script{answers: granted}
	if err := Connect(t.Context(), conn, req); err != nil {
		t.Fatal(err)
	}
	if got := conn.writes[2][4]; got != 255 {
		t.Errorf("length byte %d, want 255", got)
	}
}

func TestCheckLocationID(t *testing.T) {
	for n, good := range map[int]bool{0: true, 1: true, 189: true, 190: false, 255: false} {
		if err := CheckLocationID(strings.Repeat("x", n)); (err == nil) != good {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestFailuresNameTheRemoteAddressWithoutAProxyName(t *testing.T) {
	req := testRequest()
	req.Proxy = ""
	f := wantFailure(t, Connect(t.Context(), &script{}, req), failure.ProxyUnreachable)
	if f.Target != "192.0.2.1:20004" {
		t.Errorf("target %q", f.Target)
	}
}

func TestARequestIsPrintedWithoutItsToken(t *testing.T) {
	req := testRequest()
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "request", req)
	for _, text := range []string{
		fmt.Sprint(req), fmt.Sprintf("%v %+v %#v %s", req, req, req, &req), log.String(),
	} {
		noSecret(t, text)
		if !strings.Contains(text, testTarget) {
			t.Errorf("%q does not name %s", text, testTarget)
		}
	}
}
