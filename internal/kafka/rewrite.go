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
	// Hidden is set by a [Mapper] when the client must not hear of this address
	// at all: the entry is left out of the response, or replaced by the error
	// that makes a client ask again.
	Hidden bool
}

// A Mapper replaces the real addresses of one response by local ones: it sets
// Host and Port, or Hidden, of each element. All endpoints of a response are
// given in one call, each of them once, so that their ports can be chosen
// together. An error ends the connection before a byte of the response has
// passed, or of what a [Walker] holds of it.
type Mapper interface {
	Map(endpoints []Endpoint) error
}

// MapperFunc makes a Mapper of a function.
type MapperFunc func([]Endpoint) error

// Map calls f.
func (f MapperFunc) Map(endpoints []Endpoint) error { return f(endpoints) }

// ResponseInfo says which response a frame is: the key and version of the
// request that it answers, and its size as it stands before the frame.
type ResponseInfo struct {
	Key, Version int16
	FrameSize    int32
}

// Result counts what became of the addresses of one response.
type Result struct {
	Rewritten int // addresses replaced by local ones
	Hidden    int // addresses left out, or turned into an error
	// Capped are the APIs whose newest version was lowered in an ApiVersions
	// response, in its order.
	Capped []Cap
}

// A Cap is an API of which the broker knows versions that cannot be rewritten.
type Cap struct {
	Key             int16
	Broker, Offered int16 // newest version of the broker; offered to the client, -1: none
}

// Changed reports whether there were addresses at all.
func (r Result) Changed() bool { return r.Rewritten+r.Hidden > 0 }

// MetadataBound is how large the first part of a Metadata response may be, up to
// the end of the broker array.
const MetadataBound = 1 << 20

// WholeBound returns how large a response may be that is held whole, in bytes
// after the size.
func WholeBound(key int16) int {
	if key == KeyApiVersions {
		return 256 << 10
	}
	return 16 << 20
}

// PatchHead rewrites the broker array with which a Metadata response starts.
// src is the response after the size, as far as received.
//
// p takes the place of src[:consumed]; what follows is relayed as it is, and the
// new size of the frame is the old one - consumed + p.Len().
//
// With ErrShort consumed is how long src has to be before it is worth another
// call: as long as the array is at least, and twice as long as it was, so that an
// array that comes byte by byte is read a few times and not once a byte. It is
// never more than the frame and [MetadataBound]. Other errors: ErrMalformed,
// ErrTooLarge (the array ends behind [MetadataBound], or has too many elements),
// and those of m as they are.
func PatchHead(h ResponseInfo, src []byte, m Mapper) (p Patch, consumed int, res Result, err error) {
	consumed, err = p.head(h, src, m)
	return p, consumed, p.result(), err
}

func (p *Patch) head(h ResponseInfo, src []byte, m Mapper) (consumed int, err error) {
	if h.Key != KeyMetadata {
		return 0, inResponse(h, ErrUnsupported)
	}
	return p.brokers(h, src, m)
}

// RewriteHead is [PatchHead] for a caller with room for the result. out lies in
// buf if there is room, in src if nothing changed; buf and src must not overlap.
func RewriteHead(buf []byte, h ResponseInfo, src []byte, m Mapper) (out []byte, consumed int, res Result, err error) {
	var p Patch
	if consumed, err = p.head(h, src, m); err != nil {
		return nil, consumed, Result{}, err
	}
	return p.assemble(buf), consumed, p.result(), nil
}

// PatchWhole rewrites a response that was received whole; frame is the response
// after the size. The new size of the frame is p.Len(). An ApiVersions response
// is capped in place, in frame.
//
// Errors: ErrMalformed, ErrTooLarge (above [WholeBound], or too many addresses),
// ErrControllers, and those of m as they are.
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
		return p.coordinators(h, frame, m)
	case KeyDescribeCluster:
		return p.cluster(h, frame, m)
	case KeyProduce, KeyShareAcknowledge:
		return p.newLeaders(h, frame, m)
	}
	return inResponse(h, ErrUnsupported)
}

// RewriteWhole is [PatchWhole] for a caller with room for the result. out lies in
// buf if there is room, in frame if nothing changed, and for ApiVersions always
// in frame; buf and frame must not overlap.
func RewriteWhole(buf []byte, h ResponseInfo, frame []byte, m Mapper) (out []byte, res Result, err error) {
	var p Patch
	if err = p.whole(h, frame, m); err != nil {
		return nil, Result{}, err
	}
	return p.assemble(buf), p.result(), nil
}

// RewriteCost returns how many bytes [PatchHead] or [PatchWhole] and the Patch
// allocate at most, besides what the Mapper does; held is the number of bytes
// that the function is given. Where a response names few brokers it is a few
// hundred, whatever its size; the bound is for one that was made to be expensive.
//
//	index       2 per element
//	first       4 per distinct endpoint: its offset
//	table       8 of the hash table, which has two to four slots per endpoint
//	endpoints  32
//	names      their bytes, each rounded up by 15 at most
//
// and an eighth more, because large objects are rounded up too.
func RewriteCost(key int16, held int) int {
	const small = 1 << 10 // errors, what is noted of ApiVersions, one edit
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

// WalkerCost returns how many bytes a [Walker] allocates at most for a response to a
// request of this key with a tail of this size: what it holds of the tail, the same
// rewritten, and the list of the addresses.
func WalkerCost(key int16, tail int) int {
	tail = min(tail, TailBound)
	return 2*tail + RewriteCost(key, tail)
}

// The reasons why bytes cannot be handled. Errors of this package wrap one of
// them, or are the error of a [Mapper] as it was.
var (
	// ErrShort: what was received so far is not enough; call again with more.
	ErrShort = errors.New("more bytes are needed")
	// ErrMalformed: the bytes are not what the protocol says; a length points
	// outside its frame, a number is negative that must not be.
	ErrMalformed = errors.New("malformed message")
	// ErrTooLarge: the part that has to be held is larger than its bound.
	ErrTooLarge = errors.New("message too large to be rewritten")
	// ErrControllers: a DescribeCluster response lists controllers. Their
	// addresses are not served, and their ids can equal those of brokers.
	ErrControllers = errors.New("the response lists controllers, not brokers")
	// ErrUnsupported: this API and version is none that the called function can
	// rewrite. It means that [TreatmentOf] was not asked.
	ErrUnsupported = errors.New("response cannot be rewritten")
)

// inResponse says of which response err speaks.
func inResponse(h ResponseInfo, err error) error {
	return fmt.Errorf("%s v%d response: %w", Name(h.Key), h.Version, err)
}
