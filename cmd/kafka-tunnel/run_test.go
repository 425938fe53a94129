package main

import (
	"context"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestDrain: how long it takes, when connections stay open.
func TestDrain(t *testing.T) {
	const configured = 55 * time.Second // the tunnel's own bound
	for _, c := range []struct {
		name    string
		longest time.Duration
		second  time.Duration // when a second signal comes; 0: none
		want    time.Duration
	}{
		{"SIGTERM", forever, 0, configured},
		{"SIGINT", interrupted, 0, 3 * time.Second},
		{"a second signal", forever, time.Second, time.Second},
		{"a second SIGINT", interrupted, time.Second, time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stop := make(chan os.Signal, 2)
				if c.second > 0 {
					time.AfterFunc(c.second, func() { stop <- syscall.SIGTERM })
				}
				begin := time.Now()
				drain(t.Context(), func(ctx context.Context) {
					select {
					case <-ctx.Done():
					case <-time.After(configured):
					}
				}, c.longest, stop)
				if took := time.Since(begin); took != c.want {
					t.Errorf("took %v, want %v", took, c.want)
				}
			})
		})
	}
}
