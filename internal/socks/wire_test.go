package socks

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What is sent can be read again by the letter of the format.
func TestMessagesSayWhatWasMeant(t *testing.T) {
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		req := Request{
			Token:      rapid.StringMatching(`[!-~]{1,1000}`).Draw(t, "token"),
			LocationID: string(rapid.SliceOfN(rapid.Byte(), 0, MaxLocationID).Draw(t, "location")),
			Host: rapid.OneOf(
				rapid.StringMatching(`[a-z][a-z0-9.-]{0,254}`),
				rapid.StringMatching(`(25[0-5]|[1-9]?[0-9])(\.(25[0-5]|[1-9]?[0-9])){3}`),
			).Draw(t, "host"),
			Port: rapid.Uint16().Draw(t, "port"),
		}
		conn := &script{answers: granted, atOnce: rapid.IntRange(0, 5).Draw(t, "atOnce")}
		if err := Connect(ctx, conn, req); err != nil {
			t.Fatal(err)
		}
		auth := conn.writes[1]
		size := binary.BigEndian.Uint32(auth[1:5])
		rest := auth[5+size:]
		location, err := base64.StdEncoding.DecodeString(string(rest[1:]))
		if auth[0] != 1 || string(auth[5:5+size]) != req.Token ||
			int(rest[0]) != len(rest)-1 || err != nil || string(location) != req.LocationID {
			t.Errorf("authentication % x", auth)
		}
		connect := conn.writes[2]
		if !bytes.Equal(connect[:3], []byte{5, 1, 0}) {
			t.Errorf("CONNECT % x", connect)
		}
		var host string
		rest = connect[4:]
		switch connect[3] {
		case 1:
			host, rest = net.IP(rest[:4]).String(), rest[4:]
		case 3:
			if net.ParseIP(req.Host) != nil {
				t.Errorf("%s was sent as a name", req.Host)
			}
			host, rest = string(rest[1:1+rest[0]]), rest[1+rest[0]:]
		}
		if host != req.Host || len(rest) != 2 || binary.BigEndian.Uint16(rest) != req.Port {
			t.Errorf("CONNECT % x, want %s", connect, req)
		}
	})
}

// replySize is what a reply needs, worked out from the RFC and not from the
// parser: 0 for bytes that are no reply.
func replySize(b []byte) int {
	switch {
	case len(b) < 2 || b[0] != 5:
		return 0
	case b[1] != 0:
		return 2
	case len(b) < 5:
		return 0
	}
	size := map[byte]int{1: 10, 3: 7 + int(b[4]), 4: 22}[b[3]]
	if size > len(b) {
		return 0
	}
	return size
}

func FuzzReadReply(f *testing.F) {
	f.Add([]byte{5, 0, 0, 1, 10, 0, 0, 1, 0x23, 0x84, 'p', 'a', 'y'}, uint8(0))
	f.Add([]byte{5, 0, 0, 3, 2, 'a', 'b', 0x23, 0x84, 'x'}, uint8(1))
	f.Add([]byte{5, 0, 0, 3, 255, 'a'}, uint8(2))
	f.Add([]byte{5, 0, 0, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, 1}, uint8(3))
	f.Add([]byte{5, 2}, uint8(1))
	f.Add([]byte{5}, uint8(0))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n"), uint8(0))
	f.Fuzz(func(t *testing.T, answer []byte, atOnce uint8) {
		conn := &script{answers: answer, atOnce: int(atOnce)}
		code, err := readReply(conn, make([]byte, maxReply))
		want := replySize(answer)
		switch {
		case want > 0 && err != nil:
			t.Fatalf("% x: %v", answer, err)
		case want > 0 && (conn.read != want || byte(code) != answer[1]):
			t.Fatalf("% x: read %d bytes for reply %d, want %d", answer, conn.read, code, want)
		case want == 0 && err == nil:
			t.Fatalf("% x: no error", answer)
		case err != nil && !errors.Is(err, errProtocol) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
			t.Fatalf("% x: %v", answer, err)
		}
	})
}

// A quiet script keeps nothing, so that what allocates is the handshake.
type quiet struct{ script }

func (q *quiet) Write(p []byte) (int, error) { return len(p), nil }
func (q *quiet) SetDeadline(time.Time) error { return nil }

// handshakes performs the given number of handshakes in memory.
func handshakes(ctx context.Context, tb testing.TB, n int) {
	tb.Helper()
	req := testRequest()
	conn := &quiet{script{answers: granted}}
	for range n {
		conn.read = 0
		if err := Connect(ctx, conn, req); err != nil {
			tb.Fatal(err)
		}
	}
}

func TestOneBufferForAllMessages(t *testing.T) {
	const n = 100
	ctx := context.WithoutCancel(t.Context())
	// One for each handshake, and one for the connection that they share.
	if got := testing.AllocsPerRun(10, func() { handshakes(ctx, t, n) }); got > n+1 {
		t.Errorf("%.2f allocations for a handshake", got/n)
	}
}

func BenchmarkConnect(b *testing.B) {
	b.Run("without cancel", func(b *testing.B) {
		b.ReportAllocs()
		handshakes(context.WithoutCancel(b.Context()), b, b.N)
	})
	b.Run("with cancel", func(b *testing.B) {
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		b.ReportAllocs()
		handshakes(ctx, b, b.N)
	})
}
