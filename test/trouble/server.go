//go:build linux

package trouble

import (
	"net"
	"sync"
)

// A server accepts connections on loopback. It owns a goroutine for that and one for each
// connection; close ends them and waits.
type server struct {
	listener net.Listener
	serve    func(conn net.Conn) // serves one connection; the server closes it afterwards
	work     sync.WaitGroup

	mu    sync.Mutex // guards conns
	conns map[net.Conn]bool
}

// startServer starts a server on an ephemeral port.
func startServer(serve func(conn net.Conn)) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing to wait for
	if err != nil {
		return nil, err
	}
	s := &server{listener: l, serve: serve, conns: map[net.Conn]bool{}}
	s.work.Go(s.accept)
	return s, nil
}

func (s *server) address() string { return s.listener.Addr().String() }

func (s *server) close() {
	_ = s.listener.Close()
	s.mu.Lock()
	for conn := range s.conns {
		_ = conn.Close()
	}
	s.mu.Unlock()
	s.work.Wait()
}

// accept is the goroutine that takes connections.
func (s *server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[conn] = true
		s.mu.Unlock()
		s.work.Go(func() { s.handle(conn) })
	}
}

// handle is the goroutine of one connection.
func (s *server) handle(conn net.Conn) {
	s.serve(conn)
	_ = conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}
