package inspect

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

// A Request is one by hand.
type Request struct {
	API     string // name or key, with a version behind a colon: Metadata, Metadata:12, 3:12
	Body    []byte // JSON; empty: all fields have their defaults
	Records bool   // decode the records of the answer
}

// ParseAPI reads the name of an API with a version; without one it is -1.
func ParseAPI(text string) (api wire.API, version int16, err error) {
	name, number, given := strings.Cut(text, ":")
	if api, err = wire.Lookup(name); err != nil {
		return api, 0, fmt.Errorf("%q is no API: `kafka-tunnel apis` lists them", name)
	}
	if !given {
		return api, -1, nil
	}
	n, err := strconv.ParseInt(number, 10, 16)
	if err != nil || n < 0 || n > int64(api.MaxVersion) {
		return api, 0, fmt.Errorf("%s has the versions 0 to %d, not %q", api.Name, api.MaxVersion, number)
	}
	return api, int16(n), nil
}

// ErrNoAnswer is that of a request which has none: Produce with acks=0.
var ErrNoAnswer = errors.New("sent; with acks 0 there is no answer")

// Do sends the request, in the newest version that both sides know if it does not say one,
// and returns the answer as JSON.
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

// withVersions says so if the broker does not have the version: most brokers close the
// connection without a word.
func withVersions(err error, conn *wire.Conn, api wire.API, version int16) error {
	switch r, ok := conn.Versions(api.Key); {
	case !ok:
		return fmt.Errorf("%w; the broker does not have %s", err, api.Name)
	case version < r.Min || version > r.Max:
		return fmt.Errorf("%w; the broker has %s in the versions %d to %d, not %d", err, api.Name, r.Min, r.Max, version)
	}
	return err
}

// Template is a skeleton of a request as JSON, in the newest version if the API does not say
// one.
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
