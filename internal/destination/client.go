package destination

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/token"
)

// Limits of one read.
const (
	readTimeout = 30 * time.Second
	maxBody     = 1 << 20
)

// path is the path at which the service finds a destination by its name: first in the instance
// and then in the subaccount; with a subscriber's token, in the subscription and then in its
// subaccount (SAP Help, "Find a Destination"). It would also fetch tokens for the destination's
// own authentication, which no TCP destination has.
const path = "/destination-configuration/v1/destinations/"

// Tokens returns tokens for the destination service.
type Tokens interface {
	Token(ctx context.Context) (string, error)
	Invalidate(value string)
}

// A Client sends requests to one destination service.
type Client struct {
	URI       string // from the binding, without a path
	Tokens    Tokens
	Transport http.RoundTripper // nil: Go's default
	UserAgent string            // "": "kafka-tunnel"
}

// Find returns the properties of a destination.
//
//	GET <uri>/destination-configuration/v1/destinations/<name>
//	{"owner": {...}, "destinationConfiguration": {"Name": "kafka", "Type": "TCP", ...}}
//
// The error is a [failure.Failure]: that of the token, or one of destination_unreachable,
// destination_status, destination_rejected, destination_not_found and destination_malformed. A
// Retry-After of the server is in its chain as [*token.RetryAfterError].
func (c *Client) Find(ctx context.Context, name string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	said, err := c.find(ctx, name)
	if failure.Is(err, failure.DestinationRejected) {
		// The token may have been revoked; the next one is new.
		said, err = c.find(ctx, name)
	}
	return said, err
}

// find sends one request. A refused token is not used again.
func (c *Client) find(ctx context.Context, name string) (map[string]string, error) {
	value, err := c.Tokens.Token(ctx)
	if err != nil {
		return nil, fmt.Errorf("for the destination service: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URI+path+url.PathEscape(name), nil)
	if err != nil {
		return nil, c.failed(failure.DestinationUnreachable, errors.New("the URI of the service is not a valid URL"), "")
	}
	req.Header.Set("Authorization", "Bearer "+value)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", cmp.Or(c.UserAgent, "kafka-tunnel"))
	client := &http.Client{Transport: c.Transport, CheckRedirect: refuseRedirect}
	resp, err := client.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusOK:
		return c.read(resp.Body)
	case http.StatusUnauthorized, http.StatusForbidden:
		c.Tokens.Invalidate(value)
		return nil, c.failed(failure.DestinationRejected, nil, fmt.Sprintf("status %d", resp.StatusCode))
	case http.StatusNotFound:
		return nil, failure.New(failure.DestinationNotFound, nil).For(name, "")
	}
	var cause error
	if wait, ok := token.ParseRetryAfter(resp.Header, time.Now()); ok {
		cause = &token.RetryAfterError{Wait: wait}
	}
	return nil, c.failed(failure.DestinationStatus, cause, fmt.Sprintf("status %d", resp.StatusCode))
}

// refuseRedirect prevents the client from following a redirect, which would send the token to another
// server.
func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// read reads the response.
func (c *Client) read(body io.Reader) (map[string]string, error) {
	text, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	if err != nil {
		return nil, c.unreachable(err)
	}
	if len(text) > maxBody {
		return nil, c.failed(failure.DestinationMalformed, nil, fmt.Sprintf("the response has more than %d bytes", maxBody))
	}
	var answer struct {
		Configuration map[string]any `json:"destinationConfiguration"`
	}
	// The errors of encoding/json may quote the response.
	if json.Unmarshal(text, &answer) != nil || answer.Configuration == nil {
		return nil, c.failed(failure.DestinationMalformed, nil, "the response has no destinationConfiguration")
	}
	said := make(map[string]string, len(answer.Configuration))
	for key, value := range answer.Configuration {
		switch v := value.(type) {
		case string:
			said[key] = v
		case bool, float64: // the documentation has only strings
			said[key] = fmt.Sprint(v)
		}
	}
	return said, nil
}

func (c *Client) failed(code failure.Code, cause error, detail string) *failure.Failure {
	return failure.New(code, cause).For(c.URI, "").With(detail)
}

func (c *Client) unreachable(err error) error {
	if failure.NoDescriptor(err) {
		return failure.New(failure.DescriptorsExhausted, token.TransportCause(err)).For(c.URI, "")
	}
	return c.failed(failure.DestinationUnreachable, token.TransportCause(err), "")
}
