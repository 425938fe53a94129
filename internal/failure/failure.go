// Package failure is the catalogue of everything that can go wrong for a user
// of the tunnel.
//
// Each kind of failure has a [Code]. One table ([All]) says for each code which
// hop it belongs to, what happened in one line, what to do about it and when
// another attempt makes sense. Log lines, `check`, `/status`, `/readyz` and
// docs/failures.md all take their words from that table, so that an operator
// reads the same sentence everywhere.
//
// Code that meets a failure makes a [Failure] at the place that knows what it
// means, and everybody above only passes it on:
//
//	return failure.New(failure.ConnectorAway, err).For("kafka-1.corp:9092", "LOC1")
//
// and whoever has to decide asks with [As]:
//
//	if f, ok := failure.As(err); ok && f.Entry().Retry == failure.Gate { ... }
//
// The package does no logging, no retrying and imports nothing of ours.
package failure

import (
	"errors"
	"strings"
)

// A Code names one kind of failure. Codes are stable: they are metric labels,
// JSON values and anchors in docs/failures.md.
type Code string

// A Hop is the leg of the way on which a failure happens, in the order in which
// a connection passes them.
type Hop string

// The hops from the client to the broker.
const (
	HopConfig      Hop = "config"      // configuration and service binding
	HopClient      Hop = "client"      // the application's own connection to the tunnel
	HopLocal       Hop = "local"       // ports, descriptors, memory of this container
	HopToken       Hop = "token"       // the OAuth token service
	HopDestination Hop = "destination" // the destination service, where a cluster is read from it
	HopProxy       Hop = "proxy"       // the connectivity proxy
	HopConnector   Hop = "connector"   // the Cloud Connector
	HopBroker      Hop = "broker"      // the Kafka broker
)

// Retry says when another attempt makes sense.
type Retry uint8

// The retry classes of the catalogue.
const (
	// RetryNever: nothing changes until somebody changes something.
	RetryNever Retry = iota
	// RetryGate: the landscape is in trouble; attempts are paced together per
	// (proxy, tenant, Location ID).
	RetryGate
	// RetryAddress: one address is in trouble; attempts are paced per address.
	RetryAddress
	// RetryCredentials: the credentials were refused; another attempt makes
	// sense after 30 s or when they change, never within a dial.
	RetryCredentials
)

// String returns the word that the docs use for the class.
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

// A Failure is one occurrence of a Code. It is shared by all clients that meet it
// and must not be changed once another goroutine can see it.
//
// It never carries a secret: Err must not contain tokens, passwords or bodies
// of token responses.
type Failure struct {
	Code       Code
	Target     string // what was being reached: "host:port", a URL without user info, a file, a key
	LocationID string // Cloud Connector Location ID, where one was asked for
	Detail     string // one short fact that the summary cannot know: "status 503", "reply 0x04"
	Err        error  // the cause, may be nil
}

// New returns a Failure of the given kind. err is its cause and may be nil.
func New(code Code, err error) *Failure { return &Failure{Code: code, Err: err} }

// For returns a copy of f that names what was being reached and with which
// Location ID ("" for none).
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

// Advice returns what to do, with target and Location ID filled in.
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
