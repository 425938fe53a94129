package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// MaxFrame is how long a frame may be where nothing else is said: the default of a broker's
// socket.request.max.bytes.
const MaxFrame = 100 << 20

// Frames puts a stream together: chunks of any length go in, whole frames come out. The zero
// value is ready.
//
//	length int32 | length bytes | length int32 | ...
type Frames struct {
	Max int // the longest frame in bytes; 0: MaxFrame

	buffer []byte
	offset int64 // of buffer[0] in the stream
}

// A FrameError is one at a byte of a stream.
type FrameError struct {
	Offset int64
	Err    error
}

// Error returns both.
func (e *FrameError) Error() string { return fmt.Sprintf("at byte %d: %v", e.Offset, e.Err) }

// Unwrap returns what is wrong.
func (e *FrameError) Unwrap() error { return e.Err }

// Errors of streams.
var (
	ErrNegativeLength = errors.New("a negative length")
	ErrFrameTooLong   = errors.New("a frame that is too long")
	ErrCutOff         = errors.New("the stream ends in a frame")
)

// Write takes a chunk. It keeps a copy, and never fails.
func (f *Frames) Write(chunk []byte) (int, error) {
	f.buffer = append(f.buffer, chunk...)
	return len(chunk), nil
}

// Next returns the next whole frame, without its length, or nil if it is not there yet. The
// frame is valid until the next call of a method. After an error there is nothing more to
// come: where the next frame begins is not known.
func (f *Frames) Next() (frame []byte, err error) {
	if len(f.buffer) < 4 {
		return nil, nil
	}
	n := int64(int32(binary.BigEndian.Uint32(f.buffer)))
	longest := int64(f.Max)
	if longest == 0 {
		longest = MaxFrame
	}
	switch {
	case n < 0:
		return nil, &FrameError{f.offset, fmt.Errorf("%w: %d", ErrNegativeLength, n)}
	case n > longest:
		return nil, &FrameError{f.offset, fmt.Errorf("%w: %d bytes, at most %d", ErrFrameTooLong, n, longest)}
	case int64(len(f.buffer)) < 4+n:
		return nil, nil
	}
	frame = f.buffer[4 : 4+n : 4+n]
	f.buffer = f.buffer[4+n:]
	f.offset += 4 + n
	return frame, nil
}

// End says whether the stream may end here: [ErrCutOff] if it is in the middle of a frame.
func (f *Frames) End() error {
	if len(f.buffer) > 0 {
		return &FrameError{f.offset, fmt.Errorf("%w: %d bytes are there", ErrCutOff, len(f.buffer))}
	}
	return nil
}
