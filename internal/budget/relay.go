package budget

import "github.com/kafka-tunnel/kafka-tunnel/internal/relay"

// Memory returns the budget in the form that pumps use. b may be nil.
func (b *Budget) Memory() relay.Memory { return memory{b} }

type memory struct{ *Budget }

// Request implements [relay.Memory].
func (m memory) Request(n int, stalled func()) relay.Admission { return m.Budget.Request(n, stalled) }
