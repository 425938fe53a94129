package wire

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// An API is one of Kafka's request types, with its responses.
type API struct {
	Key           int16
	Name          string // as in Kafka's schemas: DescribeAcls
	MaxVersion    int16  // the newest that this package knows; the oldest is 0
	FirstFlexible int16  // the first with compact lengths and tagged fields (KIP-482); -1: none
}

// APIs lists all that this package knows, by key.
func APIs() (all []API) {
	for _, a := range kafka.APIs() {
		all = append(all, API{a.Key, a.Name, a.MaxVersion, a.FirstFlexible})
	}
	return all
}

// Lookup finds an API by its key ("3") or its name, in any case ("metadata").
func Lookup(keyOrName string) (API, error) {
	number, err := strconv.Atoi(keyOrName)
	for _, a := range APIs() {
		if err == nil && int(a.Key) == number || strings.EqualFold(a.Name, keyOrName) {
			return a, nil
		}
	}
	return API{}, fmt.Errorf("wire: no API has the key or the name %q", keyOrName)
}

// A Direction is that of a message.
type Direction uint8

// The directions.
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
// Its version has to be set before it is read or written.
type Message interface {
	Key() int16
	MaxVersion() int16
	SetVersion(version int16)
	GetVersion() int16
	IsFlexible() bool
	AppendTo(dst []byte) []byte
	ReadFrom(src []byte) error
}

// New returns a message with all fields at their defaults.
func New(d Direction, key, version int16) (Message, error) {
	request := kmsg.RequestForKey(key)
	if request == nil {
		return nil, fmt.Errorf("wire: no API has the key %d", key)
	}
	var m Message = request
	if d == Response {
		m = request.ResponseKind()
	}
	if version < 0 || version > m.MaxVersion() {
		api, _ := kafka.Lookup(key)
		return nil, fmt.Errorf("wire: %s has the versions 0 to %d, not %d", api.Name, m.MaxVersion(), version)
	}
	m.SetVersion(version)
	if v, ok := m.(interface{ Default() }); ok {
		v.Default()
	}
	return m, nil
}
