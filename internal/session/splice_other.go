//go:build !linux

package session

// Elsewhere every span is copied.
type (
	pipes   struct{}
	splicer struct{}
)

func (p *pump) passByKernel(int64) (int64, error) { return 0, nil }
