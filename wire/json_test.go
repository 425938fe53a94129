package wire

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// eachVersion calls f for every API, direction and version.
func eachVersion(t *testing.T, f func(t *testing.T, d Direction, api API, version int16)) {
	t.Helper()
	for _, api := range APIs() {
		for _, d := range []Direction{Request, Response} {
			for version := int16(0); version <= api.MaxVersion; version++ {
				f(t, d, api, version)
			}
		}
	}
}

// randomMessage returns a random message.
func randomMessage(t rapid.TB, c *Codec, r *rand.Rand, d Direction, key, version int16) Message {
	t.Helper()
	m, err := New(d, key, version)
	if err != nil {
		t.Fatal(err)
	}
	fields, err := c.Fields(d, key, version)
	if err != nil {
		t.Fatal(err)
	}
	randomise(r, fields, reflect.ValueOf(m).Elem(), m.IsFlexible())
	return m
}

// randomise sets the fields of a version to random values.
func randomise(r *rand.Rand, fields []Field, v reflect.Value, flexible bool) {
	for _, f := range fields {
		randomValue(r, f, v.Field(f.index), flexible)
	}
	if tags := tagsOf(v); tags != nil && flexible && r.IntN(8) == 0 {
		tags.Set(r.Uint32N(1000)+1000, randomBytes(r))
	}
}

func randomBytes(r *rand.Rand) []byte {
	b := make([]byte, r.IntN(9))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func randomValue(r *rand.Rand, f Field, v reflect.Value, flexible bool) {
	if f.Nullable && r.IntN(4) == 0 {
		v.SetZero()
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(r.Uint64()) >> r.IntN(64) << (64 - v.Type().Bits()) >> (64 - v.Type().Bits()))
	case reflect.Uint16, reflect.Uint32:
		v.SetUint(r.Uint64() >> (64 - v.Type().Bits()))
	case reflect.Float64:
		v.SetFloat(r.NormFloat64())
	case reflect.String:
		v.SetString([]string{"", "x", "a topic", "ü\"\\\n\u2028<&>", "\xff\xfe", "\x00"}[r.IntN(6)])
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(r.Uint32() & 255))
		}
	case reflect.Pointer:
		v.Set(fresh(v.Type().Elem()).Addr())
		f.Nullable = false
		randomValue(r, f, v.Elem(), flexible)
	case reflect.Struct:
		randomise(r, f.Fields, v, flexible)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(randomBytes(r))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 0, 2))
		for range r.IntN(3) {
			element := fresh(v.Type().Elem())
			randomValue(r, Field{Fields: f.Fields}, element, flexible)
			v.Set(reflect.Append(v, element))
		}
	}
}

// TestRoundTrip: any message of every key and version, and its bytes, are the same
// after conversion to JSON and back.
func TestRoundTrip(t *testing.T) {
	messages := 0
	var c Codec
	eachVersion(t, func(t *testing.T, d Direction, api API, version int16) {
		t.Helper()
		r := rand.New(rand.NewPCG(uint64(api.Key), uint64(version)))
		for range 20 {
			messages++
			what := fmt.Sprintf("%s %v %d", api.Name, d, version)
			body := randomMessage(t, &c, r, d, api.Key, version).AppendTo(nil)
			before, _ := New(d, api.Key, version)
			if err := before.ReadFrom(body); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			decoded, err := c.Decode(d, api.Key, version, body)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if diff := difference(before, decoded); diff != "" {
				t.Fatalf("%s: differs from what kmsg decodes\n%s", what, diff)
			}
			text, err := c.AppendJSON(nil, before)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			after, err := c.ParseJSON(d, api.Key, version, text)
			if err != nil {
				t.Fatalf("%s: %v\n%s", what, err, text)
			}
			if got := after.AppendTo(nil); !bytes.Equal(got, body) {
				t.Fatalf("%s: the bytes differ\n%s\n%x\n%x", what, text, body, got)
			}
			if diff := difference(before, after); diff != "" {
				t.Fatalf("%s: the message differs\n%s\n%s", what, text, diff)
			}
		}
	})
	t.Logf("%d messages", messages)
}

// difference returns "" for equal messages. Where a field may not be null, kmsg decodes
// some empty arrays as nil.
func difference(a, b Message) string {
	if reflect.DeepEqual(a, b) {
		return ""
	}
	return cmp.Diff(a, b, cmpopts.EquateEmpty(), cmp.AllowUnexported(kmsg.Tags{}))
}

// TestParseJSON: defaults, and the texts of errors.
func TestParseJSON(t *testing.T) {
	for _, tt := range []struct {
		name         string
		d            Direction
		key, version int16
		text, want   string // an error, or what AppendJSON makes of it
	}{
		{"defaults", Request, 2, 1, `{}`, `{"replicaId":-1,"topics":[]}`},
		{"null", Request, 3, 1, `{"topics":null}`, `{"topics":null}`},
		{"null that is not allowed", Request, 3, 0, `{"topics":null}`, `topics: may not be null in version 0`},
		{"exact", Response, 2, 1, `{"topics":[{"name":"t","partitions":[{"partitionIndex":0,"timestamp":9223372036854775807,"offset":-9223372036854775808}]}]}`,
			`{"topics":[{"name":"t","partitions":[{"partitionIndex":0,"errorCode":0,"timestamp":9223372036854775807,"offset":-9223372036854775808}]}]}`},
		{"an error code with its meaning", Response, 12, 0, `{"errorCode":27}`, `{"errorCode":27,"error":{"code":27,"name":"REBALANCE_IN_PROGRESS","retriable":false,"message":"` + ErrorOf(27).Message + `"}}`},
		{"the meaning is ignored", Response, 12, 0, `{"errorCode":0,"error":{"code":27}}`, `{"errorCode":0}`},
		{"not in a request", Request, 12, 0, `{"error":{}}`, `error: no such field; version 0 has groupId, generationId, memberId`},
		{"too large", Request, 12, 0, `{"generationId":2147483648}`, `generationId: expected an int32, got 2147483648`},
		{"a fraction", Request, 12, 0, `{"generationId":1.5}`, `generationId: expected an int32, got 1.5`},
		{"a string", Request, 12, 0, `{"generationId":"1"}`, `generationId: expected an int32, got "1"`},
		{"in an array", Request, 3, 1, `{"topics":[{"name":"a"},{"name":1}]}`, `topics[1].name: expected a string, got 1`},
		{"of another version", Request, 3, 1, `{"topics":[{"topicId":"AAAAAAAAAAAAAAAAAAAAAA"}]}`, `topics[0].topicId: version 1 does not have it; these versions do: 10, 11, 12, 13`},
		{"a UUID", Request, 3, 12, `{"topics":[{"topicId":"00000000-0000-0000-0000-000000000000"}]}`, `topics[0].topicId: expected a UUID in Kafka's form, 22 characters of base64url, got "00000000-0000-0000-0000-000000000000"`},
		{"tags", Request, 3, 12, `{"unknownTaggedFields":{"7":"AQI="},"topics":[]}`, `{"topics":[],"allowAutoTopicCreation":false,"includeTopicAuthorizedOperations":false,"unknownTaggedFields":{"7":"AQI="}}`},
		{"tags in a version without them", Request, 3, 1, `{"unknownTaggedFields":{"7":"AQI="}}`, `unknownTaggedFields: version 1 has no tagged fields`},
		{"a tag", Request, 3, 12, `{"unknownTaggedFields":{"x":"AQI="}}`, `unknownTaggedFields.x: expected a tag, a number from 0 to 4294967295`},
		{"not JSON", Request, 3, 1, `{"topics":`, `not JSON: unexpected EOF`},
		{"two values", Request, 3, 1, `{} {}`, `not JSON: something follows the first value`},
		{"an array", Request, 3, 1, `[]`, `expected an object, got []`},
		{"bytes", Request, 36, 0, `{"authBytes":"?"}`, `authBytes: expected base64: illegal base64 data at input byte 0`},
		{"not UTF-8", Request, 17, 0, `{"mechanism":{"base64":"/w=="}}`, `{"mechanism":{"base64":"/w=="}}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c Codec
			m, err := c.ParseJSON(tt.d, tt.key, tt.version, []byte(tt.text))
			var got string
			if err != nil {
				got = err.Error()
			} else {
				b, err := c.AppendJSON(nil, m)
				if err != nil {
					t.Fatal(err)
				}
				got = string(b)
			}
			if got != tt.want {
				t.Errorf("\n%s, want\n%s", got, tt.want)
			}
		})
	}
}
