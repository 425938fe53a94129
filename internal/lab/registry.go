package lab

import (
	"io"
	"net/http"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/connector"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/port"
)

// registryAddress is the address of the simulated Schema Registry, virtual and internal.
const (
	registryHost    = "registry.onprem.invalid"
	registryPort    = 8081
	registryAddress = "registry.onprem.invalid:8081"
)

// A registry is an HTTP server in the company's network, for forwards: it implements one
// request of a Schema Registry.
type registry struct {
	port   *port.Port
	server *port.HTTP
}

// startRegistry starts the registry and exposes it.
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
	l.registry = &registry{port: p, server: port.Serve("registry", p, mux, l.opts.Logger)}
	return l.connector.Allow(connector.Entry{Host: registryHost, First: registryPort, Last: registryPort, Internal: registryHost, InternalFirst: registryPort})
}

func (r *registry) close() error { return r.server.Close() }
