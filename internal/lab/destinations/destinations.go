// Package destinations simulates the destination service of SAP BTP.
//
// It answers GET /destination-configuration/v1/destinations/NAME for clients with a token for
// it, with the destination of the token's tenant or, if that has none, of the subaccount:
//
//	{"owner": {"SubaccountId": "...", "InstanceId": null},
//	 "destinationConfiguration": {"Name": "kafka", "Type": "TCP", "ProxyType": "OnPremise", "Address": "..."}}
//
// A [faults.Set] determines its failures (kinds destination_*).
//
// Facts: SAP-docs/btp-connectivity, "find a destination: response structure", "calling
// the destination service REST API".
package destinations

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/port"
)

// Options describe the service.
type Options struct {
	// Verify returns the tenant of a token, or why it is not valid.
	Verify func(token string, now time.Time) (tenant string, err error)
	Tenant string      // tenant of the subaccount
	Faults *faults.Set // faults of the service; may be nil
	Logger *slog.Logger
}

// A Service is a running destination service.
type Service struct {
	opts   Options
	port   *port.Port
	server *port.HTTP

	mu       sync.Mutex
	all      map[key]map[string]string
	requests int
}

type key struct{ tenant, name string }

// Start starts a service on a port of its own.
func Start(opts Options) (*Service, error) {
	p, err := port.Listen("127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("destination service: %w", err)
	}
	s := &Service{opts: opts, port: p, all: map[key]map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /destination-configuration/v1/destinations/{name}", s.find)
	opts.Faults.OnChange(s.followFaults)
	s.followFaults()
	s.server = port.Serve("destination service", p, mux, opts.Logger)
	return s, nil
}

// followFaults closes or opens the port according to the faults.
func (s *Service) followFaults() {
	_, down := s.opts.Faults.Active(faults.DestinationDown, faults.Where{})
	if err := s.port.SetDown(down); err != nil {
		s.opts.Logger.Error("destination service cannot restart", "error", err)
	}
}

// Close stops the service and waits for all its goroutines.
func (s *Service) Close() error { return s.server.Close() }

// URL returns the uri of a binding.
func (s *Service) URL() string { return "http://" + s.port.String() }

// Set creates or changes a destination of the subaccount; nil deletes it. It fills in Name, and
// Type and ProxyType if they are missing.
func (s *Service) Set(name string, properties map[string]string) {
	s.SetFor(s.opts.Tenant, name, properties)
}

// SetFor is Set for the subaccount of a subscriber.
func (s *Service) SetFor(tenant, name string, properties map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := key{tenant, name}
	if properties == nil {
		delete(s.all, at)
		return
	}
	d := map[string]string{"Type": "TCP", "ProxyType": "OnPremise"}
	maps.Copy(d, properties)
	d["Name"] = name
	s.all[at] = d
}

// Get returns a destination of the subaccount, nil if there is none.
func (s *Service) Get(name string) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.all[key{s.opts.Tenant, name}])
}

// Requests returns the number of requests, answered or not.
func (s *Service) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// find is GET /destination-configuration/v1/destinations/{name}.
func (s *Service) find(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests++
	s.mu.Unlock()
	if s.applyFault(w, r) {
		return
	}
	value, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		refuse(w, http.StatusUnauthorized, "Authorization header is missing")
		return
	}
	tenant, err := s.opts.Verify(value, time.Now())
	if err != nil {
		s.opts.Logger.Debug("destination refused", "reason", err)
		refuse(w, http.StatusUnauthorized, "Invalid token")
		return
	}
	name := r.PathValue("name")
	s.mu.Lock()
	owner, said := tenant, s.all[key{tenant, name}]
	if said == nil {
		owner, said = s.opts.Tenant, s.all[key{s.opts.Tenant, name}]
	}
	said = maps.Clone(said)
	s.mu.Unlock()
	if _, gone := s.opts.Faults.Take(faults.DestinationMissing, faults.Where{Target: name}); said == nil || gone {
		refuse(w, http.StatusNotFound, "Configuration with the specified name was not found")
		return
	}
	answer(w, http.StatusOK, map[string]any{
		"owner":                    map[string]any{"SubaccountId": owner, "InstanceId": nil},
		"destinationConfiguration": said,
	})
}

// applyFault answers instead of the service if a fault requires it.
func (s *Service) applyFault(w http.ResponseWriter, r *http.Request) bool {
	if f, ok := s.opts.Faults.Take(faults.DestinationSlow, faults.Where{}); ok && !s.opts.Faults.Hold(r.Context(), f) {
		return true
	}
	if f, ok := s.opts.Faults.Take(faults.DestinationStatus, faults.Where{}); ok {
		if f.RetryAfter != "" {
			w.Header().Set("Retry-After", f.RetryAfter)
		}
		refuse(w, f.Status, http.StatusText(f.Status))
		return true
	}
	if _, ok := s.opts.Faults.Take(faults.DestinationHTML, faults.Where{}); ok {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte("<!DOCTYPE html><html><head><title>Log on</title></head><body>Please log on.</body></html>\n"))
		return true
	}
	return false
}

func refuse(w http.ResponseWriter, status int, text string) {
	answer(w, status, map[string]string{"ErrorMessage": text})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
