// Package faults holds what is to go wrong in the lab, and when.
//
// A [Set] is a list of faults that somebody (a test, or a user of the lab's
// control port) has asked for. The parts of the landscape (token service,
// proxy, connectors, brokers) ask it before they act:
//
//	if f, ok := set.Take(faults.ConnectReply, faults.Where{Target: "kafka-1.onprem.invalid:9092"}); ok {
//		answer(f.Reply)
//	}
//
// and are told when it changes ([Set.OnChange]), so that a port closes and a
// relay stalls before the call that asked for it returns.
//
// A fault stays until it is removed, until the time in For has passed, or until
// it was met Count times. One that was met Count times stays in the list,
// without effect on anybody new, so that a test can see that it was met; what it
// holds (a stalled connection) is let go when it is removed.
//
// [Kinds] is the table of everything that can go wrong, with the fields that
// each kind takes. The package knows nothing of sockets; it imports nothing of
// ours. A nil *Set is a landscape without faults.
package faults

import (
	"encoding/json"
	"fmt"
	"time"
)

// A Kind names one way in which the landscape can fail.
type Kind string

// A Fault is one thing that is to go wrong. The zero value of a field means
// "not said"; [Kinds] says which fields a kind takes and what they default to.
type Fault struct {
	// ID is given by [Set.Add].
	ID   string `json:"id,omitempty"`
	Kind Kind   `json:"kind"`
	// Target limits the fault to one virtual address, "host:port" (for
	// broker_down: an address or a node id). Empty: all.
	Target string `json:"target,omitempty"`
	// LocationID limits the fault to the Cloud Connector with that Location ID;
	// a pointer to "" means the one without. Nil: all.
	LocationID *string `json:"location_id,omitempty"`
	// Count is how often the fault happens. 0: until it is removed.
	Count int `json:"count,omitempty"`
	// For removes the fault after that time. 0: never.
	For Duration `json:"for,omitempty"`

	Mode       string   `json:"mode,omitempty"`        // a variant, see Kinds
	Status     int      `json:"status,omitempty"`      // HTTP status, 100 to 599
	RetryAfter string   `json:"retry_after,omitempty"` // Retry-After header, as it is
	Reply      int      `json:"reply,omitempty"`       // SOCKS reply code or authentication status, 0 to 255
	Delay      Duration `json:"delay,omitempty"`       // how long something takes
	Bytes      int64    `json:"bytes,omitempty"`       // a number of bytes
	Rate       int64    `json:"rate,omitempty"`        // bytes per second
	Limit      int      `json:"limit,omitempty"`       // a number of connections
	Direction  string   `json:"direction,omitempty"`   // "up" (to the broker), "down" (to the client), "" both
}

// Where is the place at which a part asks for faults.
type Where struct {
	Target     string // virtual "host:port", empty where there is none
	LocationID string
	Node       string // node id of a broker, empty where there is none
}

// An Active fault is a Fault in the list, with what became of it.
type Active struct {
	Fault
	// Hits is how often the fault happened. Faults that are a state (a port
	// that is down) count each thing they refused only where a part sees it.
	Hits int `json:"hits"`
	// Used says that Count was reached.
	Used bool `json:"used,omitempty"`
}

// The directions of a relayed connection.
const (
	Up   = "up"   // from the client to the broker
	Down = "down" // from the broker to the client
)

// A Duration is a time.Duration that is written "1.5s" in JSON.
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
