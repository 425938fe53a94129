package relay

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// DefaultLost is how long the broker's side may leave everything without
// acknowledgement before it counts as lost.
const DefaultLost = 60 * time.Second

// ErrLost is the end of a connection whose other side does not answer any more,
// not even to its kernel.
var ErrLost = errors.New("the other side does not acknowledge data")

// An AckMonitor checks from time to time whether the upstream connection still has
// another side (R13). TCP_USER_TIMEOUT would do that in the kernel, but it also cuts
// a connection whose reader is only slow: it counts the time that bytes wait for
// the window to open, although the other side acknowledges each probe of it.
//
// One goroutine at a time calls Check; Err may be called from any.
type AckMonitor struct {
	pendingSince int64        // Unix nanoseconds of the first check at which an acknowledgement was owed; 0: none is
	lost         atomic.Int64 // for how long nothing was acknowledged; 0: the other side is there
}

// Check reports whether the other side has owed an acknowledgement for as long as
// after: since a check that saw the debt, and none has come since.
func (a *AckMonitor) Check(conn net.Conn, after time.Duration, now time.Time) (lost bool) {
	silent, owes := Unacknowledged(conn)
	switch {
	case !owes:
		a.pendingSince = 0
	case a.pendingSince == 0 || now.Add(-silent).UnixNano() > a.pendingSince:
		a.pendingSince = now.UnixNano()
	}
	if !owes || now.UnixNano()-a.pendingSince < int64(after) {
		return false
	}
	a.lost.Store(int64(after))
	return true
}

// Err returns why the connection was cut, nil if it was not.
func (a *AckMonitor) Err() error {
	if after := a.lost.Load(); after > 0 {
		return fmt.Errorf("%w for %v", ErrLost, time.Duration(after))
	}
	return nil
}
