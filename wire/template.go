package wire

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Template returns JSON to be filled in: a message in which every field of the version has its
// default, and every array of structs one element.
func (c *Codec) Template(d Direction, key, version int16) ([]byte, error) {
	m, err := New(d, key, version)
	if err != nil {
		return nil, err
	}
	fields, err := c.Fields(d, key, version)
	if err != nil {
		return nil, err
	}
	extend(fields, reflect.ValueOf(m).Elem())
	return c.AppendJSON(nil, m)
}

// extend gives each array of structs one element.
func extend(fields []Field, v reflect.Value) {
	for _, f := range fields {
		at := v.Field(f.index)
		switch f.Type {
		case "[]struct":
			element := fresh(at.Type().Elem())
			extend(f.Fields, element)
			at.Set(reflect.Append(reflect.MakeSlice(at.Type(), 0, 1), element))
		case "struct":
			if at.Kind() != reflect.Pointer {
				extend(f.Fields, at)
			}
		}
	}
}

// A Description describes one field in all versions of a message.
type Description struct {
	Path     string // topics[].partitions[].index
	Type     string // as in Field
	Versions string // that have the field: "0-12", "13+"
	Nullable string // the versions in which it may be null; empty: none
	Tag      string // the number of a tagged field; empty: it is not tagged
}

// Describe lists the fields that a message has in any version, in the order of the newest version
// that has them. "13+" means version 13 and all that follow.
func (c *Codec) Describe(d Direction, key int16) ([]Description, error) {
	newest, err := New(d, key, 0)
	if err != nil {
		return nil, err
	}
	found := map[string]*history{}
	var order []string
	for version := newest.MaxVersion(); version >= 0; version-- {
		fields, err := c.Fields(d, key, version)
		if err != nil {
			return nil, err
		}
		before := ""
		walk("", fields, func(path string, f Field) {
			h := found[path]
			if h == nil {
				h = &history{Description: Description{Path: path, Type: f.Type}}
				found[path] = h
				order = insertAfter(order, before, path)
			}
			if h.versions = append(h.versions, version); f.Nullable {
				h.nullable = append(h.nullable, version)
			}
			if f.Tagged {
				h.Tag = strconv.FormatUint(uint64(f.Tag), 10)
			}
			before = path
		})
	}
	all := make([]Description, 0, len(order))
	for _, path := range order {
		h := found[path]
		h.Versions, h.Nullable = ranges(h.versions, newest.MaxVersion()), ranges(h.nullable, newest.MaxVersion())
		all = append(all, h.Description)
	}
	return all, nil
}

// A history collects the versions of a field, the newest first.
type history struct {
	Description
	versions, nullable []int16
}

// walk calls see for all fields, for a struct before its fields.
func walk(path string, fields []Field, see func(path string, f Field)) {
	for _, f := range fields {
		at := join(path, f.Name+strings.Repeat("[]", strings.Count(f.Type, "[]")))
		see(at, f)
		walk(at, f.Fields, see)
	}
}

// insertAfter inserts a path after another one; at the front if that is empty.
func insertAfter(order []string, before, path string) []string {
	at := 0
	for i, other := range order {
		if other == before {
			at = i + 1
		}
	}
	return append(order[:at:at], append([]string{path}, order[at:]...)...)
}

// ranges formats versions, the newest first, as the schemas do: 0-2, 5+.
func ranges(versions []int16, newest int16) string {
	var parts []string
	for i := 0; i < len(versions); {
		to := versions[i]
		from := to
		for i++; i < len(versions) && versions[i] == from-1; i++ {
			from--
		}
		switch {
		case to == newest:
			parts = append([]string{fmt.Sprintf("%d+", from)}, parts...)
		case from == to:
			parts = append([]string{strconv.Itoa(int(to))}, parts...)
		default:
			parts = append([]string{fmt.Sprintf("%d-%d", from, to)}, parts...)
		}
	}
	return strings.Join(parts, ", ")
}
