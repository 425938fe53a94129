package forward

import (
	"bytes"
	"errors"
	"syscall"
	"testing"
	"time"
)

// TestAResetIsNoticedWhileTheOtherSideTakesNoMore: nothing reads from a client whose
// bytes the server does not take; its reset ends the relay all the same (R13).
func TestAResetIsNoticedWhileTheOtherSideTakesNoMore(t *testing.T) {
	if checkEvery >= 5*time.Second {
		t.Errorf("both ends are checked every %v: a reset is to be noticed within 5 s", checkEvery)
	}
	w := start(t)
	_ = w.client.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	block := bytes.Repeat([]byte("x"), 1<<20)
	for {
		if _, err := w.client.Write(block); err != nil {
			break // the server reads nothing, and the kernels hold all they can
		}
	}
	_ = w.client.SetLinger(0)
	_ = w.client.Close()
	if o := <-w.over; !errors.Is(o.err, syscall.ECONNRESET) {
		t.Errorf("outcome %+v", o)
	}
}
