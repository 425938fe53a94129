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
	// requestTimeout bounds one request of a client: everything is answered from
	// memory, on the same machine.
	requestTimeout = 2 * time.Second
	// maxBody bounds what a client reads of an answer.
	maxBody = 4 << 20
)

// A Client asks a running tunnel. It is made for one command: each request has a
// connection of its own and nothing stays open.
type Client struct {
	// BaseURL is where the tunnel's admin address is, as [BaseURL] makes it.
	BaseURL string
	// Transport sends the requests; nil: TCP, never through an HTTP proxy of the
	// environment.
	Transport http.RoundTripper
}

// ErrNotOurs is wrapped by errors that say that something answers at the admin
// address which is not the tunnel.
var ErrNotOurs = errors.New("what answers there is not kafka-tunnel")

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

// StatusJSON returns the answer of /status as it came, with the fields of a
// tunnel newer than this client.
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

// answer is what the tunnel said.
type answer struct {
	url  string
	code int
	body []byte
}

// refusal makes an error of an answer that is not the one hoped for.
func (a answer) refusal() error {
	text, _, _ := strings.Cut(string(a.body), "\n")
	return fmt.Errorf("kafka-tunnel at %s answers %d: %s", a.url, a.code, plain(text))
}

// get sends one request. An error means that no kafka-tunnel answered; any
// status code is an answer.
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

// read takes the whole of an answer.
func (c *Client) read(path string, response *http.Response) (answer, error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return answer{}, c.unreachable(err)
	}
	if len(body) > maxBody {
		return answer{}, fmt.Errorf("%s: the answer is larger than %d bytes", c.url(path), maxBody)
	}
	return answer{url: c.url(path), code: response.StatusCode, body: body}, nil
}

func (c *Client) url(path string) string { return strings.TrimSuffix(c.BaseURL, "/") + path }

// roundTrip sends one request; the connection ends with the body of the response.
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

// open asks for a stream of frames. The head of the answer is bounded as that of others.
func (c *Client) open(ctx context.Context, path string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	impatient := time.AfterFunc(requestTimeout, cancel)
	response, err := c.roundTrip(ctx, path) //nolint:bodyclose // the stream does
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
		return nil, fmt.Errorf("kafka-tunnel at %s is of another version, which answers with %q: use the kafka-tunnel of the same version", c.BaseURL, plain(response.Header.Get("Content-Type")))
	}
	a, err := c.read(path, response)
	if err != nil {
		return nil, err
	}
	return nil, a.refusal()
}

// A stream is the body of an answer without an end.
type stream struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close ends the request.
func (s *stream) Close() error {
	s.cancel()
	return s.ReadCloser.Close()
}

// unreachable says in the words of the shell why nobody answered.
func (c *Client) unreachable(err error) error {
	var reason string
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		reason = "connection refused"
	case errors.Is(err, context.DeadlineExceeded):
		reason = "no answer in time"
	case errors.Is(err, context.Canceled):
		reason = "interrupted"
	default:
		return fmt.Errorf("cannot reach kafka-tunnel at %s: %w", c.BaseURL, err)
	}
	return &unreachableError{base: c.BaseURL, reason: reason, err: err}
}

// unreachableError shows a short reason and keeps the long one for errors.Is.
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
