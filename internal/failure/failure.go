// Package failure is the catalogue of everything that can go wrong for a user
// of the tunnel.
//
// Each kind of failure has a [Code]. One table ([All]) has for each code its hop,
// a summary in one line, advice, and when another attempt makes sense. Log lines,
// `/status`, `/readyz` and docs/failures.md take their texts from that table, and an
// operator reads the same sentence everywhere.
//
// The code that detects a failure creates the [Failure], and all its callers return
// it unchanged:
//
//	return failure.New(failure.ConnectorAway, err).For("kafka-1.corp:9092", "LOC1")
//
// A caller that has to decide uses [As]:
//
//	if f, ok := failure.As(err); ok && f.Entry().Retry == failure.RetryGate { ... }
//
// The package neither logs nor retries, and imports nothing of ours.
package failure

import (
	"errors"
	"strings"
)

// A Code names one kind of failure. Codes are stable: they are metric labels,
// JSON values and anchors in docs/failures.md.
type Code string

// A Hop is the part of the route on which a failure happens.
type Hop string

// The hops, in the order in which a connection passes them.
const (
	HopConfig      Hop = "config"      // configuration and service binding
	HopClient      Hop = "client"      // the application's own connection to the tunnel
	HopLocal       Hop = "local"       // ports, descriptors, memory of this container
	HopToken       Hop = "token"       // the OAuth token service
	HopDestination Hop = "destination" // the destination service, if a cluster is read from it
	HopProxy       Hop = "proxy"       // the connectivity proxy
	HopConnector   Hop = "connector"   // the Cloud Connector
	HopBroker      Hop = "broker"      // the Kafka broker
)

// Retry tells when another attempt makes sense.
type Retry uint8

// The retry classes of the catalogue.
const (
	// RetryNever: another attempt fails until the cause is fixed.
	RetryNever Retry = iota
	// RetryGate: an upstream service fails; all attempts for the same (proxy, tenant,
	// Location ID) are paced together.
	RetryGate
	// RetryAddress: one address fails; attempts are paced per address.
	RetryAddress
	// RetryCredentials: the credentials were refused; another attempt makes
	// sense after 30 s or when they change, never within a dial.
	RetryCredentials
)

// String returns the name of the class in docs/failures.md.
func (r Retry) String() string {
	switch r {
	case RetryGate:
		return "gate"
	case RetryAddress:
		return "address"
	case RetryCredentials:
		return "credentials"
	default:
		return "never"
	}
}

// A Failure is one occurrence of a Code. All clients that are affected share it; it
// must not be changed once another goroutine can see it.
//
// It never carries a secret: Err must not contain tokens, passwords or bodies
// of token responses.
type Failure struct {
	Code       Code
	Target     string // what the tunnel tried to reach: "host:port", a URL without user info, a file, a key
	LocationID string // Cloud Connector Location ID, if one is configured
	Detail     string // one short fact about this occurrence: "status 503", "reply 0x04"
	Err        error  // the cause, may be nil
}

// New returns a Failure of the given kind. err is its cause and may be nil.
func New(code Code, err error) *Failure { return &Failure{Code: code, Err: err} }

// For returns a copy of f with that target and Location ID ("" for none).
func (f *Failure) For(target, locationID string) *Failure {
	changed := *f
	changed.Target, changed.LocationID = target, locationID
	return &changed
}

// With returns a copy of f with that detail.
func (f *Failure) With(detail string) *Failure {
	changed := *f
	changed.Detail = detail
	return &changed
}

// Error returns the summary, the detail and the cause in one line.
func (f *Failure) Error() string {
	var b strings.Builder
	b.WriteString(f.Summary())
	if f.Detail != "" {
		b.WriteString(" (")
		b.WriteString(f.Detail)
		b.WriteString(")")
	}
	if f.Err != nil {
		b.WriteString(": ")
		b.WriteString(f.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Entry returns f's row of the catalogue.
func (f *Failure) Entry() Entry { return Lookup(f.Code) }

// Summary returns the one-line description with target and Location ID filled in.
func (f *Failure) Summary() string { return f.fill(f.Entry().Summary) }

// Advice returns the advice with target and Location ID filled in.
func (f *Failure) Advice() string { return f.fill(f.Entry().Advice) }

// fill replaces {target}, {host}, {port} and {location} in a text of the table.
func (f *Failure) fill(text string) string {
	if !strings.Contains(text, "{") {
		return text
	}
	target := f.Target
	if target == "" {
		target = "the address"
	}
	host, port := target, ""
	if i := strings.LastIndexByte(target, ':'); i > 0 {
		host, port = target[:i], target[i+1:]
	}
	location := "without a Location ID"
	if f.LocationID != "" {
		location = "with Location ID " + f.LocationID
	}
	return strings.NewReplacer("{target}", target, "{host}", host, "{port}", port, "{location}", location).Replace(text)
}

// As returns the first Failure in err's chain.
func As(err error) (*Failure, bool) { return errors.AsType[*Failure](err) }

// Is reports whether err's first Failure has the given code.
func Is(err error, code Code) bool {
	f, ok := As(err)
	return ok && f.Code == code
}
