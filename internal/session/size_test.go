package session

import (
	"testing"
	"unsafe"
)

// TestConnectionsStaySmall: a tunnel may hold thousands of idle ones, and the next size
// class of the allocator is an eighth larger (1152).
func TestConnectionsStaySmall(t *testing.T) {
	if size := unsafe.Sizeof(connection{}); size > 1024 {
		t.Errorf("%d bytes", size)
	}
}
