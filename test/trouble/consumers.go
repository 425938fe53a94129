//go:build linux

package trouble

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// consumers are clients that have stopped reading in the middle of a response.
type consumers struct {
	fetches []*fetch
	release []func()
	failed  error // error of the first one that did not get that far
}

// stopped connects n consumers, each of which reads half of its response and then stops. They
// alternate between the versions. receiving is their SO_RCVBUF, 0: the kernel's default.
func stopped(ctx context.Context, b *broker, address string, n, receiving int, versions ...int16) *consumers {
	c := &consumers{fetches: make([]*fetch, n)}
	var mu sync.Mutex
	failed := c.each(func(i int) error {
		conn, done, err := dial(ctx, address)
		mu.Lock()
		c.release = append(c.release, done)
		mu.Unlock()
		if err != nil {
			return err
		}
		if receiving > 0 {
			if err := conn.SetReadBuffer(receiving); err != nil {
				return err
			}
		}
		f, err := b.send(conn, versions[i%len(versions)], uint32(i))
		if err != nil {
			return err
		}
		if err := f.read(len(f.want) / 2); err != nil {
			return err
		}
		c.fetches[i] = f
		return nil
	})
	c.failed = first(failed)
	c.fetches = slices.DeleteFunc(c.fetches, func(f *fetch) bool { return f == nil })
	return c
}

// finish reads the rest of every response and then sends a small request, because the
// connection must still be usable. It returns an error for each consumer that failed.
func (c *consumers) finish() []error {
	return c.each(func(i int) error {
		f := c.fetches[i]
		if err := f.rest(); err != nil {
			return err
		}
		if err := ask(f.conn, heartbeat); err != nil {
			return fmt.Errorf("a request after the response: %w", err)
		}
		return nil
	})
}

func (c *consumers) close() {
	for _, done := range c.release {
		done()
	}
}

// together is how many consumers read at the same time. More would only compete for the
// processors of the machine, which also runs brokers, lab and consumers.
const together = 16

// each calls do for all of them, some concurrently, and returns an error for each failure.
func (c *consumers) each(do func(i int) error) []error {
	errs := make([]error, len(c.fetches))
	slots := make(chan struct{}, together)
	var wait sync.WaitGroup
	for i := range c.fetches {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			if err := do(i); err != nil {
				errs[i] = fmt.Errorf("consumer %d: %w", i, err)
			}
		})
	}
	wait.Wait()
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

// first returns the first error, nil if there is none.
func first(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return errs[0]
}

// ping returns the median time of n small requests.
func ping(conn net.Conn, n int) (time.Duration, error) {
	times := make([]time.Duration, n)
	for i := range times {
		begin := time.Now()
		if err := ask(conn, heartbeat); err != nil {
			return 0, fmt.Errorf("another client's small request: %w", err)
		}
		times[i] = time.Since(begin)
	}
	return median(times), nil
}

// fetchWhole fetches a whole response and returns how long that took.
func (b *broker) fetchWhole(conn net.Conn, version int16) (time.Duration, error) {
	begin := time.Now()
	f, err := b.send(conn, version, 7)
	if err == nil {
		err = f.rest()
	}
	if err != nil {
		return 0, fmt.Errorf("another client's response: %w", err)
	}
	return time.Since(begin), nil
}
