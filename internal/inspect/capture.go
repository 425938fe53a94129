package inspect

import (
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/wire"
	"github.com/kafka-tunnel/kafka-tunnel/wire/pcap"
)

// A captured is what Run prints of a frame of a capture.
type captured struct {
	Time time.Time `json:"time"`
	From string    `json:"from"`
	To   string    `json:"to"`
	head
	Size           int             `json:"size"`
	LatencySeconds *float64        `json:"latencySeconds,omitempty"`
	Request        json.RawMessage `json:"request,omitempty"`
	Response       json.RawMessage `json:"response,omitempty"`
	Unread         string          `json:"unread,omitempty"` // why the frame has neither
}

func (d Decoder) capture(in io.Reader, print func(value []byte) error, note func(text string)) error {
	codec := &wire.Codec{Records: d.Records, Share: true}
	return pcap.Read(in, codec, func(f pcap.Frame) error {
		out := captured{Time: f.Time, From: f.From, To: f.To, head: headOf(f.Header), Size: f.Size}
		if errors.Is(f.Err, pcap.ErrNoRequest) {
			out.API = ""
		}
		if f.Latency > 0 {
			seconds := f.Latency.Seconds()
			out.LatencySeconds = &seconds
		}
		err := f.Err
		switch {
		case err != nil:
		case f.Request != nil:
			out.Request, err = codec.AppendJSON(nil, f.Request)
		default:
			out.Response, err = codec.AppendJSON(nil, f.Response)
		}
		if err != nil {
			out.Unread = err.Error()
		}
		text, err := marshal(out)
		if err != nil {
			return err
		}
		return print(text)
	}, note)
}
