package wire

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// An API is one of Kafka's request types, with its responses.
type API struct {
	Key           int16
	Name          string // as in Kafka's schemas: DescribeAcls
	MaxVersion    int16  // the newest version that this package knows; the oldest is 0
	FirstFlexible int16  // the first version with compact lengths and tagged fields (KIP-482); -1: none
}

// The keys that have a rule of their own in this package.
const (
	keyControlledShutdown = int16(kmsg.ControlledShutdown)
	keySASLHandshake      = int16(kmsg.SASLHandshake)
	keyAPIVersions        = int16(kmsg.ApiVersions)
	keySASLAuthenticate   = int16(kmsg.SASLAuthenticate)
)

// apis has the API of each key at the index of the key. kmsg is the only source: its names
// differ from Kafka's in their spelling, and in one word.
var apis = sync.OnceValue(func() []API {
	all := make([]API, 0, kmsg.MaxKey+1)
	for key := range int16(kmsg.MaxKey + 1) {
		m := kmsg.RequestForKey(key)
		api := API{Key: key, Name: spelling.Replace(kmsg.NameForKey(key)), MaxVersion: m.MaxVersion(), FirstFlexible: -1}
		if kmsg.Key(key) == kmsg.AlterPartitionAssignments {
			api.Name = "AlterPartitionReassignments"
		}
		for version := int16(0); version <= api.MaxVersion && api.FirstFlexible < 0; version++ {
			if m.SetVersion(version); m.IsFlexible() {
				api.FirstFlexible = version
			}
		}
		all = append(all, api)
	}
	return all
})

// APIs lists all APIs that this package knows, by key. The slice is the caller's.
func APIs() []API { return slices.Clone(apis()) }

// apiOf returns the API of a key.
func apiOf(key int16) (API, bool) {
	if key < 0 || int(key) >= len(apis()) {
		return API{}, false
	}
	return apis()[key], true
}

// nameOfAPI returns the name of a key that has one.
func nameOfAPI(key int16) string {
	api, _ := apiOf(key)
	return api.Name
}

// Lookup finds an API by its key ("3") or its name, in any case ("metadata").
func Lookup(keyOrName string) (API, error) {
	number, err := strconv.Atoi(keyOrName)
	for _, a := range apis() {
		if err == nil && int(a.Key) == number || strings.EqualFold(a.Name, keyOrName) {
			return a, nil
		}
	}
	return API{}, fmt.Errorf("wire: no API has the key or the name %q", keyOrName)
}

// A Direction tells requests from responses.
type Direction uint8

// The two directions.
const (
	Request Direction = iota
	Response
)

// String returns "request" or "response".
func (d Direction) String() string {
	if d == Response {
		return "response"
	}
	return "request"
}

// A Message is the body of a request or a response: a [kmsg.Request] or a [kmsg.Response].
// [New] sets its version, which decides the fields that it has on the wire.
type Message interface {
	Key() int16
	MaxVersion() int16
	SetVersion(version int16)
	GetVersion() int16
	IsFlexible() bool
	AppendTo(dst []byte) []byte
	ReadFrom(src []byte) error
}

// New returns a message of one version, with all fields at their defaults.
func New(d Direction, key, version int16) (Message, error) {
	api, ok := apiOf(key)
	if !ok {
		return nil, fmt.Errorf("wire: no API has the key %d", key)
	}
	if version < 0 || version > api.MaxVersion {
		return nil, fmt.Errorf("wire: %s has the versions 0 to %d, not %d", api.Name, api.MaxVersion, version)
	}
	var m Message = kmsg.RequestForKey(key)
	if d == Response {
		m = kmsg.ResponseForKey(key)
	}
	m.SetVersion(version)
	if v, ok := m.(interface{ Default() }); ok {
		v.Default()
	}
	return m, nil
}
