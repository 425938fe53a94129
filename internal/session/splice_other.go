//go:build !linux

package session

// Elsewhere every span is copied.
type (
	pipes   struct{}
	splicer struct{}
)

const spliceMin = 64 << 10

func look(uintptr, []byte) (int, error) { return 0, nil }

func (p *pump) take() {}

func (p *pump) passByKernel(int64) (int64, error) { return 0, nil }
