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

// ContentType is the content type of a stream.
const ContentType = "application/vnd.kafka-tunnel.tap"

// magic begins a stream. Its number changes with the format.
const magic = "kafka-tunnel tap 2\n"

// The kinds of messages, and their shortest payloads.
const (
	kindFrame   = 'F'
	kindDropped = 'D'
	kindEnd     = 'E'

	messageHead = 4 + 1

	texts      = 5
	frameHead  = 8 + 8 + 1 + 1 + 2 + 2 + 4 + 4 + 8 + 4 + 2*texts + 2
	gapLen     = 4 + 4
	maxText    = math.MaxUint16
	maxPayload = frameHead + texts*maxText + kafka.MaxRecordSpans*gapLen + MaxBytes
)

// A header is the part of a frame that has a fixed length.
type header struct {
	Time          int64 // ns since 1970
	Conn          uint64
	Flags         uint8
	Withheld      Withheld
	Key, Version  int16
	CorrelationID int32
	Size          uint32
	Latency       int64 // ns
	Addresses     uint32
	Texts         [texts]uint16 // lengths
	Gaps          uint16        // number
}

// A gap is bytes of the frame that are left out: [Start, End).
type gap struct{ Start, End uint32 }

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
//	stream:   | "kafka-tunnel tap 2\n" | message | message | ...
//	message:  | length of the payload uint32 | kind uint8 | payload |
//
//	payload of kind F, a frame:
//	          | time int64, ns since 1970 | number of the connection uint64 |
//	          | flags uint8: 1 request, 2 token, 4 local, 8 cut, 16 all codes | withheld uint8 |
//	          | API key int16 | version int16 | correlation id int32 | size uint32 |
//	          | latency int64, ns | replaced addresses uint32 |
//	          | lengths of cluster, node, client, software and target, each uint16 | gaps uint16 |
//	          | the five texts | gaps, each start uint32 and end uint32 in the frame | bytes |
//	payload of kind D, dropped frames: | number uint64 |
//	payload of kind E, the end:        | why, UTF-8 |
//
// The bytes are those of the frame without the gaps, up to the end of the payload.
type Writer struct {
	w   io.Writer
	buf []byte // for everything except the bytes of a frame
}

// NewWriter begins a stream.
func NewWriter(w io.Writer) (*Writer, error) {
	_, err := io.WriteString(w, magic)
	return &Writer{w: w}, err
}

// Frame writes a frame. Its bytes are not copied.
func (w *Writer) Frame(f *Frame) error {
	c := f.Connection
	flags := byte(0)
	for i, on := range []bool{f.Request, f.Token, f.Local, f.Cut, f.AllCodes} {
		if on {
			flags |= 1 << i
		}
	}
	// A header. Package binary takes seven times as long for the struct.
	b := append(w.buf[:0], 0, 0, 0, 0, kindFrame)
	b = binary.BigEndian.AppendUint64(b, uint64(f.Time.UnixNano()))
	b = binary.BigEndian.AppendUint64(b, c.Number)
	b = append(b, flags, byte(f.Withheld))
	b = binary.BigEndian.AppendUint16(b, uint16(f.Key))
	b = binary.BigEndian.AppendUint16(b, uint16(f.Version))
	b = binary.BigEndian.AppendUint32(b, uint32(f.CorrelationID))
	b = binary.BigEndian.AppendUint32(b, uint32(f.Size))
	b = binary.BigEndian.AppendUint64(b, uint64(f.Latency))
	b = binary.BigEndian.AppendUint32(b, uint32(f.Addresses))
	all := [texts]string{c.Cluster, c.Node, c.Client, f.Software, f.Target}
	for i, text := range all {
		all[i] = text[:min(len(text), maxText)]
		b = binary.BigEndian.AppendUint16(b, uint16(len(all[i])))
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(f.Gaps)))
	for _, text := range all {
		b = append(b, text...)
	}
	for _, g := range f.Gaps {
		b = binary.BigEndian.AppendUint32(b, uint32(g.Start))
		b = binary.BigEndian.AppendUint32(b, uint32(g.End))
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

// End writes why no more messages follow.
func (w *Writer) End(why string) error {
	return w.write(append(append(w.buf[:0], 0, 0, 0, 0, kindEnd), why...), 0)
}

// write writes the head of a message, which is followed by the given number of bytes.
func (w *Writer) write(b []byte, follow int) error {
	binary.BigEndian.PutUint32(b, uint32(len(b)-messageHead+follow))
	w.buf = b
	_, err := w.w.Write(b)
	return err
}

// ErrFormat is wrapped by errors about a stream that does not have the format of [Writer].
var ErrFormat = errors.New("this version of kafka-tunnel does not support the format of the frames")

// A Reader reads the stream of a [Writer], from a process that may have another version.
type Reader struct {
	r       io.Reader
	begun   bool
	payload []byte
}

// NewReader returns a Reader. It does not buffer.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Next returns the next message. Its frame is valid until the next call. The error is [io.EOF]
// at the end of the stream, wraps [ErrFormat], or is that of the underlying reader.
func (r *Reader) Next() (Message, error) {
	if !r.begun {
		var begin [len(magic)]byte
		if _, err := io.ReadFull(r.r, begin[:]); err != nil {
			return Message{}, err
		}
		if string(begin[:]) != magic {
			return Message{}, fmt.Errorf("%w: the stream begins with %q", ErrFormat, begin)
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
	var ok bool
	switch kind {
	case kindFrame:
		m.Frame, ok = parseFrame(payload)
	case kindDropped:
		if ok = len(payload) == 8; ok {
			m.Dropped = binary.BigEndian.Uint64(payload)
			ok = m.Dropped > 0
		}
	case kindEnd:
		m.End = string(payload)
		ok = m.End != ""
	default:
		return m, fmt.Errorf("%w: a message of kind %q", ErrFormat, kind)
	}
	if !ok {
		return Message{}, fmt.Errorf("%w: a malformed message of kind %q", ErrFormat, kind)
	}
	return m, nil
}

// parseFrame reads the payload of a frame.
func parseFrame(payload []byte) (f *Frame, ok bool) {
	var h header
	n, err := binary.Decode(payload, binary.BigEndian, &h)
	if err != nil || h.Flags >= flagUnknown || h.Withheld >= endOfWithheld || h.Size > math.MaxInt32 || h.Gaps > kafka.MaxRecordSpans {
		return nil, false
	}
	c := &Connection{Number: h.Conn}
	f = &Frame{
		Time: time.Unix(0, h.Time), Connection: c, Withheld: h.Withheld, Key: h.Key, Version: h.Version, CorrelationID: h.CorrelationID,
		Size: int(h.Size), Latency: time.Duration(h.Latency), Addresses: int(h.Addresses),
		Request: h.Flags&flagRequest != 0, Token: h.Flags&flagToken != 0, Local: h.Flags&flagLocal != 0,
		Cut: h.Flags&flagCut != 0, AllCodes: h.Flags&flagAllCodes != 0,
	}
	rest := payload[n:]
	for i, text := range []*string{&c.Cluster, &c.Node, &c.Client, &f.Software, &f.Target} {
		length := int(h.Texts[i])
		if length > len(rest) {
			return nil, false
		}
		*text, rest = string(rest[:length]), rest[length:]
	}
	gaps := make([]gap, h.Gaps)
	if n, err = binary.Decode(rest, binary.BigEndian, gaps); err != nil {
		return nil, false
	}
	f.Bytes, ok = fill(rest[n:], gaps, min(f.Size, MaxBytes))
	return f, ok
}

// fill returns bytes with zeros in the gaps, if they are in order and the result is not longer
// than limit.
func fill(kept []byte, gaps []gap, limit int) (b []byte, ok bool) {
	if len(gaps) == 0 {
		return kept, len(kept) <= limit
	}
	whole, at := len(kept), 0
	for _, g := range gaps {
		start, end := int(g.Start), int(g.End)
		if start < at || end <= start || end > limit {
			return nil, false
		}
		at, whole = end, whole+end-start
	}
	if whole > limit || at > whole {
		return nil, false
	}
	b = make([]byte, 0, whole)
	for _, g := range gaps {
		before := int(g.Start) - len(b)
		b = append(b, kept[:before]...)
		kept = kept[before:]
		b = b[:g.End] // zeros
	}
	return append(b, kept...), true
}
