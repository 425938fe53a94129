//go:build linux

package trouble

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// apiVersions is an ApiVersions request in version 0, and heartbeat a Heartbeat in
// version 0 with nothing in it, without a client id.
var (
	apiVersions = []byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff}
	heartbeat   = []byte{0, 0, 0, 10, 0, 12, 0, 0, 0, 0, 0, 1, 0xff, 0xff}
)

// ask sends a small request and reads its response.
func ask(conn net.Conn, request []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > 1<<20 {
		return fmt.Errorf("a response of %d bytes", n)
	}
	_, err := io.CopyN(io.Discard, conn, int64(n))
	return err
}

// dial connects; the connection ends with ctx. done must be called in any case.
func dial(ctx context.Context, address string) (conn *net.TCPConn, done func(), err error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, func() {}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	return c.(*net.TCPConn), func() { stop(); _ = c.Close() }, nil
}

// crowd is many clients that connect, send ApiVersions, wait for the response or the end, and
// do so again immediately.
type crowd struct {
	address  string
	answered atomic.Int64
	closed   atomic.Int64 // without a response
	refused  atomic.Int64 // not even connected

	stopAll context.CancelFunc
	clients sync.WaitGroup
}

// startCrowd starts n of them; stop ends them.
func startCrowd(ctx context.Context, address string, n int) *crowd {
	c := &crowd{address: address}
	ctx, c.stopAll = context.WithCancel(ctx)
	for range n {
		c.clients.Go(func() { c.client(ctx) })
	}
	return c
}

func (c *crowd) stop() {
	c.stopAll()
	c.clients.Wait()
}

// client is the goroutine of one client.
func (c *crowd) client(ctx context.Context) {
	for ctx.Err() == nil {
		if err := c.once(ctx); err != nil {
			c.refused.Add(1)
			_ = pause(ctx, 10*time.Millisecond) // no port or no file descriptor is free on this side
		}
	}
}

func (c *crowd) once(ctx context.Context) error {
	conn, done, err := dial(ctx, c.address)
	defer done()
	if err != nil {
		return err
	}
	switch err := ask(conn, apiVersions); {
	case err == nil:
		c.answered.Add(1)
	case ctx.Err() == nil:
		c.closed.Add(1)
	}
	return nil
}

// awaitAnswers waits for n more responses.
func (c *crowd) awaitAnswers(ctx context.Context, n int64) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	goal := c.answered.Load() + n
	err := until(ctx, 5*time.Millisecond, func() (bool, error) { return c.answered.Load() >= goal, nil })
	if err != nil {
		return fmt.Errorf("%d of %d responses: %w", c.answered.Load()-goal+n, n, err)
	}
	return nil
}

// median returns the median.
func median[T int64 | float64 | time.Duration](values []T) T {
	if len(values) == 0 {
		return 0
	}
	values = slices.Clone(values)
	slices.Sort(values)
	return values[len(values)/2]
}

func sorted(list []string) string {
	slices.Sort(list)
	return strings.Join(list, ", ")
}
