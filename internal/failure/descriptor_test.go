package failure

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"syscall"
	"testing"
)

func TestNoDescriptor(t *testing.T) {
	socket := func(err error) error {
		return &net.OpError{Op: "dial", Err: os.NewSyscallError("socket", err)}
	}
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("no"), false},
		{socket(syscall.ECONNREFUSED), false},
		{socket(syscall.EMFILE), true},
		{socket(syscall.ENFILE), true},
		{fmt.Errorf("fetch: %w", &url.Error{Op: "Post", Err: socket(syscall.EMFILE)}), true},
		{&net.DNSError{Err: "no such host", Name: "proxy"}, false},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "dial udp 10.0.0.2:53: socket: " + syscall.EMFILE.Error(), Name: "proxy"}}, true},
	} {
		if got := NoDescriptor(tt.err); got != tt.want {
			t.Errorf("%v: %v", tt.err, got)
		}
	}
}
