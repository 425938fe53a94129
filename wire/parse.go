package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A PathError is an error at a value of a JSON document.
type PathError struct {
	Path string // topics[2].partitions[0].index; empty: the document
	Err  error
}

// Error returns the path and what is wrong there.
func (e *PathError) Error() string {
	if e.Path == "" {
		return e.Err.Error()
	}
	return e.Path + ": " + e.Err.Error()
}

// Unwrap returns what is wrong.
func (e *PathError) Unwrap() error { return e.Err }

// ParseJSON parses a message in the form in which [Codec.AppendJSON] writes it. Missing fields have
// their defaults; a field that the version does not have is an error. A [*PathError] names the
// first value that is wrong.
func (c *Codec) ParseJSON(d Direction, key, version int16, document []byte) (Message, error) {
	m, err := New(d, key, version)
	if err != nil {
		return nil, err
	}
	fields, err := c.Fields(d, key, version)
	if err != nil {
		return nil, err
	}
	tree, err := parseTree(document)
	if err != nil {
		return nil, &PathError{Err: err}
	}
	p := parser{codec: c, d: d, m: m}
	if err := p.object("", fields, reflect.ValueOf(m).Elem(), tree); err != nil {
		return nil, err
	}
	return m, nil
}

// parseTree parses one JSON value. Nothing may follow it.
func parseTree(document []byte) (tree any, err error) {
	r := json.NewDecoder(bytes.NewReader(document))
	r.UseNumber()
	if err := r.Decode(&tree); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := r.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not JSON: something follows the first value")
	}
	return tree, nil
}

type parser struct {
	codec *Codec
	d     Direction
	m     Message
}

func (p parser) object(path string, fields []Field, v reflect.Value, tree any) error {
	values, ok := tree.(map[string]any)
	if !ok {
		return wrong(path, "an object", tree)
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		at := join(path, name)
		i := slices.IndexFunc(fields, func(f Field) bool { return f.Name == name })
		switch {
		case i >= 0:
			if err := p.value(at, fields[i], fields[i].Type, v.Field(fields[i].index), values[name]); err != nil {
				return err
			}
		case name == unknownTags:
			if err := p.tags(at, tagsOf(v), values[name]); err != nil {
				return err
			}
		case p.d == Response && isMeaning(fields, name): // the code decides
		case isUnread(fields, name): // a remark on the records
		default:
			return &PathError{at, p.unknownField(fields, at)}
		}
	}
	return nil
}

// isMeaning reports whether a name is that of the meaning of an error code.
func isMeaning(fields []Field, name string) bool {
	return slices.ContainsFunc(fields, func(f Field) bool {
		meaning, ok := f.meaning()
		return ok && meaning == name
	})
}

// isUnread reports whether a name is that of the reason why records are base64.
func isUnread(fields []Field, name string) bool {
	return slices.ContainsFunc(fields, func(f Field) bool { return f.Type == "records" && f.Name+unread == name })
}

// unknownField returns the error for a name that is not a field of the version. It names the
// versions that have the field, or the fields of this version.
func (p parser) unknownField(fields []Field, path string) error {
	var with []string
	for version := int16(0); version <= p.m.MaxVersion(); version++ {
		if all, err := p.codec.Fields(p.d, p.m.Key(), version); err == nil && has(all, path) {
			with = append(with, strconv.Itoa(int(version)))
		}
	}
	if len(with) > 0 {
		return fmt.Errorf("version %d does not have it; these versions do: %s", p.m.GetVersion(), strings.Join(with, ", "))
	}
	var names []string
	for _, f := range fields {
		names = append(names, f.Name)
	}
	if len(names) == 0 {
		return fmt.Errorf("no such field; version %d has no fields here", p.m.GetVersion())
	}
	return fmt.Errorf("no such field; version %d has %s", p.m.GetVersion(), strings.Join(names, ", "))
}

// has reports whether there is a field with a path.
func has(fields []Field, path string) bool {
	first, rest, nested := strings.Cut(path, ".")
	first, _, _ = strings.Cut(first, "[")
	i := slices.IndexFunc(fields, func(f Field) bool { return f.Name == first })
	return i >= 0 && (!nested || has(fields[i].Fields, rest))
}

func (p parser) tags(path string, tags *kmsg.Tags, tree any) error {
	values, ok := tree.(map[string]any)
	if !ok {
		return wrong(path, "an object", tree)
	}
	if tags == nil || !p.m.IsFlexible() {
		return &PathError{path, fmt.Errorf("version %d has no tagged fields", p.m.GetVersion())}
	}
	for name, value := range values {
		at := join(path, name)
		tag, err := strconv.ParseUint(name, 10, 32)
		if err != nil {
			return &PathError{at, errors.New("expected a tag, a number from 0 to 4294967295")}
		}
		b, err := base64Of(at, value)
		if err != nil {
			return err
		}
		tags.Set(uint32(tag), b)
	}
	return nil
}

func (p parser) value(path string, f Field, kind string, v reflect.Value, tree any) error {
	if tree == nil {
		if !f.Nullable {
			return &PathError{path, fmt.Errorf("may not be null in version %d", p.m.GetVersion())}
		}
		v.SetZero()
		return nil
	}
	if v.Kind() == reflect.Pointer {
		v.Set(fresh(v.Type().Elem()).Addr())
		v = v.Elem()
	}
	switch kind {
	case "bool":
		b, ok := tree.(bool)
		if !ok {
			return wrong(path, "true or false", tree)
		}
		v.SetBool(b)
	case "int8", "int16", "int32", "int64":
		n, ok := tree.(json.Number)
		i, err := strconv.ParseInt(string(n), 10, v.Type().Bits())
		if !ok || err != nil {
			return wrong(path, "an "+kind, tree)
		}
		v.SetInt(i)
	case "uint16", "uint32":
		n, ok := tree.(json.Number)
		i, err := strconv.ParseUint(string(n), 10, v.Type().Bits())
		if !ok || err != nil {
			return wrong(path, "a "+kind, tree)
		}
		v.SetUint(i)
	case "float64":
		return p.float(path, v, tree)
	case "string":
		s, err := stringOf(path, tree)
		if err != nil {
			return err
		}
		v.SetString(s)
	case "bytes", "records":
		if batches, ok := tree.([]any); ok && kind == "records" {
			b, err := parseRecords(path, batches)
			if err != nil {
				return err
			}
			v.SetBytes(b)
			return nil
		}
		b, err := base64Of(path, tree)
		if err != nil {
			return err
		}
		v.SetBytes(b)
	case "uuid":
		s, _ := tree.(string)
		id, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil || len(id) != v.Len() {
			return wrong(path, "a UUID in Kafka's form, 22 characters of base64url", tree)
		}
		reflect.Copy(v, reflect.ValueOf(id))
	case "struct":
		return p.object(path, f.Fields, v, tree)
	default:
		return p.array(path, f, strings.TrimPrefix(kind, "[]"), v, tree)
	}
	return nil
}

func (p parser) array(path string, f Field, kind string, v reflect.Value, tree any) error {
	values, ok := tree.([]any)
	if !ok {
		return wrong(path, "an array", tree)
	}
	v.SetZero()
	if f.Nullable {
		v.Set(reflect.MakeSlice(v.Type(), 0, len(values)))
	}
	for i, value := range values {
		element := fresh(v.Type().Elem())
		if err := p.value(fmt.Sprintf("%s[%d]", path, i), Field{Fields: f.Fields}, kind, element, value); err != nil {
			return err
		}
		v.Set(reflect.Append(v, element))
	}
	return nil
}

func (p parser) float(path string, v reflect.Value, tree any) error {
	var text string
	switch t := tree.(type) {
	case json.Number:
		text = string(t)
	case string:
		if t != "NaN" && t != "Infinity" && t != "-Infinity" {
			return wrong(path, "a number, or NaN, Infinity or -Infinity as a string", tree)
		}
		text = t
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return wrong(path, "a number", tree)
	}
	if math.IsNaN(n) {
		n = math.NaN() // there are many; this is the usual one
	}
	v.SetFloat(n)
	return nil
}

// stringOf returns a string, which is an object with base64 if it is not UTF-8.
func stringOf(path string, tree any) (string, error) {
	switch t := tree.(type) {
	case string:
		return t, nil
	case map[string]any:
		if raw, ok := t["base64"]; ok && len(t) == 1 {
			b, err := base64Of(join(path, "base64"), raw)
			return string(b), err
		}
	}
	return "", wrong(path, "a string", tree)
}

func base64Of(path string, tree any) ([]byte, error) {
	s, ok := tree.(string)
	if !ok {
		return nil, wrong(path, "base64 in a string", tree)
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, &PathError{path, fmt.Errorf("expected base64: %w", err)}
	}
	return b, nil
}

// wrong returns the error for a value of another type than expected.
func wrong(path, want string, have any) error {
	text, err := json.Marshal(have)
	if err != nil {
		text = []byte("another value")
	}
	const most = 60
	if len(text) > most {
		text = append(text[:most:most], "..."...)
	}
	return &PathError{path, fmt.Errorf("expected %s, got %s", want, text)}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
