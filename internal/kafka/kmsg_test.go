package kafka

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// This file has the oracle: messages as kmsg decodes them.

// newResponse returns an empty response of kmsg.
func newResponse(key, version int16) kmsg.Response {
	r := kmsg.ResponseForKey(key)
	r.SetVersion(version)
	return r
}

// decode reads the body of a response frame. It fails if bytes are left over.
func decode(key, version int16, frame []byte) (kmsg.Response, error) {
	if len(frame) < 4 {
		return nil, fmt.Errorf("no correlation id")
	}
	body := frame[4:]
	r := newResponse(key, version)
	if r.IsFlexible() && key != KeyApiVersions {
		c := newCursor(frame, 4)
		c.tags()
		if c.err != nil {
			return nil, c.err
		}
		body = frame[c.off:]
	}
	return r, r.ReadFrom(body)
}

// encode returns a response frame without its size. The header has the given tags, if
// it can have tags in this version.
func encode(r kmsg.Response, headerTags []byte) []byte {
	frame := binary.BigEndian.AppendUint32(nil, 0x01020304)
	if r.IsFlexible() && r.Key() != KeyApiVersions {
		frame = append(frame, headerTags...)
	}
	return r.AppendTo(frame)
}

// headers are tag sections of response headers: empty, with one tag, and of the largest
// size that two bytes can express.
var headers = [][]byte{{0}, {1, 5, 2, 'x', 'y'}, append([]byte{1, 0xff, 0x7f, 0x80, 0x01}, make([]byte, 128)...)}

// A filler fills messages with random content.
type filler struct {
	*rand.Rand
	counts []int // lengths of arrays of addresses
	hosts  []int // lengths of host names
	small  bool  // at most one element in other arrays
	plain  bool  // no large and no negative numbers, see slow
	repeat bool  // most elements of an array of addresses repeat the address of another
}

func newFiller(seed uint64) *filler {
	return &filler{Rand: rand.New(rand.NewPCG(seed, 1)), counts: []int{0, 1, 2, 3}, hosts: []int{1, 7, 21}}
}

func (f *filler) pick(from []int) int { return from[f.IntN(len(from))] }

func (f *filler) text(n int) string {
	var b strings.Builder
	for range n {
		b.WriteByte("abcdefghijklmnopqrstuvwxyz-."[f.IntN(28)])
	}
	return b.String()
}

// value fills v and everything below it.
func (f *filler) value(v reflect.Value) {
	if tags, ok := v.Addr().Interface().(*kmsg.Tags); ok {
		f.tags(tags)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "Version" {
				f.value(v.Field(i))
			}
		}
		if isAddress(v.Type()) {
			v.FieldByName("Host").SetString(f.text(f.pick(f.hosts)))
		}
	case reflect.Slice:
		f.slice(v)
	case reflect.Array:
		for i := range v.Len() {
			f.value(v.Index(i))
		}
	case reflect.Pointer:
		if f.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			f.value(v.Elem())
		}
	case reflect.String:
		v.SetString(f.text(f.IntN(12)))
	case reflect.Bool:
		v.SetBool(f.IntN(2) == 0)
	case reflect.Uint8:
		v.SetUint(uint64(f.IntN(128)))
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if f.plain {
			v.SetInt(f.Int64N(100))
		} else {
			v.SetInt(f.Int64() >> f.IntN(64)) // the setter truncates it
		}
	default:
		panic("no rule for " + v.Type().String())
	}
}

func (f *filler) slice(v reflect.Value) {
	n := f.IntN(3)
	if isAddress(v.Type().Elem()) {
		n = f.pick(f.counts)
	} else if f.small {
		n = min(n, 1)
	}
	if v.Type().Elem().Kind() == reflect.Uint8 {
		n = f.IntN(300)
	}
	if n == 0 && f.IntN(2) == 0 {
		return // null where the field may be null
	}
	v.Set(reflect.MakeSlice(v.Type(), n, n))
	for i := range n {
		f.value(v.Index(i))
		if f.repeat && i > 0 && isAddress(v.Type().Elem()) && f.IntN(4) > 0 {
			from := v.Index(f.IntN(i))
			for _, name := range []string{"NodeID", "Host", "Port"} {
				v.Index(i).FieldByName(name).Set(from.FieldByName(name))
			}
		}
	}
}

func (f *filler) tags(t *kmsg.Tags) {
	if f.IntN(3) > 0 {
		return
	}
	for range f.IntN(3) {
		key := uint32(10 + f.IntN(300)) // known tags are below
		if key == padTag && f.IntN(20) > 0 {
			key++
		}
		t.Set(key, []byte(f.text(f.pick([]int{0, 1, 5, 127, 128, 200}))))
	}
}

// response returns a random response.
func (f *filler) response(key, version int16) kmsg.Response {
	r := newResponse(key, version)
	f.value(reflect.ValueOf(r).Elem())
	r.SetVersion(version)
	if d, ok := r.(*kmsg.DescribeClusterResponse); ok {
		d.EndpointType = 1
	}
	return r
}

// isAddress reports whether t is a struct with an address that clients connect to.
func isAddress(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for _, name := range []string{"NodeID", "Host", "Port"} {
		if _, ok := t.FieldByName(name); !ok {
			return false
		}
	}
	return true
}

// replace changes the decoded message as the rewriters change the bytes: it passes
// every distinct address to m in one call and replaces or hides it.
func replace(r kmsg.Response, m Mapper) Result {
	var found []reflect.Value
	var endpoints []Endpoint
	var collect func(v reflect.Value)
	collect = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				collect(v.Elem())
			}
		case reflect.Slice:
			for i := range v.Len() {
				collect(v.Index(i))
			}
		case reflect.Struct:
			if isAddress(v.Type()) && exists(r, v) {
				found = append(found, v)
			}
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					collect(v.Field(i))
				}
			}
		}
	}
	collect(reflect.ValueOf(r))
	var res Result
	var asked []reflect.Value
	var of []int // the endpoint of each address that is mapped
	known := map[Endpoint]int{}
	for _, v := range found {
		host, id := v.FieldByName("Host").String(), int32(v.FieldByName("NodeID").Int())
		switch {
		case r.Key() == KeyFindCoordinator && host == "":
		case r.Key() == KeyFindCoordinator && id < 0:
			blank(v)
			res.Hidden++
		default:
			e := Endpoint{NodeID: id, Host: host, Port: int32(v.FieldByName("Port").Int())}
			k, ok := known[e]
			if !ok {
				k = len(endpoints)
				known[e] = k
				endpoints = append(endpoints, e)
			}
			asked, of = append(asked, v), append(of, k)
		}
	}
	if len(endpoints) > 0 {
		_ = m.Map(endpoints)
	}
	for i, v := range asked {
		e := endpoints[of[i]]
		v.FieldByName("Host").SetString(e.Host)
		v.FieldByName("Port").SetInt(int64(e.Port))
		if !e.Hidden {
			res.Rewritten++
			continue
		}
		res.Hidden++
		if r.Key() == KeyFindCoordinator {
			blank(v)
		} else {
			v.FieldByName("Host").SetString(leaveOut)
		}
	}
	dropHidden(reflect.ValueOf(r).Elem())
	return res
}

// exists reports whether the struct is part of messages of this version: v4 moved the
// coordinator into an array.
func exists(r kmsg.Response, v reflect.Value) bool {
	top := v.Type() == reflect.TypeOf(kmsg.FindCoordinatorResponse{})
	return r.Key() != KeyFindCoordinator || top == (r.GetVersion() <= 3)
}

const leaveOut = "\x00"

func blank(v reflect.Value) {
	v.FieldByName("NodeID").SetInt(-1)
	v.FieldByName("Host").SetString("")
	v.FieldByName("Port").SetInt(-1)
	if code := v.FieldByName("ErrorCode"); code.Int() == 0 {
		code.SetInt(15)
	}
}

func dropHidden(v reflect.Value) {
	for i := range v.NumField() {
		s := v.Field(i)
		if s.Kind() != reflect.Slice || !isAddress(s.Type().Elem()) {
			continue
		}
		kept := reflect.MakeSlice(s.Type(), 0, s.Len())
		for j := range s.Len() {
			if s.Index(j).FieldByName("Host").String() != leaveOut {
				kept = reflect.Append(kept, s.Index(j))
			}
		}
		s.Set(kept)
	}
}

func appendTestString(dst []byte, s string, flexible bool) []byte {
	return append(appendLength(dst, len(s), flexible), s...)
}
