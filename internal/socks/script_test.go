package socks

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Parts of tokens that must not be found in any text.
const (
	secretToken = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzYi1jbG9uZSFiMSJ9.c2lnbmF0dXJl"
	testProxy   = "proxy.example:20004"
	testTarget  = "kafka-1.corp:9092"
)

// granted is a whole good answer of the proxy.
var granted = []byte{5, 0x80, 1, 0, 5, 0, 0, 1, 10, 0, 0, 1, 0x23, 0x84}

func testRequest() Request {
	return Request{Token: secretToken, LocationID: "LOC1", Host: "kafka-1.corp", Port: 9092, Proxy: testProxy}
}

// A script is a connection whose peer is a list of bytes. It notes what was
// written, when, and which deadlines were set.
type script struct {
	answers []byte
	atOnce  int    // bytes a read gives at most; 0: all
	end     error  // after the answers; nil: io.EOF
	onRead  func() // called after the last of the answers was read

	writes   [][]byte
	readAt   []int // bytes read before each write
	read     int
	slowPast time.Duration // before a deadline in the past takes effect
	failFrom int           // writes from this one (from 1) on fail with end; 0: none

	mu        sync.Mutex
	deadlines []time.Time
}

func (s *script) Read(p []byte) (int, error) {
	left := s.answers[s.read:]
	if len(left) == 0 {
		if s.end != nil {
			return 0, s.end
		}
		return 0, io.EOF
	}
	if s.atOnce > 0 && len(left) > s.atOnce {
		left = left[:s.atOnce]
	}
	n := copy(p, left)
	s.read += n
	if s.read == len(s.answers) && s.onRead != nil {
		s.onRead()
	}
	return n, nil
}

func (s *script) Write(p []byte) (int, error) {
	s.writes = append(s.writes, bytes.Clone(p))
	s.readAt = append(s.readAt, s.read)
	if s.failFrom > 0 && len(s.writes) >= s.failFrom {
		return 0, s.end
	}
	return len(p), nil
}

func (s *script) SetDeadline(t time.Time) error {
	if t.Equal(past) {
		<-time.After(s.slowPast)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadlines = append(s.deadlines, t)
	return nil
}

func (s *script) lastDeadline() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.deadlines) == 0 {
		return time.Time{}
	}
	return s.deadlines[len(s.deadlines)-1]
}

func (s *script) Close() error                     { return nil }
func (s *script) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (s *script) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 20004} }
func (s *script) SetReadDeadline(time.Time) error  { panic("not used") }
func (s *script) SetWriteDeadline(time.Time) error { panic("not used") }

// wantFailure checks the code of an error and that the error gives away nothing.
func wantFailure(t *testing.T, err error, code failure.Code) *failure.Failure {
	t.Helper()
	f, ok := failure.As(err)
	if !ok {
		t.Fatalf("error %v, want a failure %s", err, code)
	}
	if f.Code != code {
		t.Fatalf("failure %s (%v), want %s", f.Code, err, code)
	}
	noSecret(t, err.Error())
	noSecret(t, f.Advice())
	return f
}

func noSecret(t *testing.T, text string) {
	t.Helper()
	for _, part := range strings.Split(secretToken, ".") {
		if strings.Contains(text, part) {
			t.Errorf("the token stands in %q", text)
		}
	}
}
