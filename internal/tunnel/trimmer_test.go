package tunnel

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoryIsReleasedAfterAWave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var released []time.Duration
		trimmer := newTrimmer(func() { released = append(released, time.Since(begin)) })
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() {
			trimmer.run(ctx)
			close(over)
		}()
		note := func(n int) {
			for range n {
				trimmer.note()
			}
		}
		note(trimAfter - 1)
		time.Sleep(time.Hour) // synctest
		synctest.Wait()
		if len(released) > 0 {
			t.Errorf("released after %v although too few stacks are free", released)
		}
		note(10 * trimAfter)  // all in one wave
		time.Sleep(time.Hour) // synctest
		synctest.Wait()
		note(trimAfter)
		time.Sleep(time.Hour) // synctest
		synctest.Wait()
		want := []time.Duration{time.Hour + trimPause, 2*time.Hour + trimPause}
		if len(released) != 2 || released[0] != want[0] || released[1] != want[1] {
			t.Errorf("released after %v, want %v", released, want)
		}
		note(trimAfter)
		synctest.Wait()
		cancel() // during the pause
		<-over
	})
}
