package kafka

import "slices"

// Treatment says what a relay does with the response to a request.
type Treatment uint8

// The treatments.
const (
	// Pass: relay the bytes; they carry no broker address.
	Pass Treatment = iota
	// Head: hold the leading broker array, see [PatchHead], relay the rest.
	Head
	// Whole: hold the frame, see [PatchWhole] and [WholeBound]; one that is too
	// large to be held at once may be given to a [Walker] where [Streams] allows
	// it.
	Whole
	// Tail: relay all but the bytes after the last record set, see [Walker].
	Tail
	// Refuse: the request must not pass, because its response could not be
	// rewritten.
	Refuse
)

// String returns the name of t.
func (t Treatment) String() string {
	switch t {
	case Pass:
		return "pass"
	case Head:
		return "head"
	case Whole:
		return "whole"
	case Tail:
		return "tail"
	default:
		return "refuse"
	}
}

// The keys that have a meaning of their own here.
const (
	KeyProduce          int16 = 0
	KeyFetch            int16 = 1
	KeyMetadata         int16 = 3
	KeyFindCoordinator  int16 = 10
	KeySaslHandshake    int16 = 17
	KeyApiVersions      int16 = 18
	KeySaslAuthenticate int16 = 36
	KeyDescribeCluster  int16 = 60
	KeyShareFetch       int16 = 78
	KeyShareAcknowledge int16 = 79
)

// An API is one row of the table.
type API struct {
	Key           int16
	Name          string
	MaxVersion    int16 // newest version known; the oldest is 0 for all
	FirstFlexible int16 // first version with compact strings and tags (KIP-482), -1 for none

	Treatment Treatment // of the responses from version Since on; Pass before
	Since     int16
}

// Flexible reports whether requests and responses of a version use compact
// strings and tag sections.
func (a *API) Flexible(version int16) bool {
	return a.FirstFlexible >= 0 && version >= a.FirstFlexible
}

// Rewritten reports whether responses of some version are treated at all: true
// for the seven that carry addresses and for ApiVersions.
func (a *API) Rewritten() bool { return a.Treatment != Pass }

// Lookup returns the row of a key. It must not be changed.
func Lookup(key int16) (*API, bool) {
	if key < 0 || int(key) >= len(apis) {
		return nil, false
	}
	return &apis[key], true
}

// APIs returns the table, in the order of the keys. The slice is the caller's.
func APIs() []API { return slices.Clone(apis[:]) }

// Name returns the name of an API, "unknown" for a key that is not in the table.
func Name(key int16) string {
	if a, ok := Lookup(key); ok {
		return a.Name
	}
	return "unknown"
}

// Known reports whether the key is in the table and the version is one that
// some Kafka release has. Raw SASL tokens are told from requests by it.
func Known(key, version int16) bool {
	a, ok := Lookup(key)
	return ok && version >= 0 && version <= a.MaxVersion
}

// TreatmentOf returns what to do with the response to a request. Keys that are
// not in the table pass. An ApiVersions request newer than known is Refuse too,
// but is better answered locally: see [ApiVersionsTooNew].
func TreatmentOf(key, version int16) Treatment {
	a, ok := Lookup(key)
	switch {
	case !ok || !a.Rewritten():
		return Pass
	case version < 0 || version > a.MaxVersion:
		return Refuse
	case version < a.Since:
		return Pass
	}
	return a.Treatment
}
