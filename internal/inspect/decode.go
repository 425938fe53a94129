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

// A Decoder turns the bytes of one direction of a connection into JSON, one value for each
// frame.
type Decoder struct {
	// Response is the API and the version of the requests to which the frames are responses;
	// the frames do not contain it. If it is empty, the frames are requests.
	Response string
	Records  bool
}

// A decoded is what Decode prints of a frame.
type decoded struct {
	Offset int64 `json:"offset"` // position of the frame in the input
	head
	Request  json.RawMessage `json:"request,omitempty"`
	Response json.RawMessage `json:"response,omitempty"`
}

// A head is what Decode prints of any frame.
type head struct {
	API           string  `json:"api,omitempty"` // "": unknown
	Key           int16   `json:"key"`
	Version       int16   `json:"version"`
	CorrelationID int32   `json:"correlationId"`
	ClientID      *string `json:"clientId,omitempty"`
}

func headOf(h wire.RequestHeader) head {
	return head{kafka.Name(h.Key), h.Key, h.Version, h.CorrelationID, h.ClientID}
}

// maxInput limits an input that is not a capture: a broker accepts no larger frame.
const maxInput = wire.MaxFrame

// Encodings returns the names of the encodings of inputs; auto detects the encoding.
func Encodings() []string { return append(wire.Encodings(), "pcap") }

// Run decodes an input in one of [Encodings]: of a packet capture both directions of all
// connections, of all else what [Decoder.Decode] decodes. It writes to note what it could not
// decode.
func (d Decoder) Run(in io.Reader, encoding string, print func(value []byte) error, note func(text string)) error {
	r := bufio.NewReader(in)
	begins, _ := r.Peek(4) // the next read returns the error again
	if encoding == "pcap" || encoding == "auto" && pcap.Is(begins) {
		return d.capture(r, print, note)
	}
	input, err := boundedfile.From(r, maxInput)
	if err != nil {
		return fmt.Errorf("reading the input: %w", err)
	}
	b, _, err := wire.ReadDump(input, encoding)
	if err != nil {
		return err
	}
	return d.Decode(b, print)
}

// Decode reads frames with their lengths, one after the other, or one frame without its length,
// and calls print with each. An error names the byte of the input.
func (d Decoder) Decode(b []byte, print func(value []byte) error) error {
	if len(b) == 0 {
		return errors.New("the input is empty")
	}
	codec := &wire.Codec{Records: d.Records}
	if !d.framed(b) {
		return d.frame(codec, b, 0, 0, print)
	}
	var frames wire.Frames
	_, _ = frames.Write(b) // returns no error
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

// framed guesses whether the bytes begin with the length of a frame. They do if they are a
// sequence of whole frames, if a known API and version follow the length of a request, or if a
// response is shorter than the rest.
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
	const shortest = 8 // anything shorter is more likely a correlation id
	n := int64(int32(binary.BigEndian.Uint32(b)))
	return n >= shortest && 4+n <= int64(len(b))
}

// chain reports whether the bytes are a sequence of whole frames.
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

// frame decodes one; head is the number of bytes before it in the input, counted from offset.
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
			return out, fmt.Errorf("--response %s: the version is missing: a response does not contain it; use %s:VERSION", d.Response, api.Name)
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
		return out, fmt.Errorf("not a request: %w; if it is a response, add --response API:VERSION", err)
	}
	out.head = headOf(h)
	out.Request, err = codec.AppendJSON(nil, m)
	return out, err
}

// marshal is json.Marshal without its escapes for HTML.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	w := json.NewEncoder(&b)
	w.SetEscapeHTML(false)
	err := w.Encode(v)
	return b.Bytes(), err
}
