package lab

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/connector"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/port"
)

// registryAddress is the address of the Schema Registry's stand-in, virtual and
// internal.
const (
	registryHost    = "registry.onprem.invalid"
	registryPort    = 8081
	registryAddress = "registry.onprem.invalid:8081"
)

// A registry is an HTTP server in the company's network, for forwards: it answers a
// Schema Registry's most asked question.
type registry struct {
	port   *port.Port
	server *http.Server
	served chan struct{}
}

// startRegistry starts the stand-in and exposes it.
func (l *Landscape) startRegistry() error {
	if !l.opts.Registry {
		return nil
	}
	p, err := port.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /subjects", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.schemaregistry.v1+json")
		_, _ = io.WriteString(w, `["lab-value"]`+"\n")
	})
	r := &registry{port: p, served: make(chan struct{}), server: &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(l.opts.Logger.Handler(), slog.LevelDebug),
	}}
	l.registry = r
	go func() {
		defer close(r.served)
		if err := r.server.Serve(p); !errors.Is(err, http.ErrServerClosed) {
			l.opts.Logger.Error("the registry stopped", "error", err)
		}
	}()
	return l.connector.Allow(connector.Entry{Host: registryHost, First: registryPort, Last: registryPort, Internal: registryHost, InternalFirst: registryPort})
}

func (r *registry) close() error {
	err := r.port.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err = errors.Join(err, r.server.Shutdown(ctx), r.server.Close())
	<-r.served
	return err
}
