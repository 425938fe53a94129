package forward

import (
	"bytes"
	"errors"
	"syscall"
	"testing"
	"time"
)

// TestAResetIsNoticedWhileTheServerDoesNotRead: a client's reset ends the relay even if
// nothing reads from the client because the server accepts no more bytes (R13).
func TestAResetIsNoticedWhileTheServerDoesNotRead(t *testing.T) {
	if checkEvery >= 5*time.Second {
		t.Errorf("both ends are checked every %v; the tunnel must notice a reset within 5 s", checkEvery)
	}
	w := start(t)
	_ = w.client.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	block := bytes.Repeat([]byte("x"), 1<<20)
	for {
		if _, err := w.client.Write(block); err != nil {
			break // the server reads nothing, and the kernel's buffers are full
		}
	}
	_ = w.client.SetLinger(0)
	_ = w.client.Close()
	if o := <-w.over; !errors.Is(o.err, syscall.ECONNRESET) {
		t.Errorf("outcome %+v", o)
	}
}
