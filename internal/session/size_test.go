package session

import (
	"testing"
	"unsafe"
)

// TestConnectionsStaySmall: a tunnel may hold thousands of idle ones, and the next size
// class of the allocator is an eighth larger.
func TestConnectionsStaySmall(t *testing.T) {
	if size := unsafe.Sizeof(connection{}); size > 1280 {
		t.Errorf("%d bytes", size)
	}
}
