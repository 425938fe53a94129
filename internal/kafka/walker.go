package kafka

import "fmt"

// Streams reports whether a [Walker] can rewrite the response to a request, so that
// it need not be held, however large it is.
func Streams(key, version int16) bool {
	_, ok := beforeTail(key, version)
	return ok
}

// TailBound bounds the part of a response that a [Walker] holds, in bytes.
const TailBound = 64 << 10

// A Walker rewrites a Fetch (v16+), Produce (v10+), ShareFetch or ShareAcknowledge
// response while it passes. The addresses are its last field: everything before them
// goes on to the client as it arrives, and the tail, a byte or a hundred, is rewritten
// in its length, because the size of the frame was passed on already.
//
//	| correlation id | topics, partitions, records ...  | addresses, tags |
//	|<----------------- passes ------------------------>|<---- tail ----->|
//
// Every response has a tail, also one that is empty, throttled or an error. For a
// response to Produce or ShareAcknowledge that was received whole, as nearly all are,
// use [PatchWhole], which never leaves an address out. Feed the bytes after the size,
// in the pieces in which they arrive:
//
//	w.Reset(info, mapper)
//	for w.Left() > 0 {
//		pass, held, err := w.Feed(p)      // write p[:pass], discard p[:pass+held]
//	}
//	write w.Tail()
//
// In a long field that is not rewritten (a record set) [Walker.Skip] returns how many
// of its bytes follow. The caller may pass them on without feeding them, by splice(2)
// for example, and calls [Walker.Advance] then.
//
// The zero value is ready for Reset, which prepares a Walker for another response. A
// response without addresses costs no allocation.
type Walker struct {
	// Admit is called before a tail is held that arrives in pieces: size is its length,
	// [WalkerCost] the memory for it. Feed returns its error. nil: every tail is held.
	Admit func(h ResponseInfo, size int) error

	info   ResponseInfo
	mapper Mapper
	scan   scan
	left   int64  // bytes of the frame that were not fed yet
	held   []byte // the tail, if it arrives in pieces
	result Result
	err    error
}

// Reset prepares w for a response. It returns ErrUnsupported if the response has no
// tail, see [Streams], and ErrMalformed if the frame is too small for a response.
func (w *Walker) Reset(h ResponseInfo, m Mapper) error {
	l, ok := beforeTail(h.Key, h.Version)
	if !ok {
		return inResponse(h, ErrUnsupported)
	}
	if h.FrameSize < 4 {
		return inResponse(h, ErrMalformed)
	}
	if cap(w.held) > 4<<10 { // few tails are that large
		w.held = nil
	}
	*w = Walker{Admit: w.Admit, info: h, mapper: m, left: int64(h.FrameSize), held: w.held[:0]}
	w.scan.reset(l, w.left)
	return nil
}

// Feed takes the next bytes of the frame. p may reach beyond its end.
//
// The first pass bytes of p may go to the client; w keeps a copy of the held bytes
// after them, which [Walker.Tail] returns. If the whole tail is in p nothing is held:
// it was rewritten in place. Bytes after pass+held do not belong to the frame.
//
// After an error nothing of p may pass, and the connection has to be closed:
// ErrMalformed, ErrTooLarge (a tail above [TailBound]), or an error of the Mapper or
// of Admit.
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

// admit calls Admit, and allocates room for a tail of this size.
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

// Left returns how many bytes of the frame were not fed yet.
func (w *Walker) Left() int64 { return w.left }

// Skip returns how many of the next bytes pass unchanged and need not be fed.
func (w *Walker) Skip() int64 { return w.scan.skip }

// Advance skips n bytes, at most [Walker.Skip], that the caller has passed on without
// feeding them.
func (w *Walker) Advance(n int64) {
	n = min(n, w.scan.skip)
	w.scan.skip -= n
	w.left -= n
}

// Tail returns the held bytes, rewritten, once the whole frame was fed, and nil
// before. They are valid until the next Reset.
func (w *Walker) Tail() []byte {
	if w.left > 0 || w.err != nil {
		return nil
	}
	return w.held
}

// Result counts the changes to the response once the whole frame was fed.
func (w *Walker) Result() Result { return w.result }
