package wire

import (
	"bytes"
	"reflect"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A Field is a field of a message in one version.
type Field struct {
	Name     string // as in Kafka's schemas, in camelCase
	Type     string // bool, int8 to int64, uint16, uint32, float64, string, bytes, records, uuid, struct, or [] and one of these
	Nullable bool   // in this version
	Tagged   bool   // KIP-482: it is encoded only if it differs from its default
	Tag      uint32
	Fields   []Field // of a struct, or of each struct of an array

	index int // in kmsg's struct
}

// A Codec converts messages between bytes, structs and JSON. The zero value is ready. It is safe
// for concurrent use, and caches the fields of the messages that it has seen: use one for many.
type Codec struct {
	// Records decodes the records of Produce and Fetch messages into batches in JSON; without
	// it they are base64. ParseJSON accepts both.
	Records bool
	// Hide replaces records, and fields that are or may be credentials, by
	// {"hiddenBytes": LENGTH} in JSON. ParseJSON does not accept that.
	Hide bool
	// Share lets the bytes in messages be part of the frame that they were decoded from, which
	// must not change then. Without it they are copies.
	Share bool
	// BatchLimit bounds the decompressed records of one batch, in bytes; 0: the constant
	// [BatchLimit], 64 MiB. Records that exceed it are base64 in JSON, followed by the reason.
	BatchLimit int
	// Limit bounds what a message may become, in bytes, for programs that decode what others
	// send: the decompressed records of a message may take Limit, its structs and its JSON four
	// times as much each. A message that exceeds it is a [*LimitError]. 0: only each batch is
	// bounded.
	Limit int

	known sync.Map // of shape to []Field
}

// A shape identifies the fields of a message: those of one version.
type shape struct {
	d            Direction
	key, version int16
}

// Fields returns the fields of a message in one version, in the order of kmsg. The result is
// shared and must not be changed.
func (c *Codec) Fields(d Direction, key, version int16) ([]Field, error) {
	if known, ok := c.known.Load(shape{d, key, version}); ok {
		return known.([]Field), nil
	}
	fields, err := probe(d, key, version)
	if err == nil {
		c.known.Store(shape{d, key, version}, fields)
	}
	return fields, err
}

// probe finds the fields of a version with kmsg, which has no table of them at run time: it encodes
// and decodes a message in which no field has its default, and fields that are lost are not part
// of the version. A field is nullable if null and empty are encoded differently.
func probe(d Direction, key, version int16) ([]Field, error) {
	sample, err := New(d, key, version)
	if err != nil {
		return nil, err
	}
	fill(reflect.ValueOf(sample).Elem())
	back, err := New(d, key, version)
	if err != nil {
		return nil, err
	}
	if err := back.ReadFrom(sample.AppendTo(nil)); err != nil {
		return nil, err
	}
	p := prober{message: sample}
	return p.fields(reflect.ValueOf(sample).Elem(), reflect.ValueOf(back).Elem()), nil
}

// own reports whether a field of a kmsg struct is a field of the protocol: all are but the version
// of a message and the unknown tagged fields.
func own(message reflect.Type, i int) bool {
	f := message.Field(i)
	return f.Name != "UnknownTags" && (f.Name != "Version" || !reflect.PointerTo(message).Implements(reflect.TypeFor[Message]()))
}

// tagsOf returns the field of a struct for the tagged fields that kmsg does not know; nil if the
// struct has no flexible version.
func tagsOf(v reflect.Value) *kmsg.Tags {
	f := v.FieldByName("UnknownTags")
	if !f.IsValid() {
		return nil
	}
	return f.Addr().Interface().(*kmsg.Tags)
}

// fill gives every field a value that is not its default, arrays one element.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(v.Int() ^ 1)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		v.SetUint(v.Uint() ^ 1)
	case reflect.Float64:
		v.SetFloat(v.Float() + 1)
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Array:
		fill(v.Index(0))
	case reflect.Pointer:
		v.Set(fresh(v.Type().Elem()).Addr())
		fill(v.Elem())
	case reflect.Slice:
		element := fresh(v.Type().Elem())
		fill(element)
		v.Set(reflect.Append(reflect.MakeSlice(v.Type(), 0, 1), element))
	case reflect.Struct:
		for i := range v.NumField() {
			if own(v.Type(), i) {
				fill(v.Field(i))
			}
		}
	}
}

// fresh returns a value of a type, with the defaults of its fields.
func fresh(t reflect.Type) reflect.Value {
	v := reflect.New(t)
	if d, ok := v.Interface().(interface{ Default() }); ok {
		d.Default()
	}
	return v.Elem()
}

// A prober finds the fields of a message in which every field is set.
type prober struct{ message Message }

// fields lists the fields of a struct of the message that were decoded again.
func (p prober) fields(sample, back reflect.Value) (all []Field) {
	t := sample.Type()
	defaults := fresh(t)
	for i := range t.NumField() {
		if !own(t, i) || reflect.DeepEqual(back.Field(i).Interface(), defaults.Field(i).Interface()) {
			continue
		}
		tag, isTagged := tagged[t.Name()+"."+t.Field(i).Name]
		if isTagged && p.message.GetVersion() < tag.since {
			continue
		}
		name := nameOf(t.Name(), t.Field(i).Name, p.message.GetVersion())
		f := Field{Name: name, Type: typeOf(t.Field(i).Type), Nullable: p.nullable(sample.Field(i)), Tagged: isTagged, Tag: tag.number, index: i}
		if f.Type == "bytes" && (name == "records" || name == "unalignedRecords") {
			f.Type = "records"
		}
		if strings.HasSuffix(f.Type, "struct") {
			f.Fields = p.fields(single(sample.Field(i)), single(back.Field(i)))
		}
		all = append(all, f)
	}
	return all
}

// A tag is the number of a tagged field, with the first version that has the field.
type tag struct {
	number uint32
	since  int16
}

// tagged are the tagged fields. kmsg has no table of them, and encodes them in any version that has
// tags.
var tagged = map[string]tag{
	"ApiVersionsResponse.SupportedFeatures":                 {0, 3},
	"ApiVersionsResponse.FinalizedFeaturesEpoch":            {1, 3},
	"ApiVersionsResponse.FinalizedFeatures":                 {2, 3},
	"ApiVersionsResponse.ZkMigrationReady":                  {3, 3},
	"BeginQuorumEpochResponse.NodeEndpoints":                {0, 1},
	"BrokerHeartbeatRequest.OfflineLogDirs":                 {0, 1},
	"BrokerHeartbeatRequest.CordonedLogDirs":                {1, 2},
	"CreateTopicsResponseTopic.ConfigErrorCode":             {0, 5},
	"EndQuorumEpochResponse.NodeEndpoints":                  {0, 1},
	"FetchRequest.ClusterID":                                {0, 12},
	"FetchRequest.ReplicaState":                             {1, 15},
	"FetchRequestTopicPartition.ReplicaDirectoryID":         {0, 17},
	"FetchRequestTopicPartition.HighWatermark":              {1, 18},
	"FetchResponse.Brokers":                                 {0, 16},
	"FetchResponseTopicPartition.DivergingEpoch":            {0, 12},
	"FetchResponseTopicPartition.CurrentLeader":             {1, 12},
	"FetchResponseTopicPartition.SnapshotID":                {2, 12},
	"FetchSnapshotRequest.ClusterID":                        {0, 0},
	"FetchSnapshotRequestTopicPartition.ReplicaDirectoryID": {0, 1},
	"FetchSnapshotResponse.NodeEndpoints":                   {0, 1},
	"FetchSnapshotResponseTopicPartition.CurrentLeader":     {0, 0},
	"ProduceResponse.Brokers":                               {0, 10},
	"ProduceResponseTopicPartition.CurrentLeader":           {0, 10},
	"UpdateRaftVoterResponse.CurrentLeader":                 {0, 0},
	"VoteResponse.NodeEndpoints":                            {0, 1},
}

// single returns what a pointer points to, or the only element of a slice.
func single(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer:
		return v.Elem()
	case reflect.Slice:
		return v.Index(0)
	}
	return v
}

// nullable reports whether null and empty are encoded differently.
func (p prober) nullable(v reflect.Value) bool {
	if v.Kind() != reflect.Pointer && v.Kind() != reflect.Slice {
		return false
	}
	before := v.Interface()
	defer v.Set(reflect.ValueOf(before))
	if v.Kind() == reflect.Slice {
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	} else {
		v.Set(reflect.New(v.Type().Elem()))
	}
	empty := p.message.AppendTo(nil)
	v.SetZero()
	return !bytes.Equal(empty, p.message.AppendTo(nil))
}

// typeOf returns the name of a type in the schemas.
func typeOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return typeOf(t.Elem())
	case reflect.Array:
		return "uuid"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "bytes"
		}
		return "[]" + typeOf(t.Elem())
	}
	return t.Kind().String()
}

// directionOf returns the direction of a message.
func directionOf(m Message) Direction {
	if _, ok := m.(kmsg.Request); ok {
		return Request
	}
	return Response
}
