package tap

// A Capture collects one frame while it passes. Its pump owns it.
type Capture struct {
	viewer *Viewer
	frame  Frame
	left   int // bytes that remain to be copied
	prefix int // bytes of the size field that have passed
}

// sizeLen is the length of the size field, which precedes a frame.
const sizeLen = 4

// Wants reports whether more bytes must be copied.
func (c *Capture) Wants() bool { return c.left > 0 }

// Write copies bytes of the frame, beginning with its size. It drops bytes above the limit.
func (c *Capture) Write(b []byte) {
	n := min(sizeLen-c.prefix, len(b))
	c.prefix, b = c.prefix+n, b[n:]
	b = b[:min(len(b), c.left)]
	if len(b) == 0 {
		return
	}
	if !c.room(len(b)) {
		c.left = 0 // the viewer is too slow: the frame is shown without the rest
		return
	}
	c.left -= len(b)
	c.frame.Bytes = append(c.frame.Bytes, b...)
}

// room makes room for n more bytes; false if too much is held already. A large size field costs
// no memory by itself: the full buffer is allocated once the frame has proved to be long.
func (c *Capture) room(n int) bool {
	have := len(c.frame.Bytes)
	if have+n <= cap(c.frame.Bytes) {
		return true
	}
	if have > 0 {
		n = c.left
	}
	if !c.viewer.admit(n) {
		return false
	}
	bytes := make([]byte, have, cap(c.frame.Bytes)+n)
	copy(bytes, c.frame.Bytes)
	c.frame.Bytes = bytes
	return true
}

// Rewritten sets how many addresses of a response were replaced or left out.
func (c *Capture) Rewritten(addresses int) { c.frame.Addresses = addresses }

// End passes the frame to the viewer. cut: the connection ended within it.
func (c *Capture) End(cut bool) {
	c.frame.Cut = cut
	c.viewer.show(&c.frame)
}
