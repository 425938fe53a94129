package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/socksclient"
)

const (
	directHold  = 9 * time.Second        // limit of a dial, the time for which the tunnel holds a client
	directPause = 250 * time.Millisecond // between attempts, also of clients
)

// A direct dialer connects through token service, proxy and Cloud Connector without the tunnel.
// It is configured by the same binding.
type direct struct {
	proxy            string
	tokenURL         string
	clientID, secret string
	http             *http.Client
	// secure performs a TLS handshake over a connection to an address; nil: brokers without
	// TLS.
	secure func(ctx context.Context, conn net.Conn, address string) (net.Conn, error)

	mu    sync.Mutex // held during a fetch: one for all callers
	token string
	until time.Time
}

// newDirect reads the connectivity binding from the environment that the platform would set for
// the tunnel.
func newDirect(environ []string) (*direct, error) {
	type credentials struct {
		Host   string `json:"onpremise_proxy_host"`
		Port   string `json:"onpremise_socks5_proxy_port"`
		ID     string `json:"clientid"`
		Secret string `json:"clientsecret"`
		URL    string `json:"token_service_url"`
	}
	for _, kv := range environ {
		value, found := strings.CutPrefix(kv, "VCAP_SERVICES=")
		if !found {
			continue
		}
		var services struct {
			Connectivity []struct {
				Credentials credentials `json:"credentials"`
			} `json:"connectivity"`
		}
		if err := json.Unmarshal([]byte(value), &services); err != nil || len(services.Connectivity) == 0 {
			return nil, fmt.Errorf("the binding cannot be read: %w", err)
		}
		c := services.Connectivity[0].Credentials
		return &direct{
			proxy: net.JoinHostPort(c.Host, c.Port), tokenURL: strings.TrimSuffix(c.URL, "/") + "/oauth/token",
			clientID: c.ID, secret: c.Secret,
			http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: directHold},
		}, nil
	}
	return nil, errors.New("there is no binding")
}

// dial opens a connection to a virtual address. It retries failures of the upstream services
// until the time limit; a failure of this broker is an error at once.
func (d *direct) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, directHold)
	defer cancel()
	for {
		conn, err := d.attempt(ctx, address)
		if err == nil {
			return conn, nil
		}
		if !final(err) && pause(ctx, directPause) == nil {
			continue
		}
		// Only the text: for a client, a dial that took too long is the same as a refused one.
		return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New(err.Error())}
	}
}

// final reports whether the proxy has refused this address.
func final(err error) bool {
	if _, ok := errors.AsType[*tlsFailed](err); ok {
		return true
	}
	refused, ok := errors.AsType[*socksclient.Refused](err)
	return ok && refused.Step == "connect" && (refused.Code == 2 || refused.Code == 4)
}

// attempt opens one connection.
func (d *direct) attempt(ctx context.Context, address string) (net.Conn, error) {
	host, p, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return nil, err
	}
	token, err := d.current(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := socksclient.Dial(ctx, socksclient.Target{Proxy: d.proxy, Token: token, Host: host, Port: uint16(port)})
	if err != nil {
		if !final(err) {
			d.forget(token) // the token may be the cause
		}
		return nil, err
	}
	if d.secure == nil {
		return conn, nil
	}
	secured, err := d.secure(ctx, conn, address)
	if err != nil {
		return nil, &tlsFailed{err}
	}
	return secured, nil
}

// tlsFailed is a failed handshake with a broker.
type tlsFailed struct{ error }

// current returns a token.
func (d *direct) current(ctx context.Context) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.token != "" && time.Now().Before(d.until) {
		return d.token, nil
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {d.clientID}, "client_secret": {d.secret}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.tokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := d.http.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var answer struct {
		Token   string `json:"access_token"`
		Expires int    `json:"expires_in"`
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err == nil && response.StatusCode == http.StatusOK {
		err = json.Unmarshal(body, &answer)
	}
	if err != nil || answer.Token == "" || len(answer.Token) > 1<<16 {
		return "", fmt.Errorf("no token: status %d, %w", response.StatusCode, errors.Join(err, errNoToken))
	}
	d.token, d.until = answer.Token, time.Now().Add(time.Duration(answer.Expires)*time.Second/2)
	return d.token, nil
}

var errNoToken = errors.New("no usable token in the response")

// forget drops a token, unless it was already replaced.
func (d *direct) forget(token string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.token == token {
		d.token = ""
	}
}

// pause waits, or returns an error if ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
