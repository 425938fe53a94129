package token

import (
	"net"
	"net/url"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// TestNoDescriptorIsNotAttributedToTheService: without a free descriptor the advice is
// about this process, and retries do not wait for the long pauses of an outage.
func TestNoDescriptorIsNotAttributedToTheService(t *testing.T) {
	f := &clientFetcher{}
	err := &url.Error{Op: "Post", URL: "https://uaa.example", Err: &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}}
	if got := f.unreachable(t.Context(), err); got.Code != failure.DescriptorsExhausted {
		t.Errorf("%v", got)
	}
	synctest.Test(t, func(t *testing.T) {
		s := New(nil, Options{})
		for range 20 {
			if pause := s.pause(failure.New(failure.DescriptorsExhausted, nil)); pause > time.Second {
				t.Errorf("a pause of %v", pause)
			}
		}
	})
}
