package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// Data is a key, a value or a part of a header of a record. Its JSON is a string if it is UTF-8,
// {"base64": "..."} if it is not, and null for nil.
type Data []byte

// MarshalJSON returns the JSON.
func (d Data) MarshalJSON() ([]byte, error) { return d.appendJSON(nil), nil }

func (d Data) appendJSON(dst []byte) []byte {
	if d == nil {
		return append(dst, "null"...)
	}
	return appendString(dst, string(d))
}

// UnmarshalJSON parses the JSON.
func (d *Data) UnmarshalJSON(b []byte) error {
	var text *string
	if err := json.Unmarshal(b, &text); err == nil {
		*d = nil
		if text != nil {
			*d = append(Data{}, *text...)
		}
		return nil
	}
	var raw struct {
		Base64 *[]byte `json:"base64"`
	}
	if err := strict(b, &raw); err != nil || raw.Base64 == nil {
		return fmt.Errorf(`expected a string, {"base64": "..."} or null, got %.60s`, b)
	}
	*d = *raw.Base64
	return nil
}

// strict parses JSON and rejects unknown fields.
func strict(b []byte, into any) error {
	r := json.NewDecoder(bytes.NewReader(b))
	r.DisallowUnknownFields()
	return r.Decode(into)
}

// UnmarshalJSON parses a batch. Missing fields have the values of a plain producer: magic 2, no
// compression, no producer id, offsets that count from the base offset.
func (b *Batch) UnmarshalJSON(text []byte) error {
	type plain Batch
	read := struct {
		*plain
		Records []struct {
			Record
			Offset    *int64 `json:"offset"`
			Timestamp *int64 `json:"timestamp"`
		} `json:"records"`
	}{plain: (*plain)(b)}
	*b = Batch{Magic: 2, PartitionLeaderEpoch: -1, ProducerID: -1, ProducerEpoch: -1, BaseSequence: -1}
	if err := strict(text, &read); err != nil {
		return err
	}
	next := b.BaseOffset
	for _, one := range read.Records {
		r := one.Record
		r.Offset, r.Timestamp = next, -1
		if one.Offset != nil {
			r.Offset = *one.Offset
		}
		if one.Timestamp != nil {
			r.Timestamp = *one.Timestamp
		}
		next = r.Offset + 1
		b.Records = append(b.Records, r)
	}
	return nil
}

// batches appends records as JSON: an array of batches, and {"rest": "BASE64"} for a last one that
// the broker has cut off. Records that cannot be decoded are base64, and unread has the reason.
func (w *jsonWriter) batches(dst, raw []byte) []byte {
	batches, rest, err := w.records.records(raw)
	if limit, ok := errors.AsType[*LimitError](err); ok && w.records.limit > 0 {
		w.err = limit
		return dst
	}
	if w.unread = err; err != nil {
		return w.base64(dst, raw)
	}
	dst = append(dst, '[')
	for i, b := range batches {
		if !w.fits(dst, 0) {
			return dst
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = w.batch(dst, b)
	}
	if len(rest) > 0 {
		if len(batches) > 0 {
			dst = append(dst, ',')
		}
		dst = append(w.base64(append(dst, `{"rest":`...), rest), '}')
	}
	return append(dst, ']')
}

// batch appends one batch. Its records are written one by one, so that no more is written than
// fits.
func (w *jsonWriter) batch(dst []byte, b Batch) []byte {
	records := b.Records
	b.Records = nil
	dst = appendMarshalled(dst, b)
	if records == nil {
		return dst
	}
	dst = append(bytes.TrimSuffix(dst, []byte("null}")), '[') // the records are its last field
	for i, r := range records {
		if !w.fits(dst, r.jsonSize()) {
			return dst
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = r.appendJSON(dst)
	}
	return append(dst, "]}"...)
}

// appendJSON appends the same bytes as the standard library, with fewer copies.
func (r Record) appendJSON(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, `{"offset":`...), r.Offset, 10)
	dst = strconv.AppendInt(append(dst, `,"timestamp":`...), r.Timestamp, 10)
	dst = r.Key.appendJSON(append(dst, `,"key":`...))
	dst = r.Value.appendJSON(append(dst, `,"value":`...))
	for i, h := range r.Headers {
		if i == 0 {
			dst = append(dst, `,"headers":[`...)
		} else {
			dst = append(dst, ',')
		}
		dst = h.Key.appendJSON(append(dst, `{"key":`...))
		dst = append(h.Value.appendJSON(append(dst, `,"value":`...)), '}')
	}
	if len(r.Headers) > 0 {
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// jsonSize is the largest size of its keys and values as JSON.
func (r Record) jsonSize() int {
	n := jsonSize(r.Key) + jsonSize(r.Value)
	for _, h := range r.Headers {
		const names = len(`{"key":null,"value":null},`)
		n += names + jsonSize(h.Key) + jsonSize(h.Value)
	}
	return n
}

// parseRecords encodes the batches that jsonWriter.batches writes.
func parseRecords(path string, values []any) (b []byte, err error) {
	for i, value := range values {
		at := fmt.Sprintf("%s[%d]", path, i)
		text, err := json.Marshal(value)
		if err != nil {
			return nil, &PathError{at, err}
		}
		var cut struct {
			Rest *[]byte `json:"rest"`
		}
		if strict(text, &cut) == nil && cut.Rest != nil {
			b = append(b, *cut.Rest...)
			continue
		}
		var batch Batch
		if err := json.Unmarshal(text, &batch); err != nil {
			return nil, &PathError{at, err}
		}
		one, err := EncodeRecords([]Batch{batch})
		if err != nil {
			return nil, &PathError{at, errors.Unwrap(err)}
		}
		b = append(b, one...)
	}
	return b, nil
}
