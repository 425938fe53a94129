package kafka

import (
	"errors"
	"fmt"
)

// An Endpoint is the address of one broker inside a response.
type Endpoint struct {
	NodeID int32
	Host   string
	Port   int32
	// Hidden is set by a [Mapper] if the client must not learn this address: the
	// entry is left out of the response, or replaced by the error that makes a
	// client repeat the request.
	Hidden bool
}

// A Mapper replaces the real addresses of one response by local ones: it sets
// Host and Port, or Hidden, of each element. It is called once per response, with
// each distinct endpoint once, so that their ports can be chosen together. After an
// error the relay closes the connection before it passes a byte of the response, or
// of the part that a [Walker] holds.
type Mapper interface {
	Map(endpoints []Endpoint) error
}

// MapperFunc is a function that is a [Mapper].
type MapperFunc func([]Endpoint) error

// Map calls f.
func (f MapperFunc) Map(endpoints []Endpoint) error { return f(endpoints) }

// ResponseInfo identifies a response: the key and version of its request, and the
// size that precedes the frame.
type ResponseInfo struct {
	Key, Version int16
	FrameSize    int32
}

// Result counts the changes to one response.
type Result struct {
	Rewritten int // addresses replaced by local ones
	Hidden    int // addresses left out, or turned into an error
	// Capped are the APIs whose newest version was lowered in an ApiVersions
	// response, in the order of the response.
	Capped []Cap
}

// A Cap is an API of which the broker supports versions that cannot be rewritten.
type Cap struct {
	Key             int16
	Broker, Offered int16 // newest version of the broker; offered to the client, -1: none
}

// Changed reports whether the response had addresses.
func (r Result) Changed() bool { return r.Rewritten+r.Hidden > 0 }

// MetadataBound bounds the first part of a Metadata response, up to the end of the
// broker array, in bytes.
const MetadataBound = 1 << 20

// WholeBound returns the bound of a response that is held whole, in bytes after the
// size.
func WholeBound(key int16) int {
	if key == KeyApiVersions {
		return 256 << 10
	}
	return 16 << 20
}

// PatchHead rewrites the broker array with which a Metadata response starts.
// src is the response after the size, as far as received.
//
// p replaces src[:consumed]; what follows is relayed unchanged. The new size of the
// frame is the old one - consumed + p.Len().
//
// With ErrShort consumed is the length that src needs before the next call: the least
// length of the array, and twice the length that src has, so that an array that
// arrives byte by byte is read a few times and not once a byte. It is never more than
// the frame and [MetadataBound]. Other errors: ErrMalformed, ErrTooLarge (the array
// ends after [MetadataBound], or has too many elements), and those of m, unchanged.
func PatchHead(h ResponseInfo, src []byte, m Mapper) (p Patch, consumed int, res Result, err error) {
	if h.Key != KeyMetadata {
		return p, 0, res, inResponse(h, ErrUnsupported)
	}
	consumed, err = p.metadata(h, src, m)
	return p, consumed, p.result(), err
}

// PatchWhole rewrites a response that was received whole; frame is the response
// after the size. The new size of the frame is p.Len(). An ApiVersions response
// is capped in place, in frame.
//
// Errors: ErrMalformed, ErrTooLarge (above [WholeBound], or too many addresses),
// ErrControllers, and those of m, unchanged.
func PatchWhole(h ResponseInfo, frame []byte, m Mapper) (p Patch, res Result, err error) {
	err = p.whole(h, frame, m)
	return p, p.result(), err
}

func (p *Patch) whole(h ResponseInfo, frame []byte, m Mapper) (err error) {
	if len(frame) > WholeBound(h.Key) {
		return inResponse(h, ErrTooLarge)
	}
	switch h.Key {
	case KeyApiVersions:
		frame, p.capped, err = capVersions(h, frame)
		p.setInPlace(frame)
		return err
	case KeyFindCoordinator:
		return p.findCoordinator(h, frame, m)
	case KeyDescribeCluster:
		return p.describeCluster(h, frame, m)
	case KeyProduce, KeyShareAcknowledge:
		return p.newLeaders(h, frame, m)
	}
	return inResponse(h, ErrUnsupported)
}

// RewriteCost returns how many bytes [PatchHead] or [PatchWhole] and the Patch
// allocate at most, without those of the Mapper; held is the number of bytes that are
// passed to the function. For a response with few brokers they allocate a few hundred,
// whatever its size; the bound is for a response that is made to be expensive.
//
//	index       2 per element
//	first       4 per distinct endpoint: its offset
//	table       8 of the hash table, which has two to four slots per endpoint
//	endpoints  32
//	names      their bytes, each rounded up by 15 at most
//
// and an eighth more, because large objects are rounded up too.
func RewriteCost(key int16, held int) int {
	const small = 1 << 10 // errors, the caps of ApiVersions, one edit
	switch key {
	case KeyApiVersions:
		return small
	case KeyMetadata:
		held = min(held, MetadataBound)
	}
	elements := min(held/minEntry, maxElements)
	endpoints := min(elements, maxEndpoints)
	names := min(held-minEntry*endpoints, maxNames)
	cost := 2*elements + (4+8+32+15)*endpoints + names
	return cost + cost/8 + small
}

// WalkerCost returns how many bytes a [Walker] allocates at most for a response of this
// key with a tail of this size: the tail, the rewritten tail, and the list of addresses.
func WalkerCost(key int16, tail int) int {
	tail = min(tail, TailBound)
	return 2*tail + RewriteCost(key, tail)
}

// The reasons why bytes cannot be read or rewritten. Errors of this package wrap one
// of them, or are the error of a [Mapper], unchanged.
var (
	// ErrShort: the bytes received so far are not enough; call again with more.
	ErrShort = errors.New("more bytes are needed")
	// ErrMalformed: the bytes do not follow the protocol: a length exceeds the
	// frame, or a number is negative that must not be.
	ErrMalformed = errors.New("malformed message")
	// ErrTooLarge: the part that has to be held exceeds its bound.
	ErrTooLarge = errors.New("message too large to be rewritten")
	// ErrControllers: a DescribeCluster response lists controllers. Their
	// addresses are not served, and their ids can equal those of brokers.
	ErrControllers = errors.New("the response lists controllers, not brokers")
	// ErrUnsupported: the called function cannot rewrite this API in this version.
	// The caller has not followed [TreatmentOf].
	ErrUnsupported = errors.New("response cannot be rewritten")
)

// inResponse adds to an error which response it is about.
func inResponse(h ResponseInfo, err error) error {
	return fmt.Errorf("%s v%d response: %w", Name(h.Key), h.Version, err)
}
