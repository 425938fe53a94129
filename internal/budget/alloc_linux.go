package budget

import "golang.org/x/sys/unix"

// Buffers are outside the Go heap: the garbage collector would let a heap with them grow to
// twice their size, and return the memory late. The operating system commits a page when it is
// written, so a large buffer alone costs nothing, and it gets all pages back at once.
func allocate(n int) []byte {
	if n == 0 {
		return nil
	}
	buf, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return make([]byte, n) // no room for another mapping: use the heap
	}
	return buf
}

// free returns the memory of allocate. Munmap refuses a buffer in the heap.
func free(buf []byte) {
	if buf != nil {
		_ = unix.Munmap(buf)
	}
}
