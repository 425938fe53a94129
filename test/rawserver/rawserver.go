// Package rawserver is a server of which only the work on one connection is to be written:
// the stand-ins for brokers in measurements, where a mock would be slower than what is
// measured.
package rawserver

import (
	"net"
	"sync"
)

// A Server accepts connections. It owns a goroutine for that and one for each connection;
// Close ends them and waits.
type Server struct {
	listener net.Listener
	serve    func(conn net.Conn)
	work     sync.WaitGroup

	mu    sync.Mutex // guards conns
	conns map[net.Conn]bool
}

// Listen starts a server on an ephemeral port of the loopback, see [Start].
func Listen(serve func(conn net.Conn)) (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing to wait for
	if err != nil {
		return nil, err
	}
	return Start(l, serve), nil
}

// Start starts a server on a listener, which it owns. serve serves one connection; the
// server closes it afterwards.
func Start(l net.Listener, serve func(conn net.Conn)) *Server {
	s := &Server{listener: l, serve: serve, conns: map[net.Conn]bool{}}
	s.work.Go(s.accept)
	return s
}

// Address returns host:port.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Close closes the listener and all connections.
func (s *Server) Close() {
	_ = s.listener.Close()
	s.mu.Lock()
	for conn := range s.conns {
		_ = conn.Close()
	}
	s.mu.Unlock()
	s.work.Wait()
}

// accept is the goroutine that takes connections.
func (s *Server) accept() {
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
func (s *Server) handle(conn net.Conn) {
	s.serve(conn)
	_ = conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}
