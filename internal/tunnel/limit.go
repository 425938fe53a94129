package tunnel

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/listener"
)

const (
	// smallLimit: the tunnel warns at start if the default limit of connections is
	// below this (R8).
	smallLimit = 64
	// connectionMemory is the memory that one connection counts for when memory bounds
	// the default: goroutine stacks, buffers in use, and the overhead of the Go
	// runtime. Connections get half of the memory; the other half is for what is held
	// for them (R25).
	connectionMemory = 40 << 10
)

// heldMemory returns how much may be held for clients and brokers (R25): a quarter of
// the container's memory or, if that is less, of most, the configured limit. 0: no
// limit.
func heldMemory(container, most int64) int64 {
	switch {
	case container <= 0:
		return most / 4
	case most <= 0:
		return container / 4
	}
	return min(container, most) / 4
}

// limit returns how many client connections may be open; 0: any number. It warns when
// the default is small.
func (t *Tunnel) limit(memory int64) int {
	if t.cfg.Limits.MaxConnections > 0 {
		return t.cfg.Limits.MaxConnections
	}
	sockets := 2 + 2*len(t.cfg.Forwards)
	for _, c := range t.cfg.Clusters {
		sockets += 2 * (1 + c.BrokerPorts.Size())
	}
	limit, warning := defaultLimit(listener.Descriptors(), sockets, memory)
	if warning != "" {
		t.logger.Warn(warning)
		t.warnings = append(slices.Clone(t.warnings), warning)
	}
	return limit
}

// defaultLimit returns how many connections the descriptors and the memory of the
// process allow, 0 if neither is known, and a warning if that number is small.
func defaultLimit(descriptors, sockets int, memory int64) (limit int, warning string) {
	limit = listener.DefaultLimit(descriptors, sockets)
	cause := fmt.Sprintf("the process may open %d file descriptors, its ports use %d, and each connection uses two; raise the limit of file descriptors (ulimit -n)", descriptors, sockets)
	if byMemory := int(memory / 2 / connectionMemory); memory > 0 && (limit == 0 || byMemory < limit) {
		limit = max(byMemory, 1)
		cause = fmt.Sprintf("the memory limit is %d KiB, half of it is for connections, and each uses up to %d KiB; raise the memory limit", memory>>10, connectionMemory>>10)
	}
	if limit == 0 || limit >= smallLimit {
		return limit, ""
	}
	return limit, fmt.Sprintf("only %d client connections may be open at the same time: %s, or set limits.max_connections", limit, cause)
}

// connectionsExhausted is the failure while the limit of connections is reached.
func (t *Tunnel) connectionsExhausted() *failure.Failure {
	return failure.New(failure.ConnectionsExhausted, nil).For(strconv.Itoa(t.server.Limit), "")
}

// fullWarning is the warning while the limit of connections is reached.
func (t *Tunnel) fullWarning(now time.Time) []string {
	a := t.server.Activity()
	if a.Full.IsZero() {
		return nil
	}
	f := t.connectionsExhausted()
	return []string{fmt.Sprintf("%s, since %s; %d are open now [%s]. %s",
		f.Error(), now.Sub(a.Full).Round(time.Second), a.Open, f.Code, f.Advice())}
}
