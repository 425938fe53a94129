package failure

import (
	"errors"
	"net"
	"strings"
	"syscall"
)

// NoDescriptor reports whether err means that the process or the machine has no
// file descriptor left. The resolver keeps only the text of such an error.
func NoDescriptor(err error) bool {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && strings.Contains(dns.Err, syscall.EMFILE.Error()) {
		return true
	}
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
