//go:build !linux

package relay

// poller parks no pump elsewhere: they wait in their goroutines.
type poller struct{}

func (*poller) park(*Pump) bool   { return false }
func (*poller) unpark(*Pump) bool { return false }
