package listener

// reserved is how many descriptors are kept for everything that is not a client
// connection: the admin address, the token service, files.
const reserved = 256

// DefaultLimit returns how many client connections a process can serve with so many
// descriptors, when it listens on so many sockets: each connection takes two
// descriptors, its own and the upstream one. It is at least 1; 0 means that no limit of
// descriptors is known.
func DefaultLimit(descriptors, sockets int) int {
	if descriptors <= 0 {
		return 0
	}
	return max((descriptors-reserved-sockets)/2, 1)
}
