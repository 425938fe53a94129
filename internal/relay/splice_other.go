//go:build !linux

package relay

// Elsewhere every span is copied.
type (
	pipes   struct{}
	splicer struct{}
)

const spliceMin = 64 << 10

func look(uintptr, []byte) (int, error) { return 0, nil }

func (p *Pump) Consume() {}

func (p *Pump) passByKernel(int64) (int64, error) { return 0, nil }

// PipesInUse returns 0.
func (g *Group) PipesInUse() int { return 0 }
