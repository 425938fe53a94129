package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Data is a key, a value or a header of a record. As JSON it is a string if it is UTF-8,
// {"base64": "..."} if it is not, and null for nil.
type Data []byte

// MarshalJSON returns the JSON.
func (d Data) MarshalJSON() ([]byte, error) {
	if d == nil {
		return []byte("null"), nil
	}
	return appendString(nil, string(d)), nil
}

// UnmarshalJSON reads the JSON.
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
		return fmt.Errorf(`want a string, {"base64": "..."} or null, have %.60s`, b)
	}
	*d = *raw.Base64
	return nil
}

// strict reads JSON in which nothing is unknown.
func strict(b []byte, into any) error {
	r := json.NewDecoder(bytes.NewReader(b))
	r.DisallowUnknownFields()
	return r.Decode(into)
}

// UnmarshalJSON reads a batch. What is not there has the value that a plain producer gives
// it: magic 2, no compression, no producer id, offsets from the base offset on.
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

// appendRecords appends records as JSON: an array of batches, with what the broker has cut
// off behind them as {"rest": "BASE64"}. What cannot be read stays base64.
// The error says why.
func appendRecords(dst, raw []byte) ([]byte, error) {
	batches, rest, err := DecodeRecords(raw)
	if err != nil {
		return appendBase64(dst, raw), err
	}
	dst = append(dst, '[')
	for i, b := range batches {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendMarshalled(dst, b)
	}
	if len(rest) > 0 {
		if len(batches) > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendBase64(append(dst, `{"rest":`...), rest), '}')
	}
	return append(dst, ']'), nil
}

// parseRecords reads what appendRecords writes.
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
