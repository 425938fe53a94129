package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// MaxFrame is the default for the longest frame: the default of a broker's
// socket.request.max.bytes.
const MaxFrame = 100 << 20

// Frames finds the frames of a stream: chunks of any length are written to it, whole frames come
// out. The zero value is ready.
//
//	length int32 | length bytes | length int32 | ...
type Frames struct {
	Max int // the longest frame in bytes; 0: MaxFrame

	buffer []byte
	offset int64 // of buffer[0] in the stream
}

// A FrameError is an error at a byte of a stream. The stream cannot be read beyond it.
type FrameError struct {
	Offset int64
	Err    error
}

// Error returns the offset and what is wrong there.
func (e *FrameError) Error() string { return fmt.Sprintf("at byte %d: %v", e.Offset, e.Err) }

// Unwrap returns what is wrong.
func (e *FrameError) Unwrap() error { return e.Err }

// Errors of streams.
var (
	ErrNegativeLength = errors.New("negative frame length")
	ErrFrameTooLong   = errors.New("frame too long")
	ErrCutOff         = errors.New("the stream ends inside a frame")
)

// Write adds a chunk, of which it keeps a copy. It never fails.
func (f *Frames) Write(chunk []byte) (int, error) {
	f.buffer = append(f.buffer, chunk...)
	return len(chunk), nil
}

// Next returns the next frame, without its length, or nil if it was not written whole yet. The
// frame is valid until the next call of a method. After an error no more frames can be found.
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

// End returns [ErrCutOff] if the stream has ended in the middle of a frame.
func (f *Frames) End() error {
	if len(f.buffer) > 0 {
		return &FrameError{f.offset, fmt.Errorf("%w: it has %d bytes of it", ErrCutOff, len(f.buffer))}
	}
	return nil
}
