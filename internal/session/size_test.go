package session

import (
	"testing"
	"unsafe"
)

// TestConnectionsStaySmall: a connection stays in its size class of the allocator,
// because a tunnel may hold thousands of idle ones. The next class (1152) is an eighth
// larger.
func TestConnectionsStaySmall(t *testing.T) {
	if size := unsafe.Sizeof(connection{}); size > 1024 {
		t.Errorf("%d bytes", size)
	}
}
