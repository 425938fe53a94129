package admin

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
)

// The limits of the server. They are sufficient: a request has a short path, a few headers and
// no body, and comes from a probe, a scraper or one person.
const (
	maxConnections = 64
	reserve        = 8                      // additional connections, while all others are being served
	maxIdle        = 16                     // connections between two requests
	writeGrace     = 250 * time.Millisecond // a response that waits longer for its reader may be cut
	maxHeaderBytes = 16 << 10
	headerTimeout  = 5 * time.Second
	readTimeout    = 10 * time.Second
	writeTimeout   = 5 * time.Second
	idleTimeout    = 30 * time.Second
	stopTimeout    = time.Second // for responses in progress when the server ends
)

// A Server serves one tunnel's admin endpoints.
type Server struct {
	// Source is the tunnel. It must be set.
	Source Source
	// Metrics serves /metrics; nil: 404.
	Metrics http.Handler
	// Tap serves /tap; nil: 404.
	Tap *tap.Tap
	// Logger logs viewers of frames, and at debug level errors of the HTTP server, such as a
	// client that disconnects; nil: no log.
	Logger *slog.Logger
}

// Serve answers requests on the listeners until ctx ends or one of them fails. It then closes
// them, gives responses in progress a second to finish, and returns when every goroutine that
// it started has ended. It returns nil if ctx has ended, else the listener's error.
//
// The address of each listener decides whether it serves all endpoints: only TCP listeners on a
// loopback address and Unix sockets do.
func (s *Server) Serve(ctx context.Context, listeners ...net.Listener) error {
	if len(listeners) == 0 {
		<-ctx.Done()
		return nil
	}
	run := &serving{open: newConns(), failed: make(chan error, len(listeners))}
	for _, l := range listeners {
		server := s.httpServer(ctx, run, isLocal(l.Addr()))
		run.servers = append(run.servers, server)
		run.loops.Add(1)
		go run.serve(server, &listener{Listener: l, conns: run.open})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-run.failed:
	}
	run.stop(context.WithoutCancel(ctx))
	return err
}

func (s *Server) httpServer(ctx context.Context, run *serving, local bool) *http.Server {
	// Responses in progress outlive ctx by up to stopTimeout.
	base := context.WithoutCancel(ctx)
	return &http.Server{
		Handler:           &guard{handler: s.handler(local), local: local, answers: make(chan struct{}, maxAnswers)},
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log().Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnState:         run.track,
	}
}

func (s *Server) log() *slog.Logger {
	if s.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Logger
}

// serving is one call of Serve.
type serving struct {
	servers []*http.Server
	open    *conns
	failed  chan error
	loops   sync.WaitGroup // accept loops
	conns   sync.WaitGroup // connections
}

// serve runs one accept loop.
func (r *serving) serve(server *http.Server, l net.Listener) {
	defer r.loops.Done()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		r.failed <- err
	}
}

// track records the states of connections and counts them, because http.Server.Close does not
// wait for their goroutines.
func (r *serving) track(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		r.conns.Add(1)
	case http.StateClosed, http.StateHijacked:
		r.conns.Done()
	default:
		r.open.set(c.(*conn), state)
	}
}

// stop stops all servers and waits for their goroutines.
func (r *serving) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	for _, server := range r.servers {
		if server.Shutdown(ctx) != nil {
			server.Close() // closes the remaining connections
		}
	}
	r.loops.Wait()
	r.conns.Wait()
}

// isLocal reports whether only this machine can connect to addr.
func isLocal(addr net.Addr) bool {
	switch a := addr.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	default:
		return false
	}
}
