package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/port"
)

// maxBody limits the body of a request to the control port.
const maxBody = 64 << 10

// control is the HTTP server of the control port.
type control struct {
	land   *Landscape
	port   *port.Port
	server *port.HTTP
}

// newControl starts the server.
func newControl(l *Landscape, listen string) (*control, error) {
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	p, err := port.Listen(listen)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	c := &control{land: l, port: p}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /faults", c.add)
	mux.HandleFunc("GET /faults", c.list)
	mux.HandleFunc("DELETE /faults", c.clear)
	mux.HandleFunc("DELETE /faults/{id}", c.remove)
	mux.HandleFunc("GET /kinds", c.kinds)
	mux.HandleFunc("GET /state", c.state)
	mux.HandleFunc("PUT /destinations/{name}", c.putDestination)
	mux.HandleFunc("GET /destinations/{name}", c.getDestination)
	mux.HandleFunc("DELETE /destinations/{name}", c.deleteDestination)
	c.server = port.Serve("control port", p, localOnly(mux), l.opts.Logger)
	return c, nil
}

// close stops the server and waits for it.
func (c *control) close() error { return c.server.Close() }

// ControlURL returns the base URL of the control port.
func (l *Landscape) ControlURL() string { return "http://" + l.control.port.String() }

// localOnly refuses requests that a web page could make a browser send: with a name that
// resolves to loopback, or from another origin.
func localOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		if host != "localhost" && net.ParseIP(host) == nil {
			answerError(w, http.StatusForbidden, fmt.Errorf("the Host header must be an IP address or localhost, not %q", host))
			return
		}
		if r.Header.Get("Origin") != "" {
			answerError(w, http.StatusForbidden, errors.New("requests from web pages are refused"))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// add is POST /faults.
func (c *control) add(w http.ResponseWriter, r *http.Request) {
	var f faults.Fault
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		answerError(w, http.StatusBadRequest, fmt.Errorf("the body is not a fault: %w", err))
		return
	}
	if dec.More() {
		answerError(w, http.StatusBadRequest, errors.New("the body has more than one fault"))
		return
	}
	if f.ID != "" {
		answerError(w, http.StatusBadRequest, errors.New("the lab assigns the id"))
		return
	}
	f, err := c.land.faults.Add(f)
	if err != nil {
		answerError(w, http.StatusBadRequest, err)
		return
	}
	answerJSON(w, http.StatusCreated, f)
}

// list is GET /faults.
func (c *control) list(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, c.land.faults.List())
}

// clear is DELETE /faults.
func (c *control) clear(w http.ResponseWriter, _ *http.Request) {
	c.land.faults.Clear()
	w.WriteHeader(http.StatusNoContent)
}

// remove is DELETE /faults/{id}.
func (c *control) remove(w http.ResponseWriter, r *http.Request) {
	if !c.land.faults.Remove(r.PathValue("id")) {
		answerError(w, http.StatusNotFound, fmt.Errorf("no fault %q", r.PathValue("id")))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// kinds is GET /kinds.
func (c *control) kinds(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, faults.Kinds())
}

// state is GET /state.
func (c *control) state(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, c.land.State())
}

// answerError answers with an error text.
func answerError(w http.ResponseWriter, status int, err error) {
	answerJSON(w, status, map[string]string{"error": err.Error()})
}

// answerJSON answers with indented JSON.
func answerJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.Encode(body)
}
