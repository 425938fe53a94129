package tunnel

import (
	"sync"

	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// caps are the APIs of a cluster whose newest version the tunnel lowered.
type caps struct {
	mu   sync.Mutex
	last []kafka.Cap // of the newest response that had any
}

func (c *caps) note(last []kafka.Cap) {
	if len(last) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = last
}

func (c *caps) status() []admin.CappedStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []admin.CappedStatus
	for _, one := range c.last {
		out = append(out, admin.CappedStatus{API: kafka.Name(one.Key), Broker: one.Broker, Offered: one.Offered})
	}
	return out
}
