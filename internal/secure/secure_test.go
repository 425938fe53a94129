//go:build unix

package secure

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ends is a connection and what the broker has of it.
func ends(t *testing.T, version uint16) (*Conn, *tls.Conn, *net.TCPConn) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"kafka-1.corp"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	broker := tls.Server(far, &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		MinVersion:   version, MaxVersion: version,
	})
	done := make(chan error, 1)
	go func() { done <- broker.Handshake() }()
	conn, err := Client(t.Context(), near, Config(roots), Peer{ServerName: "kafka-1.corp"})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); _ = far.Close() })
	return conn.(*Conn), broker, far.(*net.TCPConn)
}

// read waits for bytes as a pump does.
func read(t *testing.T, c *Conn, b []byte) (n int, err error) {
	t.Helper()
	raw, failed := c.SyscallConn()
	if failed != nil {
		t.Fatal(failed)
	}
	if failed := raw.Read(func(fd uintptr) bool {
		n, err = c.ReadReady(fd, b)
		return !errors.Is(err, syscall.EAGAIN)
	}); failed != nil {
		return 0, failed
	}
	return n, err
}

// TestEveryByteComes: records of all sizes, in pieces as the network likes them, into
// buffers of all sizes.
func TestEveryByteComes(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		conn, broker, _ := ends(t, version)
		sent := make([]byte, 3<<20)
		r := mathrand.New(mathrand.NewPCG(1, uint64(version)))
		for i := range sent {
			sent[i] = byte(r.Uint32())
		}
		go func() {
			for rest := sent; len(rest) > 0; {
				n := min(len(rest), 1+r.IntN([]int{1, 100, 20_000, 100_000}[r.IntN(4)]))
				if _, err := broker.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
			_ = broker.CloseWrite()
		}()
		sizes := mathrand.New(mathrand.NewPCG(2, 2))
		buf := make([]byte, 64<<10)
		var got []byte
		for {
			n, err := read(t, conn, buf[:1+sizes.IntN(len(buf))])
			got = append(got, buf[:n]...)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, sent) {
			t.Errorf("%x: %d bytes came, not what was sent", version, len(got))
		}
	}
}

// TestOneAnswerTakesSeveralRecords: what has come leaves together.
func TestOneAnswerTakesSeveralRecords(t *testing.T) {
	conn, broker, _ := ends(t, tls.VersionTLS13)
	for range 5 {
		if _, err := broker.Write(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	got := 0
	for got < 500 {
		n, err := read(t, conn, make([]byte, 4096))
		if err != nil {
			t.Fatal(err)
		}
		got += n
	}
	if got != 500 {
		t.Errorf("%d bytes", got)
	}
	// Nothing more is there, and that is said, not waited for.
	raw, _ := conn.SyscallConn()
	if err := raw.Read(func(fd uintptr) bool {
		if n, err := conn.ReadReady(fd, make([]byte, 10)); n != 0 || !errors.Is(err, syscall.EAGAIN) {
			t.Errorf("%d bytes, %v", n, err)
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
}

func TestEnds(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(*tls.Conn, *net.TCPConn)
		want error
	}{
		"in good order":           {func(b *tls.Conn, _ *net.TCPConn) { _ = b.Close() }, io.EOF},
		"without a word":          {func(_ *tls.Conn, far *net.TCPConn) { _ = far.Close() }, io.EOF},
		"with a reset":            {func(_ *tls.Conn, far *net.TCPConn) { _ = far.SetLinger(0); _ = far.Close() }, syscall.ECONNRESET},
		"in the midst of records": {func(_ *tls.Conn, far *net.TCPConn) { _, _ = far.Write([]byte{23, 3, 3, 0, 50, 1}); _ = far.Close() }, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			conn, broker, far := ends(t, tls.VersionTLS13)
			test.end(broker, far)
			for range 2 { // an end stays
				if n, err := read(t, conn, make([]byte, 10)); n != 0 || !errors.Is(err, test.want) {
					t.Errorf("%d bytes, %v; want %v", n, err, test.want)
				}
			}
		})
	}
}

func TestAbortResets(t *testing.T) {
	conn, _, far := ends(t, tls.VersionTLS13)
	conn.Abort()
	if _, err := io.ReadAll(far); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the broker sees %v", err)
	}
}

func TestCloseWriteEndsBoth(t *testing.T) {
	conn, broker, far := ends(t, tls.VersionTLS13)
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(broker); len(rest) > 0 || err != nil {
		t.Errorf("by TLS: %q %v", rest, err)
	}
	if rest, err := io.ReadAll(far); len(rest) > 0 || err != nil {
		t.Errorf("by TCP: %q %v", rest, err)
	}
}

func TestAFailedHandshakeCloses(t *testing.T) {
	near, far := net.Pipe()
	_ = far.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := Client(ctx, near, Config(nil), Peer{ServerName: "x"}); err == nil {
		t.Error("no error")
	}
	if _, err := near.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the connection is open: %v", err)
	}
}
