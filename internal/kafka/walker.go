package kafka

import "fmt"

// Streams reports whether a [Walker] can rewrite the response to a request, so
// that it need not be held, however large it is.
func Streams(key, version int16) bool {
	_, ok := beforeTail(key, version)
	return ok
}

// TailBound is how large the part of a response may be that a [Walker] holds.
const TailBound = 64 << 10

// A Walker rewrites a Fetch (v16+), Produce (v10+), ShareFetch or
// ShareAcknowledge response while it passes. The addresses are the last field, so
// everything before them goes on to the client as it comes, and the rest, a byte
// or a hundred, is rewritten at equal length: the size of the frame has been
// passed on already.
//
//	| correlation id | topics, partitions, records ...  | addresses, tags |
//	|<----------------- passes ------------------------>|<---- tail ----->|
//
// Every response has a tail, also one that is empty, throttled or an error. A
// response to Produce or ShareAcknowledge that was received whole anyway, as they
// nearly all are, is better given to [PatchWhole], which leaves no address out.
// Give the bytes after the size, split as they come:
//
//	w.Reset(info, mapper)
//	for w.Left() > 0 {
//		pass, held, err := w.Feed(p)      // write p[:pass], take held more from p
//	}
//	write w.Tail()
//
// When the next bytes are many and cannot matter (a record set), [Walker.Skip]
// returns their number. They may then be moved by other means, without passing memory, if
// [Walker.Advance] is told.
//
// The zero value is ready for Reset, which makes a Walker good for another
// response. A response without addresses costs no allocation.
type Walker struct {
	// Admit is asked before a tail is held that comes in pieces: size is its length,
	// [WalkerCost] what it will cost. An error ends the response. nil: it is always held.
	Admit func(h ResponseInfo, size int) error

	info   ResponseInfo
	mapper Mapper
	scan   scan
	left   int64  // bytes of the frame that have not been fed
	held   []byte // of the tail, as far as it came in pieces
	result Result
	err    error
}

// Reset prepares w for a response. ErrUnsupported: it has no tail, see [Streams];
// ErrMalformed: the frame is too small to be a response.
func (w *Walker) Reset(h ResponseInfo, m Mapper) error {
	l, ok := beforeTail(h.Key, h.Version)
	if !ok {
		return inResponse(h, ErrUnsupported)
	}
	if h.FrameSize < 4 {
		return inResponse(h, ErrMalformed)
	}
	if cap(w.held) > 4<<10 { // of a rare giant
		w.held = nil
	}
	*w = Walker{Admit: w.Admit, info: h, mapper: m, left: int64(h.FrameSize), held: w.held[:0]}
	w.scan.reset(l, w.left)
	return nil
}

// Feed takes the next bytes of the frame. p may reach beyond its end.
//
// The first pass bytes of p may go to the client; the held bytes after them stay
// here and come back from [Walker.Tail]. If the tail is in p altogether nothing
// is held: it was rewritten in place. Bytes after pass+held are not of this
// frame.
//
// After an error nothing of p may pass, and the connection cannot go on:
// ErrMalformed, ErrTooLarge (a tail above [TailBound]), or one of the Mapper's
// own.
func (w *Walker) Feed(p []byte) (pass, held int, err error) {
	if w.err != nil || w.left == 0 {
		return 0, 0, w.err
	}
	p = p[:min(int64(len(p)), w.left)]
	w.left -= int64(len(p))
	if pass, held, err = w.feed(p); err != nil {
		w.err = err
		return 0, 0, err
	}
	return pass, held, nil
}

func (w *Walker) feed(p []byte) (pass, held int, err error) {
	pass, err = w.scan.feed(p)
	if err != nil {
		return 0, 0, inResponse(w.info, err)
	}
	if !w.scan.done() {
		return pass, 0, nil
	}
	tail := p[pass:]
	if len(w.held) == 0 {
		if size := int64(len(tail)) + w.left; size > TailBound {
			return 0, 0, inResponse(w.info, fmt.Errorf("%w: a tail of %d bytes", ErrTooLarge, size))
		}
		if w.left == 0 {
			w.result, err = fitTail(w.info, tail, w.mapper)
			return len(p), 0, err
		}
		if err := w.admit(len(tail) + int(w.left)); err != nil {
			return 0, 0, err
		}
	}
	w.held = append(w.held, tail...)
	if w.left == 0 {
		w.result, err = fitTail(w.info, w.held, w.mapper)
	}
	return pass, len(tail), err
}

// admit makes room for a tail of this size.
func (w *Walker) admit(size int) error {
	if w.Admit != nil {
		if err := w.Admit(w.info, size); err != nil {
			return err
		}
	}
	if cap(w.held) < size {
		w.held = make([]byte, 0, size)
	}
	return nil
}

// Left returns how many bytes of the frame have not been fed.
func (w *Walker) Left() int64 { return w.left }

// Skip returns how many of the next bytes pass in any case and need not be fed.
func (w *Walker) Skip() int64 { return w.scan.skip }

// Advance says that n bytes, not more than [Walker.Skip], have passed by other
// means.
func (w *Walker) Advance(n int64) {
	n = min(n, w.scan.skip)
	w.scan.skip -= n
	w.left -= n
}

// Tail returns the held bytes, rewritten, when the whole frame was fed, and nil
// before. They are valid until the next Reset.
func (w *Walker) Tail() []byte {
	if w.left > 0 || w.err != nil {
		return nil
	}
	return w.held
}

// Result returns what became of the addresses when the whole frame was fed.
func (w *Walker) Result() Result { return w.result }
