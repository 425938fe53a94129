package forward

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/relay"
	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
)

// TestReach: bytes that the client sends during the dial arrive first, and a client
// that leaves cancels the dial.
func TestReach(t *testing.T) {
	unreachable := errors.New("unreachable")
	for name, test := range map[string]struct {
		early string
		leave func(*net.TCPConn) error
		fails bool // the dial fails, and the client stays
		gone  bool
	}{
		"silent":                   {},
		"sends early":              {early: "hello"},
		"sends more than fits":     {early: string(bytes.Repeat([]byte("0123456789"), maxEarly/5))},
		"sends and closes":         {early: "hello", leave: (*net.TCPConn).CloseWrite},
		"closes":                   {leave: (*net.TCPConn).CloseWrite, gone: true},
		"resets":                   {leave: reset, gone: true},
		"sends and resets":         {early: "hello", leave: reset, gone: true},
		"the dial fails":           {early: "hello", fails: true},
		"the dial fails, no bytes": {fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			client, inner := testutil.Pair(t)
			server, upstream := testutil.Pair(t)
			if _, err := client.Write([]byte(test.early)); err != nil {
				t.Fatal(err)
			}
			lent := &memory{first: make(chan struct{})}
			dial := func(ctx context.Context) (net.Conn, error) {
				if test.leave != nil {
					if err := test.leave(client); err != nil {
						t.Error(err)
					}
				}
				if test.gone {
					<-ctx.Done()
					return nil, context.Cause(ctx)
				}
				if test.fails {
					if test.early != "" {
						<-lent.first // the early bytes are being read
					}
					return nil, unreachable
				}
				return upstream, nil
			}
			c := NewGroup(lent).New(inner)
			err := c.Reach(t.Context(), dial)
			if test.gone || test.fails {
				if kept := lent.now.Load(); kept != 0 {
					t.Errorf("%d bytes of buffers are kept", kept)
				}
			}
			switch {
			case test.gone:
				if !errors.Is(err, ErrGone) {
					t.Error(err)
				}
				return
			case test.fails:
				if !errors.Is(err, unreachable) {
					t.Error(err)
				}
				return
			case err != nil:
				t.Fatal(err)
			}
			over := make(chan outcome, 1)
			go func() {
				sent, received, err := c.Relay(t.Context())
				over <- outcome{sent, received, err}
			}()
			got := make([]byte, len(test.early))
			if _, err := io.ReadFull(server, got); err != nil || string(got) != test.early {
				t.Errorf("%d bytes arrived, %v", len(got), err)
			}
			if _, err := server.Write([]byte("answer")); err != nil {
				t.Fatal(err)
			}
			answer := make([]byte, 6)
			if _, err := io.ReadFull(client, answer); err != nil || string(answer) != "answer" {
				t.Errorf("%q, %v", answer, err)
			}
			if test.leave == nil {
				_ = client.CloseWrite()
			}
			if _, err := server.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("the client's end: %v", err)
			}
			_ = server.Close()
			if o := <-over; o.err != nil || o.sent != int64(len(test.early)) || o.received != 6 {
				t.Errorf("%+v", o)
			}
		})
	}
}

// memory counts the bytes of the buffers in use.
type memory struct {
	now   atomic.Int64
	once  sync.Once
	first chan struct{} // closed when a buffer is lent
}

func (m *memory) LendBuffer(n int) bool {
	m.now.Add(int64(n))
	m.once.Do(func() { close(m.first) })
	return true
}
func (m *memory) ReturnBuffer(n int)                  { m.now.Add(-int64(n)) }
func (m *memory) Largest() int64                      { return 0 }
func (m *memory) Request(int, func()) relay.Admission { panic("forwards hold nothing") }

func reset(c *net.TCPConn) error { return errors.Join(c.SetLinger(0), c.Close()) }
