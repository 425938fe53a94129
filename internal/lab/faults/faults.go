// Package faults defines what goes wrong in the lab, and when.
//
// A [Set] is a list of faults that a test, or a user of the lab's control port, has requested.
// The parts of the lab (token service, proxy, connectors, brokers) check it before they act:
//
//	if f, ok := set.Take(faults.ConnectReply, faults.Where{Target: "kafka-1.onprem.invalid:9092"}); ok {
//		answer(f.Reply)
//	}
//
// They are called when it changes ([Set.OnChange]): a port closes and a relay stalls before the
// call that changes the Set returns.
//
// A fault remains until it is removed, until the time in For has passed, or until it has
// happened Count times. In the last case it remains in the list without further effect, so a
// test can see that it happened; what it holds (a stalled connection) is released when it is
// removed.
//
// [Kinds] is the table of all kinds, with the fields of each. The package knows no sockets and
// imports nothing of ours. A nil *Set has no faults.
package faults

import (
	"encoding/json"
	"fmt"
	"time"
)

// A Kind names one way in which a part of the lab can fail.
type Kind string

// A Fault is one fault. The zero value of a field means "not set"; [Kinds] lists the fields of
// each kind and their defaults.
type Fault struct {
	// ID is assigned by [Set.Add].
	ID   string `json:"id,omitempty"`
	Kind Kind   `json:"kind"`
	// Target limits the fault to one virtual address, "host:port" (for broker_down: an address
	// or a node id). Empty: all.
	Target string `json:"target,omitempty"`
	// LocationID limits the fault to the Cloud Connector with that Location ID; a pointer to ""
	// means the one without a Location ID. Nil: all.
	LocationID *string `json:"location_id,omitempty"`
	// Count is how often the fault happens. 0: until it is removed.
	Count int `json:"count,omitempty"`
	// For removes the fault after that time. 0: never.
	For Duration `json:"for,omitempty"`

	Mode       string   `json:"mode,omitempty"`        // a variant, see Kinds
	Status     int      `json:"status,omitempty"`      // HTTP status, 100 to 599
	RetryAfter string   `json:"retry_after,omitempty"` // Retry-After header, sent unchanged
	Reply      int      `json:"reply,omitempty"`       // SOCKS reply code or authentication status, 0 to 255
	Delay      Duration `json:"delay,omitempty"`       // a delay or duration
	Bytes      int64    `json:"bytes,omitempty"`       // a number of bytes
	Rate       int64    `json:"rate,omitempty"`        // bytes per second
	Limit      int      `json:"limit,omitempty"`       // a number of connections
	Direction  string   `json:"direction,omitempty"`   // "up" (to the broker), "down" (to the client), "" both
}

// Where is the place for which a part checks the faults.
type Where struct {
	Target     string // virtual "host:port", empty where there is none
	LocationID string
	Node       string // node id of a broker, empty where there is none
}

// An Active fault is a Fault in the list, with its hits.
type Active struct {
	Fault
	// Hits is how often the fault happened. Faults that are a state (a closed port) count
	// refused connections only if the part can see them.
	Hits int `json:"hits"`
	// Used reports whether Count was reached.
	Used bool `json:"used,omitempty"`
}

// The directions of a relayed connection.
const (
	Up   = "up"   // from the client to the broker
	Down = "down" // from the broker to the client
)

// A Duration is a time.Duration that is "1.5s" in JSON.
type Duration time.Duration

// String returns d as time.Duration prints it.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalJSON writes d as a string.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads a string such as "250ms".
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("a duration is a string such as \"1.5s\", not %s", b)
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is not a duration such as \"1.5s\"", s)
	}
	*d = Duration(v)
	return nil
}
