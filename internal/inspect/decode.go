package inspect

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/kafka-tunnel/kafka-tunnel/internal/boundedfile"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/wire"
	"github.com/kafka-tunnel/kafka-tunnel/wire/pcap"
)

// A Decoder turns the bytes of one side of a connection into JSON, a value a frame.
type Decoder struct {
	// Response is the API and the version of the requests that the frames answer, which
	// stands nowhere in them; empty: they are requests.
	Response string
	Records  bool
}

// A decoded is what is printed of a frame.
type decoded struct {
	Offset int64 `json:"offset"` // of the frame in the input
	head
	Request  json.RawMessage `json:"request,omitempty"`
	Response json.RawMessage `json:"response,omitempty"`
}

// A head is what is printed of any frame.
type head struct {
	API           string  `json:"api,omitempty"` // empty: not known
	Key           int16   `json:"key"`
	Version       int16   `json:"version"`
	CorrelationID int32   `json:"correlationId"`
	ClientID      *string `json:"clientId,omitempty"`
}

func headOf(h wire.RequestHeader) head {
	return head{kafka.Name(h.Key), h.Key, h.Version, h.CorrelationID, h.ClientID}
}

// maxInput bounds an input that is no capture: a broker takes no larger frame.
const maxInput = wire.MaxFrame

// Encodings returns the names of the encodings of inputs; auto guesses.
func Encodings() []string { return append(wire.Encodings(), "pcap") }

// Run decodes an input in one of [Encodings]: a capture of packets with all that both sides of
// its connections say, everything else as [Decoder.Decode] does. It says to note what it could
// not read.
func (d Decoder) Run(in io.Reader, encoding string, print func(value []byte) error, note func(text string)) error {
	r := bufio.NewReader(in)
	begins, _ := r.Peek(4) // an error comes again
	if encoding == "pcap" || encoding == "auto" && pcap.Is(begins) {
		return d.capture(r, print, note)
	}
	input, err := boundedfile.From(r, maxInput)
	if err != nil {
		return fmt.Errorf("the input: %w", err)
	}
	b, _, err := wire.ReadDump(input, encoding)
	if err != nil {
		return err
	}
	return d.Decode(b, print)
}

// Decode reads frames with their lengths, one behind the other, or one frame without its
// length, and calls print with each. An error says at which byte of the input it is.
func (d Decoder) Decode(b []byte, print func(value []byte) error) error {
	if len(b) == 0 {
		return errors.New("there are no bytes")
	}
	codec := &wire.Codec{Records: d.Records}
	if !d.framed(b) {
		return d.frame(codec, b, 0, 0, print)
	}
	var frames wire.Frames
	_, _ = frames.Write(b) // never fails
	for offset := int64(0); ; {
		frame, err := frames.Next()
		if err != nil {
			return err
		}
		if frame == nil {
			return frames.End()
		}
		if err := d.frame(codec, frame, offset, 4, print); err != nil {
			return err
		}
		offset += 4 + int64(len(frame))
	}
}

// framed reports whether bytes begin with the length of a frame, as far as can be told: what
// is one frame after the other to its end is; a request has a known API and version where
// they have to stand; a response is shorter than the rest.
func (d Decoder) framed(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	if chain(b) {
		return true
	}
	if d.Response == "" {
		return wire.IsRequest(b[4:]) && !wire.IsRequest(b)
	}
	const shortest = 8 // anything shorter is rather a correlation id
	n := int64(int32(binary.BigEndian.Uint32(b)))
	return n >= shortest && 4+n <= int64(len(b))
}

// chain reports whether bytes are nothing but frames.
func chain(b []byte) bool {
	for len(b) >= 4 {
		n := int64(int32(binary.BigEndian.Uint32(b)))
		if n < 4 || 4+n > int64(len(b)) {
			return false
		}
		b = b[4+n:]
	}
	return len(b) == 0
}

// frame decodes one; head is what stands before it in the input, from offset on.
func (d Decoder) frame(codec *wire.Codec, frame []byte, offset, head int64, print func([]byte) error) error {
	out, err := d.parse(codec, frame)
	if err != nil {
		var at *wire.DecodeError
		if errors.As(err, &at) {
			return fmt.Errorf("byte %d of the input: %w", offset+head+int64(at.Offset), err)
		}
		return fmt.Errorf("byte %d of the input: %w", offset, err)
	}
	out.Offset = offset
	text, err := marshal(out)
	if err != nil {
		return err
	}
	return print(text)
}

func (d Decoder) parse(codec *wire.Codec, frame []byte) (out decoded, err error) {
	if d.Response != "" {
		api, version, err := ParseAPI(d.Response)
		if err != nil {
			return out, err
		}
		if version < 0 {
			return out, fmt.Errorf("--response %s: a response does not say its version: %s:VERSION", d.Response, api.Name)
		}
		id, m, err := codec.ParseResponse(frame, api.Key, version)
		if err != nil {
			return out, err
		}
		out.head = headOf(wire.RequestHeader{Key: api.Key, Version: version, CorrelationID: id})
		out.Response, err = codec.AppendJSON(nil, m)
		return out, err
	}
	h, m, err := codec.ParseRequest(frame)
	if err != nil {
		return out, fmt.Errorf("no request: %w; if it is a response, say of what: --response API:VERSION", err)
	}
	out.head = headOf(h)
	out.Request, err = codec.AppendJSON(nil, m)
	return out, err
}

// marshal is json.Marshal without the escapes that HTML wants.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	w := json.NewEncoder(&b)
	w.SetEscapeHTML(false)
	err := w.Encode(v)
	return b.Bytes(), err
}
