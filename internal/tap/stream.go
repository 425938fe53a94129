package tap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// ContentType is that of a stream.
const ContentType = "application/vnd.kafka-tunnel.tap"

// magic begins a stream. Its number changes with the format.
const magic = "kafka-tunnel tap 1\n"

// The kinds of messages, and their shortest payloads.
const (
	kindFrame   = 'F'
	kindDropped = 'D'
	kindEnd     = 'E'

	frameHead  = 8 + 8 + 1 + 1 + 2 + 2 + 4 + 4 + 8 + 4
	gapLen     = 4 + 4
	maxText    = math.MaxUint16
	maxPayload = frameHead + 5*(2+maxText) + 2 + kafka.MaxRecordSpans*gapLen + MaxBytes
)

// The flags of a frame.
const (
	flagRequest = 1 << iota
	flagToken
	flagLocal
	flagCut
	flagAllCodes
	flagUnknown
)

// A Message is one message of a stream: a frame, a number of dropped frames, or why no more
// follow.
type Message struct {
	Frame   *Frame
	Dropped uint64
	End     string
}

// A Writer writes the stream for a viewer. All numbers are big-endian.
//
//	stream:   | "kafka-tunnel tap 1\n" | message | message | ...
//	message:  | length of the payload uint32 | kind uint8 | payload |
//
//	payload of kind F, a frame:
//	          | time int64, ns since 1970 | number of the connection uint64 |
//	          | flags uint8: 1 request, 2 token, 4 local, 8 cut, 16 all codes | withheld uint8 |
//	          | API key int16 | version int16 | correlation id int32 | size uint32 |
//	          | latency int64, ns | replaced addresses uint32 |
//	          | cluster, node, client, software, target: each a length uint16 and bytes |
//	          | gaps: number uint16, each start uint32 and end uint32 in the frame | bytes |
//	payload of kind D, dropped frames: | number uint64 |
//	payload of kind E, the end:        | why, UTF-8 |
//
// The bytes are those of the frame without the gaps, up to the end of the payload.
type Writer struct {
	w   io.Writer
	buf []byte // of all but the bytes of a frame
}

// NewWriter begins a stream.
func NewWriter(w io.Writer) (*Writer, error) {
	_, err := io.WriteString(w, magic)
	return &Writer{w: w}, err
}

// Frame writes a frame. Its bytes are not copied.
func (w *Writer) Frame(f *Frame) error {
	c := f.Connection
	b := append(w.buf[:0], 0, 0, 0, 0, kindFrame)
	b = binary.BigEndian.AppendUint64(b, uint64(f.Time.UnixNano()))
	b = binary.BigEndian.AppendUint64(b, c.Number)
	flags := byte(0)
	for i, on := range []bool{f.Request, f.Token, f.Local, f.Cut, f.AllCodes} {
		if on {
			flags |= 1 << i
		}
	}
	b = append(b, flags, byte(f.Withheld))
	b = binary.BigEndian.AppendUint16(b, uint16(f.Key))
	b = binary.BigEndian.AppendUint16(b, uint16(f.Version))
	b = binary.BigEndian.AppendUint32(b, uint32(f.CorrelationID))
	b = binary.BigEndian.AppendUint32(b, uint32(f.Size))
	b = binary.BigEndian.AppendUint64(b, uint64(f.Latency))
	b = binary.BigEndian.AppendUint32(b, uint32(f.Addresses))
	for _, text := range []string{c.Cluster, c.Node, c.Client, f.Software, f.Target} {
		text = text[:min(len(text), maxText)]
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(text))), text...)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(f.Gaps)))
	for _, gap := range f.Gaps {
		b = binary.BigEndian.AppendUint32(b, uint32(gap.Start))
		b = binary.BigEndian.AppendUint32(b, uint32(gap.End))
	}
	if err := w.write(b, len(f.Bytes)); err != nil {
		return err
	}
	_, err := w.w.Write(f.Bytes)
	return err
}

// Dropped writes how many frames were dropped since the last message.
func (w *Writer) Dropped(n uint64) error {
	return w.write(binary.BigEndian.AppendUint64(append(w.buf[:0], 0, 0, 0, 0, kindDropped), n), 0)
}

// End writes why no more follows.
func (w *Writer) End(why string) error {
	return w.write(append(append(w.buf[:0], 0, 0, 0, 0, kindEnd), why...), 0)
}

// write writes a message, of which so many bytes follow.
func (w *Writer) write(b []byte, follow int) error {
	const head = 4 + 1
	binary.BigEndian.PutUint32(b, uint32(len(b)-head+follow))
	w.buf = b
	_, err := w.w.Write(b)
	return err
}

// ErrFormat is wrapped by errors about a stream that is not in the format of [Writer].
var ErrFormat = errors.New("the frames are in a format that this version of kafka-tunnel does not know")

// A Reader reads what a [Writer] writes, from a process that may be of another version.
type Reader struct {
	r       io.Reader
	begun   bool
	payload []byte
}

// NewReader returns a Reader. It does not buffer.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Next returns the next message. Its frame is valid until the call after it. The error is
// [io.EOF] at the end of the stream, wraps [ErrFormat], or is that of the stream.
func (r *Reader) Next() (Message, error) {
	if !r.begun {
		var begin [len(magic)]byte
		if _, err := io.ReadFull(r.r, begin[:]); err != nil {
			return Message{}, err
		}
		if string(begin[:]) != magic {
			return Message{}, fmt.Errorf("%w: it begins with %q", ErrFormat, begin)
		}
		r.begun = true
	}
	var head [5]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		return Message{}, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxPayload {
		return Message{}, fmt.Errorf("%w: a message of %d bytes", ErrFormat, n)
	}
	if uint32(cap(r.payload)) < n {
		r.payload = make([]byte, n)
	}
	r.payload = r.payload[:n]
	if _, err := io.ReadFull(r.r, r.payload); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Message{}, err
	}
	return parseMessage(head[4], r.payload)
}

func parseMessage(kind byte, payload []byte) (m Message, err error) {
	p := payloadReader{b: payload}
	switch kind {
	case kindFrame:
		m.Frame = p.frame()
	case kindDropped:
		m.Dropped = p.uint64()
		p.bad = p.bad || len(p.b) > 0 || m.Dropped == 0
	case kindEnd:
		m.End = string(p.b)
		p.bad = m.End == ""
	default:
		return m, fmt.Errorf("%w: a message of kind %q", ErrFormat, kind)
	}
	if p.bad {
		return Message{}, fmt.Errorf("%w: a malformed message of kind %q", ErrFormat, kind)
	}
	return m, nil
}

// A payloadReader takes fields from the front of b. A field that does not fit makes it bad, and
// all fields after it zero.
type payloadReader struct {
	b   []byte
	bad bool
}

func (p *payloadReader) take(n int) []byte {
	if p.bad || n > len(p.b) {
		p.bad, p.b = true, nil
		return make([]byte, 8)[:min(n, 8)]
	}
	taken := p.b[:n]
	p.b = p.b[n:]
	return taken
}

func (p *payloadReader) uint8() byte    { return p.take(1)[0] }
func (p *payloadReader) uint16() uint16 { return binary.BigEndian.Uint16(p.take(2)) }
func (p *payloadReader) uint32() uint32 { return binary.BigEndian.Uint32(p.take(4)) }
func (p *payloadReader) uint64() uint64 { return binary.BigEndian.Uint64(p.take(8)) }

func (p *payloadReader) text() string {
	n := int(p.uint16())
	if n > len(p.b) {
		p.bad = true
		return ""
	}
	return string(p.take(n))
}

func (p *payloadReader) frame() *Frame {
	c := &Connection{}
	f := &Frame{Connection: c, Time: time.Unix(0, int64(p.uint64()))}
	c.Number = p.uint64()
	flags := p.uint8()
	f.Request, f.Token, f.Local = flags&flagRequest != 0, flags&flagToken != 0, flags&flagLocal != 0
	f.Cut, f.AllCodes = flags&flagCut != 0, flags&flagAllCodes != 0
	f.Withheld = Withheld(p.uint8())
	f.Key, f.Version, f.CorrelationID = int16(p.uint16()), int16(p.uint16()), int32(p.uint32())
	size := p.uint32()
	f.Size = int(size)
	f.Latency = time.Duration(p.uint64())
	f.Addresses = int(p.uint32())
	for _, text := range []*string{&c.Cluster, &c.Node, &c.Client, &f.Software, &f.Target} {
		*text = p.text()
	}
	if flags >= flagUnknown || f.Withheld >= endOfWithheld || size > math.MaxInt32 {
		p.bad = true
	}
	f.Bytes = p.bytes(f.Size)
	return f
}

// bytes reads the bytes of a frame of this size, with zeros in its gaps. It is bounded by
// [MaxBytes], whatever the gaps claim.
func (p *payloadReader) bytes(size int) []byte {
	number := int(p.uint16())
	if p.bad || number > kafka.MaxRecordSpans || number*gapLen > len(p.b) {
		p.bad = true
		return nil
	}
	gaps, kept := p.take(number*gapLen), p.b
	whole := len(kept)
	for i, at := 0, uint32(0); i < number; i++ {
		start, end := binary.BigEndian.Uint32(gaps[i*gapLen:]), binary.BigEndian.Uint32(gaps[i*gapLen+4:])
		if start < at || end <= start || end > MaxBytes {
			p.bad = true
			return nil
		}
		at = end
		whole += int(end - start)
	}
	if whole > min(size, MaxBytes) {
		p.bad = true
		return nil
	}
	if number == 0 {
		return kept
	}
	b := make([]byte, 0, whole)
	for i := range number {
		start, end := int(binary.BigEndian.Uint32(gaps[i*gapLen:])), int(binary.BigEndian.Uint32(gaps[i*gapLen+4:]))
		before := start - len(b)
		if before > len(kept) {
			p.bad = true
			return nil
		}
		b = append(b, kept[:before]...)
		kept = kept[before:]
		b = b[:end] // zeros
	}
	return append(b, kept...)
}
