package inspect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

// A TapNotice is output of `kafka-tunnel tap` that is not a frame.
type TapNotice struct {
	// Dropped is how many frames are missing at this point, because the viewer read too slowly.
	Dropped uint64 `json:"dropped,omitempty"`
	// Over is why no more frames follow.
	Over string `json:"over,omitempty"`
}

// A TapEvent is one line of output of `kafka-tunnel tap`: a frame, or a notice, which has no
// Kind.
type TapEvent struct {
	TapNotice

	Time     time.Time `json:"time,omitzero"`
	Conn     uint64    `json:"conn,omitempty"`
	Cluster  string    `json:"cluster,omitempty"`
	Node     string    `json:"node,omitempty"`
	Client   string    `json:"client,omitempty"`   // address
	Software string    `json:"software,omitempty"` // name and version of the client library (KIP-511)
	Target   string    `json:"target,omitempty"`

	Kind          string `json:"kind,omitempty"` // request, response, or token: bare SASL bytes
	API           string `json:"api,omitempty"`
	Key           int16  `json:"key"`
	Version       int16  `json:"version"`
	CorrelationID int32  `json:"correlationId"`
	Size          int    `json:"size"` // bytes

	LatencySeconds *float64            `json:"latencySeconds,omitempty"` // of a response
	Addresses      int                 `json:"addresses,omitempty"`      // addresses that the tunnel replaced or left out
	Local          bool                `json:"local,omitempty"`          // the tunnel itself answered
	Cut            bool                `json:"cut,omitempty"`            // the connection ended within the frame
	Errors         []wire.LocatedError `json:"errors,omitempty"`
	Body           json.RawMessage     `json:"body,omitempty"`
	// Unread is why there is no body, and why the list of errors may be incomplete.
	Unread string `json:"unread,omitempty"`
}

// AppendJSON appends the event as a line of JSON.
func (e TapEvent) AppendJSON(dst []byte) ([]byte, error) {
	var line any = e
	if e.Kind == "" {
		line = e.TapNotice
	}
	b := bytes.NewBuffer(dst)
	w := json.NewEncoder(b)
	w.SetEscapeHTML(false)
	err := w.Encode(line)
	return b.Bytes(), err
}

// The kinds of frames.
const (
	KindRequest  = "request"
	KindResponse = "response"
	KindToken    = "token"
)

// maxRecords limits the decompressed records of a frame, and with them all memory for it
// ([wire.Codec.Limit]): a frame of some kilobytes can decompress to gigabytes, and the viewer
// uses the memory of the application's container.
const maxRecords = 1 << 20

// A TapDecoder decodes, filters and redacts the frames that a tunnel sends. The tunnel does
// none of this, but leaves out what must not leave it (see package tap).
type TapDecoder struct {
	filter tap.Filter
	codec  wire.Codec
}

// NewTapDecoder returns a decoder with a filter.
func NewTapDecoder(f tap.Filter) *TapDecoder {
	return &TapDecoder{filter: f, codec: wire.Codec{Records: f.Records, Hide: !f.Records, Share: true, Limit: maxRecords}}
}

// Message returns the event of a message from the tunnel; false: the filter excludes it.
func (d *TapDecoder) Message(m tap.Message) (TapEvent, bool) {
	if m.Frame == nil {
		return TapEvent{TapNotice: TapNotice{Dropped: m.Dropped, Over: m.End}}, true
	}
	return d.Frame(m.Frame)
}

// Frame returns the event of a frame; false: the filter excludes it.
func (d *TapDecoder) Frame(f *tap.Frame) (TapEvent, bool) {
	c := f.Connection
	e := TapEvent{
		Time: f.Time, Conn: c.Number, Cluster: c.Cluster, Node: c.Node, Client: c.Client, Software: f.Software, Target: f.Target,
		Kind: KindRequest, Key: f.Key, Version: f.Version, CorrelationID: f.CorrelationID, Size: f.Size,
		Addresses: f.Addresses, Local: f.Local, Cut: f.Cut,
	}
	if f.Token {
		e.Kind, e.Key, e.Version = KindToken, -1, -1
		return e, true
	}
	e.API = kafka.Name(f.Key)
	if !f.Request {
		e.Kind = KindResponse
		seconds := f.Latency.Seconds()
		e.LatencySeconds = &seconds
	}
	malformed := false
	if !f.Request || d.filter.Bodies {
		malformed = d.read(&e, f)
	}
	return e, !d.filter.Errors || len(e.Errors) > 0 || malformed
}

// read fills in the content of the frame. It reports whether it cannot be decoded.
func (d *TapDecoder) read(e *TapEvent, f *tap.Frame) (malformed bool) {
	if f.Local { // a response to an ApiVersions request that is newer than the tunnel knows (KIP-511)
		e.Errors = []wire.LocatedError{{Path: "errorCode", Error: wire.ErrorOf(kerr.UnsupportedVersion.Code)}}
		return false
	}
	if _, known := kafka.Lookup(f.Key); !known {
		e.Unread = fmt.Sprintf("wire: no API has the key %d", f.Key)
		return true
	}
	m, err := d.parse(f)
	if m != nil {
		var limit error
		if e.Errors, limit = d.codec.ErrorsOf(m); limit != nil { // the errors up to the limit
			e.Unread = unread(limit)
		}
	}
	switch {
	case f.Withheld == tap.Secret:
		if d.filter.Bodies {
			e.Unread = "the tunnel does not show credentials and configurations"
		}
	case f.Withheld == tap.NeedsRecords && len(f.Bytes) == 0:
		if d.filter.Bodies {
			e.Unread = "shown only with --records"
		}
	case f.AllCodes && !f.Cut && !d.filter.Bodies: // the output needs nothing else of the frame
	case len(f.Bytes) < f.Size:
		e.Unread = fmt.Sprintf("incomplete: %d of %d bytes", len(f.Bytes), f.Size)
	case err != nil:
		e.Unread = unread(err)
		_, limited := errors.AsType[*wire.LimitError](err)
		return !limited
	case d.filter.Bodies:
		if e.Body, err = d.codec.AppendJSON(nil, m); err != nil {
			e.Body, e.Unread = nil, unread(err)
		}
	}
	return false
}

// unread returns why a frame is not decoded.
func unread(err error) string {
	if limit, ok := errors.AsType[*wire.LimitError](err); ok {
		return limit.Error()
	}
	return err.Error()
}

func (d *TapDecoder) parse(f *tap.Frame) (m wire.Message, err error) {
	if f.Request {
		_, m, err = d.codec.ParseRequest(f.Bytes)
	} else {
		_, m, err = d.codec.ParseResponse(f.Bytes, f.Key, f.Version)
	}
	return m, err
}
