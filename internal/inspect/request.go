package inspect

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

// A Request is a request by hand.
type Request struct {
	API     string // name or key, with an optional version: Metadata, Metadata:12, 3:12
	Body    []byte // JSON; empty: all fields have their default values
	Records bool   // decode the records of the response
}

// ParseAPI parses the name of an API with an optional version, which is -1 if it is missing.
func ParseAPI(text string) (api wire.API, version int16, err error) {
	name, number, given := strings.Cut(text, ":")
	if api, err = wire.Lookup(name); err != nil {
		return api, 0, fmt.Errorf("unknown API %q; `kafka-tunnel apis` lists all", name)
	}
	if !given {
		return api, -1, nil
	}
	n, err := strconv.ParseInt(number, 10, 16)
	if err != nil || n < 0 || n > int64(api.MaxVersion) {
		return api, 0, fmt.Errorf("%s has versions 0 to %d, not %q", api.Name, api.MaxVersion, number)
	}
	return api, int16(n), nil
}

// ErrNoAnswer is the error of a request without a response: Produce with acks=0.
var ErrNoAnswer = errors.New("sent; there is no response with acks 0")

// Do sends the request, by default in the newest version that both sides support, and returns
// the response as JSON.
func (r Request) Do(ctx context.Context, conn *wire.Conn) ([]byte, error) {
	api, version, err := ParseAPI(r.API)
	if err != nil {
		return nil, err
	}
	if version < 0 {
		if version, err = conn.Version(api.Key); err != nil {
			return nil, err
		}
	}
	if len(r.Body) == 0 {
		r.Body = []byte("{}")
	}
	codec := &wire.Codec{Records: r.Records}
	request, err := codec.ParseJSON(wire.Request, api.Key, version, r.Body)
	if err != nil {
		return nil, fmt.Errorf("%s request, version %d: %w", api.Name, version, err)
	}
	answer, err := conn.Request(ctx, request)
	if err != nil {
		return nil, withVersions(err, conn, api, version)
	}
	if answer == nil {
		return nil, ErrNoAnswer
	}
	return codec.AppendJSON(nil, answer)
}

// withVersions adds to err that the broker does not support the version: most brokers then
// close the connection without a response.
func withVersions(err error, conn *wire.Conn, api wire.API, version int16) error {
	switch r, ok := conn.Versions(api.Key); {
	case !ok:
		return fmt.Errorf("%w; the broker does not support %s", err, api.Name)
	case version < r.Min || version > r.Max:
		return fmt.Errorf("%w; the broker supports %s in versions %d to %d, not %d", err, api.Name, r.Min, r.Max, version)
	}
	return err
}

// Template returns a skeleton of a request as JSON, by default in the newest version.
func Template(api string) ([]byte, error) {
	a, version, err := ParseAPI(api)
	if err != nil {
		return nil, err
	}
	if version < 0 {
		version = a.MaxVersion
	}
	return new(wire.Codec).Template(wire.Request, a.Key, version)
}
