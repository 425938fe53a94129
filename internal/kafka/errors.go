package kafka

import (
	"errors"
	"fmt"
)

// The reasons why bytes cannot be handled. Errors of this package wrap one of
// them, or are the error of a [Mapper] as it was.
var (
	// ErrShort: what was received so far is not enough; call again with more.
	ErrShort = errors.New("more bytes are needed")
	// ErrMalformed: the bytes are not what the protocol says; a length points
	// outside its frame, a number is negative that must not be.
	ErrMalformed = errors.New("malformed message")
	// ErrTooLarge: the part that has to be held is larger than its bound.
	ErrTooLarge = errors.New("message too large to be rewritten")
	// ErrControllers: a DescribeCluster response lists controllers. Their
	// addresses are not served, and their ids can equal those of brokers.
	ErrControllers = errors.New("the response lists controllers, not brokers")
	// ErrUnsupported: this API and version is none that the called function can
	// rewrite. It means that [TreatmentOf] was not asked.
	ErrUnsupported = errors.New("response cannot be rewritten")
)

// inResponse says of which response err speaks.
func inResponse(h ResponseInfo, err error) error {
	return fmt.Errorf("%s v%d response: %w", Name(h.Key), h.Version, err)
}
