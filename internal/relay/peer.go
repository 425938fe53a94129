package relay

// What the kernel knows of the peer of a TCP connection while nothing reads from it (tcp(7),
// TCP_INFO). Only Linux answers.

// A State is what the kernel knows of the other end.
type State uint8

// The states.
const (
	Open   State = iota
	Unread       // it has ended its side, and there are bytes to read before that
	Ended        // it has ended its side, and all was read
	Reset        // it has reset the connection
)
