//go:build conformance

package conformance

import (
	"archive/zip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A schema is one of Kafka's own descriptions of its messages, from its client.
type schema struct {
	APIKey           int16  `json:"apiKey"`
	Type             string // request or response
	Name             string
	ValidVersions    string
	FlexibleVersions string
	Fields           []schemaField
	CommonStructs    []schemaField

	common map[string][]schemaField
}

type schemaField struct {
	Name             string
	Type             string
	Versions         string
	NullableVersions string
	TaggedVersions   string
	FlexibleVersions string // if they differ from the message's
	Tag              json.Number
	Default          any
	Fields           []schemaField
}

func (f schemaField) tag() uint64 {
	n, err := f.Tag.Int64()
	if err != nil {
		panic(err) // the schemas are wrong, or misread
	}
	return uint64(n)
}

var schemaComment = regexp.MustCompile(`(?m)^\s*//.*$`)

// readSchemas reads the schemas of one release of Kafka's client from its jar, by key and type.
func readSchemas(t *testing.T, version string) map[string]*schema {
	t.Helper()
	all := map[string]*schema{}
	for _, jar := range strings.Split(string(artifacts(t, "org.apache.kafka:kafka-clients:"+version)), ":") {
		if filepath.Base(jar) != "kafka-clients-"+version+".jar" {
			continue
		}
		archive, err := zip.OpenReader(jar)
		if err != nil {
			t.Fatal(err)
		}
		defer archive.Close()
		for _, file := range archive.File {
			if !strings.HasPrefix(file.Name, "common/message/") || !strings.HasSuffix(file.Name, ".json") {
				continue
			}
			if s := readSchema(t, file); s.Type == "request" || s.Type == "response" {
				all[fmt.Sprintf("%d %s", s.APIKey, s.Type)] = s
			}
		}
	}
	if len(all) == 0 {
		t.Fatalf("kafka-clients %s has no schemas", version)
	}
	return all
}

func readSchema(t *testing.T, file *zip.File) *schema {
	t.Helper()
	r, err := file.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	s := &schema{common: map[string][]schemaField{}}
	if err := json.Unmarshal(schemaComment.ReplaceAll(text, nil), s); err != nil {
		t.Fatalf("%s: %v", file.Name, err)
	}
	for _, c := range s.CommonStructs {
		s.common[c.Name] = c.Fields
	}
	return s
}

// covers reports whether a version range of the schemas contains a version: "3", "0-2", "4+",
// "none".
func covers(versions string, version int16) bool {
	if versions == "" || versions == "none" {
		return false
	}
	low, high, ranged := strings.Cut(strings.TrimSuffix(versions, "+"), "-")
	from, _ := strconv.Atoi(low)
	to := from
	if ranged {
		to, _ = strconv.Atoi(high)
	} else if strings.HasSuffix(versions, "+") {
		to = math.MaxInt16
	}
	return int(version) >= from && int(version) <= to
}

// in returns the fields of a version.
func (s *schema) in(fields []schemaField, version int16) (all []schemaField) {
	for _, f := range fields {
		if covers(f.Versions, version) || covers(f.TaggedVersions, version) {
			all = append(all, f)
		}
	}
	return all
}

// structOf returns the fields of a struct, or of the elements of an array of structs.
func (s *schema) structOf(f schemaField) []schemaField {
	if len(f.Fields) > 0 {
		return f.Fields
	}
	return s.common[strings.TrimPrefix(f.Type, "[]")]
}

// kind returns the type without the names of structs.
func (s *schema) kind(name string) string {
	if element, ok := strings.CutPrefix(name, "[]"); ok {
		return "[]" + s.kind(element)
	}
	if name[0] >= 'A' && name[0] <= 'Z' {
		return "struct"
	}
	return name
}

func camel(name string) string { return strings.ToLower(name[:1]) + name[1:] }

// A schemaEncoder writes messages according to the schemas: an oracle that shares nothing with
// kmsg. It generates the values, and keeps them as JSON.
type schemaEncoder struct {
	*schema
	version int16
	random  *rand.Rand
}

func (e schemaEncoder) flexible() bool { return covers(e.FlexibleVersions, e.version) }

// object appends the fields of a struct, and returns their values.
//
//	fields without tags | number of tags | tag | length | value | ...
func (e schemaEncoder) object(dst []byte, fields []schemaField) ([]byte, map[string]any) {
	values := map[string]any{}
	var tagged []schemaField
	for _, f := range e.in(fields, e.version) {
		if covers(f.TaggedVersions, e.version) {
			tagged = append(tagged, f)
			continue
		}
		dst, values[camel(f.Name)] = e.value(dst, f, e.kind(f.Type), covers(f.NullableVersions, e.version), e.flexible() && f.FlexibleVersions != "none")
	}
	if !e.flexible() {
		return dst, values
	}
	slices.SortFunc(tagged, func(a, b schemaField) int { return int(a.tag()) - int(b.tag()) })
	dst = binary.AppendUvarint(dst, uint64(len(tagged)))
	for _, f := range tagged {
		// Never null and never a default: a tagged field with its default value is left out.
		body, value := e.value(nil, f, e.kind(f.Type), false, true)
		values[camel(f.Name)] = value
		dst = binary.AppendUvarint(dst, f.tag())
		dst = binary.AppendUvarint(dst, uint64(len(body)))
		dst = append(dst, body...)
	}
	return dst, values
}

// value appends a value that is not the default, or null.
func (e schemaEncoder) value(dst []byte, f schemaField, kind string, nullable, flexible bool) ([]byte, any) {
	null := nullable && e.random.IntN(4) == 0
	n := 1 + e.random.IntN(100)
	switch kind {
	case "bool":
		// Only one of both is not the default.
		if b := fmt.Sprint(f.Default) != "true"; b {
			return append(dst, 1), true
		}
		return append(dst, 0), false
	case "int8":
		return append(dst, byte(n)), n
	case "int16":
		return binary.BigEndian.AppendUint16(dst, uint16(n)), n
	case "uint16":
		return binary.BigEndian.AppendUint16(dst, uint16(n+1<<15)), n + 1<<15
	case "int32":
		return binary.BigEndian.AppendUint32(dst, uint32(n)), n
	case "uint32":
		return binary.BigEndian.AppendUint32(dst, uint32(n)+1<<31), int64(n) + 1<<31
	case "int64":
		return binary.BigEndian.AppendUint64(dst, uint64(n)<<53), json.Number(strconv.Itoa(n << 53))
	case "float64":
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(float64(n)/4)), float64(n) / 4
	case "uuid":
		id := slices.Repeat([]byte{byte(n)}, 16)
		return append(dst, id...), uuidText(id)
	case "string":
		if null {
			return e.length(dst, -1, 2, flexible), nil
		}
		text := strings.Repeat("ä", n)
		return append(e.length(dst, len(text), 2, flexible), text...), text
	case "bytes", "records":
		if null {
			return e.length(dst, -1, 4, flexible), nil
		}
		body := slices.Repeat([]byte{byte(n)}, n)
		return append(e.length(dst, n, 4, flexible), body...), body
	case "struct":
		if null {
			return append(dst, 0xff), nil
		}
		if nullable {
			dst = append(dst, 1)
		}
		return e.object(dst, e.structOf(f))
	}
	if null {
		return e.length(dst, -1, 4, flexible), nil
	}
	count := 1 + e.random.IntN(2)
	dst = e.length(dst, count, 4, flexible)
	elements := []any{}
	for range count {
		var one any
		dst, one = e.value(dst, f, strings.TrimPrefix(kind, "[]"), false, flexible)
		elements = append(elements, one)
	}
	return dst, elements
}

// length appends the length of a string, of bytes or of an array; -1 is null.
func (e schemaEncoder) length(dst []byte, n, size int, flexible bool) []byte {
	switch {
	case flexible:
		return binary.AppendUvarint(dst, uint64(n+1))
	case size == 2:
		return binary.BigEndian.AppendUint16(dst, uint16(n))
	}
	return binary.BigEndian.AppendUint32(dst, uint32(n))
}
