package listener

// reserved is how many descriptors are kept for everything that is not a client
// connection: the admin address, the token service, files.
const reserved = 256

// DefaultLimit returns how many client connections the process can serve with
// its descriptor limit, when it listens on so many sockets: each connection takes
// two descriptors, its own and the upstream one. 0 means that no limit is known.
func DefaultLimit(sockets int) int {
	nofile := descriptors()
	if nofile <= 0 {
		return 0
	}
	return max((nofile-reserved-sockets)/2, 1)
}
