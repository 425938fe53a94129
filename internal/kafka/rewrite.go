package kafka

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

// MetadataBound is how large the leading part of a Metadata response may be,
// up to the end of the broker array.
const MetadataBound = 1 << 20

// WholeBound returns how large a response may be that is held whole, in bytes
// after the size.
func WholeBound(key int16) int {
	if key == KeyApiVersions {
		return 256 << 10
	}
	return 16 << 20
}

// RewriteHead rewrites the broker array with which a Metadata response starts.
// src is the response after the size, as far as received.
//
// out takes the place of src[:consumed]; what follows is relayed as it is, and
// the new size of the frame is the old one - consumed + len(out). out lies in buf
// if there is room, in src if nothing changed; buf and src must not overlap.
//
// With ErrShort consumed is the least length of src that can be enough. Other
// errors: ErrMalformed, ErrTooLarge (the array ends behind [MetadataBound]), and
// those of m as they are.
func RewriteHead(buf []byte, h ResponseInfo, src []byte, m Mapper) (out []byte, consumed int, res Result, err error) {
	if h.Key != KeyMetadata {
		return nil, 0, Result{}, inResponse(h, ErrUnsupported)
	}
	return rewriteMetadata(buf, h, src, m)
}

// RewriteWhole rewrites a response that was received whole; frame is the
// response after the size. The new size of the frame is len(out).
//
// out lies in buf if there is room, in frame if nothing changed, and for
// ApiVersions always in frame, which is capped in place; buf and frame must not
// overlap. Errors: ErrMalformed, ErrTooLarge (above [WholeBound]),
// ErrControllers, and those of m as they are.
func RewriteWhole(buf []byte, h ResponseInfo, frame []byte, m Mapper) (out []byte, res Result, err error) {
	if len(frame) > WholeBound(h.Key) {
		return nil, Result{}, inResponse(h, ErrTooLarge)
	}
	switch h.Key {
	case KeyApiVersions:
		out, res.Capped, err = capVersions(h, frame)
	case KeyFindCoordinator:
		out, res, err = rewriteCoordinators(buf, h, frame, m)
	case KeyProduce:
		out, res, err = rewriteProduce(buf, h, frame, m)
	case KeyDescribeCluster:
		out, res, err = rewriteCluster(buf, h, frame, m)
	case KeyShareAcknowledge:
		out, res, err = rewriteAcknowledge(buf, h, frame, m)
	default:
		err = inResponse(h, ErrUnsupported)
	}
	return out, res, err
}
