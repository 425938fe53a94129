package port

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// An HTTP is an HTTP server of the lab on one port.
type HTTP struct {
	name     string
	listener net.Listener
	server   *http.Server
	logger   *slog.Logger
	stop     context.CancelFunc // ends waiting requests
	served   sync.WaitGroup
}

// Serve starts a server on a [Port], or on a listener over one. name is for errors.
func Serve(name string, l net.Listener, handler http.Handler, logger *slog.Logger) *HTTP {
	ctx, stop := context.WithCancel(context.Background())
	s := &HTTP{name: name, listener: l, logger: logger, stop: stop, server: &http.Server{
		Handler:           handler,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		MaxHeaderBytes:    128 << 10, // tokens of 64 KiB fit
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}}
	s.served.Go(s.serve)
	return s
}

func (s *HTTP) serve() {
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		s.logger.Error(s.name+" stopped", "error", err)
	}
}

// Close stops the server and waits for all its goroutines.
func (s *HTTP) Close() error {
	s.stop()
	err := s.listener.Close() // resets connections, so Shutdown waits only for handlers
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err = errors.Join(err, s.server.Shutdown(ctx), s.server.Close())
	s.served.Wait()
	return err
}
