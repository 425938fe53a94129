package tap

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

// A Notice is a line that is no frame.
type Notice struct {
	// Dropped is how many frames should stand here, and were dropped because who watches
	// did not take them fast enough.
	Dropped uint64 `json:"dropped,omitempty"`
	// Over says why nothing more will come.
	Over string `json:"over,omitempty"`
}

// An Event is a line of what is shown: a frame, or a notice, which has no Kind.
type Event struct {
	Notice

	Time     time.Time `json:"time,omitzero"`
	Conn     uint64    `json:"conn,omitempty"`
	Cluster  string    `json:"cluster,omitempty"`
	Node     string    `json:"node,omitempty"`
	Client   string    `json:"client,omitempty"`   // address
	Software string    `json:"software,omitempty"` // and version, as the client says (KIP-511)
	Target   string    `json:"target,omitempty"`

	Kind          string `json:"kind,omitempty"` // request, response, or token: of SASL, bare
	API           string `json:"api,omitempty"`
	Key           int16  `json:"key"`
	Version       int16  `json:"version"`
	CorrelationID int32  `json:"correlationId"`
	Size          int    `json:"size"` // bytes

	LatencySeconds *float64            `json:"latencySeconds,omitempty"` // of a response
	Addresses      int                 `json:"addresses,omitempty"`      // that the tunnel replaced or left out
	Local          bool                `json:"local,omitempty"`          // the tunnel answered
	Cut            bool                `json:"cut,omitempty"`            // the connection ended inside it
	Errors         []wire.LocatedError `json:"errors,omitempty"`
	Body           json.RawMessage     `json:"body,omitempty"`
	// Unread says why there is no body, and why there may be errors that are not shown.
	Unread string `json:"unread,omitempty"`
}

// The kinds of frames.
const (
	Request  = "request"
	Response = "response"
	Token    = "token"
)

// maxRecords bounds the records of a frame once they are decompressed, and with them what
// else becomes of it ([wire.Codec.Limit]): a frame of some kilobytes can mean gigabytes.
const maxRecords = 1 << 20

// A Describer decodes frames.
type Describer struct {
	filter Filter
	codec  wire.Codec
}

// NewDescriber returns one for what a filter wants.
func NewDescriber(f Filter) *Describer {
	return &Describer{filter: f, codec: wire.Codec{Records: f.Records, Hide: !f.Records, Share: true, Limit: maxRecords}}
}

// Describe makes an event of a frame; false: it is not to be shown.
func (d *Describer) Describe(f *Frame) (Event, bool) {
	c := f.Connection
	e := Event{
		Time: f.Time, Conn: c.Number, Cluster: c.Cluster, Node: c.Node, Client: c.Client, Software: f.Software, Target: f.Target,
		Kind: Request, Key: f.Key, Version: f.Version, CorrelationID: f.CorrelationID, Size: f.Size,
		Addresses: f.Addresses, Local: f.Local, Cut: f.Cut,
	}
	if f.Token {
		e.Kind, e.Key, e.Version = Token, -1, -1
		if d.filter.Records {
			e.Body, _ = json.Marshal(base64.StdEncoding.EncodeToString(f.Bytes))
		}
		return e, true
	}
	e.API = kafka.Name(f.Key)
	if !f.Request {
		e.Kind = Response
		seconds := f.Latency.Seconds()
		e.LatencySeconds = &seconds
	}
	malformed := false
	if !f.Request || d.filter.Bodies {
		malformed = d.read(&e, f)
	}
	return e, !d.filter.Errors || len(e.Errors) > 0 || malformed
}

// read fills in what the frame's bytes say. It reports whether they say nothing that is known.
func (d *Describer) read(e *Event, f *Frame) (malformed bool) {
	if f.Local { // to an ApiVersions request that is newer than the tunnel knows (KIP-511)
		e.Errors = []wire.LocatedError{{Path: "errorCode", Error: wire.ErrorOf(kerr.UnsupportedVersion.Code)}}
		return false
	}
	m, err := d.parse(f)
	if m != nil {
		var limit error
		if e.Errors, limit = d.codec.ErrorsOf(m); limit != nil { // as far as it was read
			e.Unread = unread(limit)
		}
	}
	switch {
	case len(f.Bytes) < f.Size:
		e.Unread = fmt.Sprintf("%d of its %d bytes are there", len(f.Bytes), f.Size)
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

// unread says why a frame is not decoded.
func unread(err error) string {
	if limit, ok := errors.AsType[*wire.LimitError](err); ok {
		return limit.Error()
	}
	return err.Error()
}

func (d *Describer) parse(f *Frame) (m wire.Message, err error) {
	if f.Request {
		_, m, err = d.codec.ParseRequest(f.Bytes)
	} else {
		_, m, err = d.codec.ParseResponse(f.Bytes, f.Key, f.Version)
	}
	return m, err
}
