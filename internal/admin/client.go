package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
)

const (
	// requestTimeout limits one request of a client: the server answers from memory, on the
	// same machine.
	requestTimeout = 2 * time.Second
	// maxBody limits the size of a response.
	maxBody = 4 << 20
)

// A Client sends requests to a running tunnel. It is made for one command: each request has a
// connection of its own, and none stays open.
type Client struct {
	// BaseURL is the URL of the tunnel's admin address, as returned by [BaseURL].
	BaseURL string
	// Transport sends the requests; nil: TCP, without the HTTP proxy of the environment.
	Transport http.RoundTripper
}

// ErrNotOurs is wrapped by errors which report that the server at the admin address is not the
// tunnel.
var ErrNotOurs = errors.New("the server at this address is not kafka-tunnel")

// Status returns what the tunnel is doing.
func (c *Client) Status(ctx context.Context) (Status, error) {
	body, err := c.StatusJSON(ctx)
	if err != nil {
		return Status{}, err
	}
	var s Status
	if err := json.Unmarshal(body, &s); err != nil {
		return Status{}, fmt.Errorf("status from %s: %w", c.BaseURL, err)
	}
	return s, nil
}

// StatusJSON returns the response of /status unchanged, with the fields of a tunnel that is
// newer than this client.
func (c *Client) StatusJSON(ctx context.Context) ([]byte, error) {
	a, err := c.get(ctx, "/status")
	if err != nil {
		return nil, err
	}
	if a.code != http.StatusOK {
		return nil, a.refusal()
	}
	return a.body, nil
}

// answer is a response of the tunnel.
type answer struct {
	url  string
	code int
	body []byte
}

// refusal returns the error for a response with an unexpected status.
func (a answer) refusal() error {
	text, _, _ := strings.Cut(string(a.body), "\n")
	return fmt.Errorf("kafka-tunnel at %s answers %d: %s", a.url, a.code, plain(text))
}

// get sends one request. An error means that no kafka-tunnel answered; any status code is an
// answer.
func (c *Client) get(ctx context.Context, path string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	response, err := c.roundTrip(ctx, path)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	return c.read(path, response)
}

// read reads a whole response.
func (c *Client) read(path string, response *http.Response) (answer, error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return answer{}, c.unreachable(err)
	}
	if len(body) > maxBody {
		return answer{}, fmt.Errorf("%s: the response is larger than %d bytes", c.url(path), maxBody)
	}
	return answer{url: c.url(path), code: response.StatusCode, body: body}, nil
}

func (c *Client) url(path string) string { return strings.TrimSuffix(c.BaseURL, "/") + path }

// roundTrip sends one request; closing the body of the response closes the connection.
func (c *Client) roundTrip(ctx context.Context, path string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url(path), nil)
	if err != nil {
		return nil, fmt.Errorf("the admin address is malformed: %w", err)
	}
	request.Header.Set("User-Agent", serverName)
	transport := c.Transport
	if transport == nil {
		transport = &http.Transport{
			DialContext:            (&net.Dialer{}).DialContext,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeaderBytes,
		}
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if response.Header.Get("Server") != serverName {
		response.Body.Close()
		return nil, fmt.Errorf("%s: %w", c.url(path), ErrNotOurs)
	}
	return response, nil
}

// open requests a stream of frames. The head of the response has the same limits as others.
func (c *Client) open(ctx context.Context, path string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	impatient := time.AfterFunc(requestTimeout, cancel)
	response, err := c.roundTrip(ctx, path) //nolint:bodyclose // closing the stream does
	if inTime := impatient.Stop(); err != nil {
		cancel()
		if !inTime {
			err = c.unreachable(context.DeadlineExceeded)
		}
		return nil, err
	}
	body := &stream{response.Body, cancel}
	if response.StatusCode == http.StatusOK && response.Header.Get("Content-Type") == tap.ContentType {
		return body, nil
	}
	defer body.Close()
	if response.StatusCode == http.StatusOK {
		return nil, fmt.Errorf("kafka-tunnel at %s has another version (its response is %q): use a kafka-tunnel of the same version", c.BaseURL, plain(response.Header.Get("Content-Type")))
	}
	a, err := c.read(path, response)
	if err != nil {
		return nil, err
	}
	return nil, a.refusal()
}

// A stream is the body of a response without an end.
type stream struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close ends the request.
func (s *stream) Close() error {
	s.cancel()
	return s.ReadCloser.Close()
}

// unreachable returns a short reason why no server answered.
func (c *Client) unreachable(err error) error {
	var reason string
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		reason = "connection refused"
	case errors.Is(err, context.DeadlineExceeded):
		reason = "no response in time"
	case errors.Is(err, context.Canceled):
		reason = "interrupted"
	default:
		return fmt.Errorf("cannot reach kafka-tunnel at %s: %w", c.BaseURL, err)
	}
	return &unreachableError{base: c.BaseURL, reason: reason, err: err}
}

// unreachableError shows a short reason and wraps the full error for errors.Is.
type unreachableError struct {
	base, reason string
	err          error
}

// Error returns the sentence for the user.
func (e *unreachableError) Error() string {
	return fmt.Sprintf("cannot reach kafka-tunnel at %s: %s", e.base, e.reason)
}

// Unwrap returns the cause.
func (e *unreachableError) Unwrap() error { return e.err }
