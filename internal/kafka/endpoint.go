package kafka

// An Endpoint is the address of one broker inside a response.
type Endpoint struct {
	NodeID int32
	Host   string
	Port   int32
	// Hidden is set by a [Mapper] when the client must not hear of this address
	// at all: the entry is left out of the response, or replaced by the error
	// that makes a client ask again.
	Hidden bool
}

// A Mapper replaces the real addresses of one response by local ones: it sets
// Host and Port, or Hidden, of each element. All endpoints of a response are
// given in one call, each of them once, so that their ports can be chosen
// together. An error ends the connection before a byte of the response has
// passed, or of what a [Walker] holds of it.
type Mapper interface {
	Map(endpoints []Endpoint) error
}

// MapperFunc makes a Mapper of a function.
type MapperFunc func([]Endpoint) error

// Map calls f.
func (f MapperFunc) Map(endpoints []Endpoint) error { return f(endpoints) }
