//go:build linux

package trouble

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
)

// StalledOptions are the number of consumers, the size of their responses, and how long they
// stop.
type StalledOptions struct {
	Consumers  int           // default 200
	Size       int           // bytes of a response's records, default 50 MiB
	FrameStall time.Duration // the tunnel's limits.frame_stall, default 2 s
	Stop       time.Duration // how long the consumers do not read, default 150 s
	// Tuned leaves the size of socket buffers to the kernel. Otherwise brokers and consumers
	// set them to the defaults of Apache Kafka.
	Tuned bool
}

// The defaults of Apache Kafka: the broker's socket.send.buffer.bytes and the Java
// consumer's receive.buffer.bytes.
const (
	kafkaSending   = 100 << 10
	kafkaReceiving = 64 << 10
)

// The bars.
const (
	stalledCost = 64 // MiB, memory and pipes of the tunnel for all consumers
	hurt        = 2  // ratio of another client's latency with and without the stopped consumers
	pipeSize    = 64 << 10
)

// Stalled makes consumers stop reading in the middle of large responses, longer than every time
// limit of the tunnel, and continue.
func Stalled(ctx context.Context, binary string, o StalledOptions) (*Report, error) {
	o.Consumers = or(o.Consumers, 200)
	o.Size = or(o.Size, 50<<20)
	o.FrameStall = or(o.FrameStall, 2*time.Second)
	o.Stop = or(o.Stop, 150*time.Second)
	r := &Report{Scenario: fmt.Sprintf("%d consumers stop for %v in the middle of %.0f MiB", o.Consumers, o.Stop, mib(int64(o.Size)))}
	sending := kafkaSending
	if o.Tuned {
		sending = 0
		r.Scenario += ", buffers sized by the kernel"
	}
	b, err := startBroker(o.Size, sending, 11, 18)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	virtual := fmt.Sprintf("%s:%d", brokerHost, brokerPort)
	s, err := set(ctx, binary, lab.Options{Upstream: []lab.UpstreamSpec{{Virtual: virtual, Real: b.Address()}}},
		tunnelOptions{env: []string{"KAFKA_TUNNEL_LIMITS_FRAME_STALL=" + o.FrameStall.String()}})
	if err != nil {
		return nil, err
	}
	return s.conclude(r, s.stalled(ctx, b, o, r))
}

// measured is what is compared with and without the stopped consumers.
type measured struct {
	rss   int64
	pipes int64 // bytes
	ping  time.Duration
	fetch time.Duration
}

func (s *stage) stalled(ctx context.Context, b *broker, o StalledOptions, r *Report) error {
	other, done, err := dial(ctx, s.tunnel.address)
	defer done()
	if err != nil {
		return err
	}
	var then, now measured
	if then, err = s.measure(b, other); err != nil {
		return err
	}

	receiving := kafkaReceiving
	if o.Tuned {
		receiving = 0
	}
	all := stopped(ctx, b, s.tunnel.address, o.Consumers, receiving, 11, 18)
	defer all.close()
	r.same("consumers that reached the middle", float64(len(all.fetches)), float64(o.Consumers))
	if all.failed != nil {
		r.note("example of an error of the others", "%v", all.failed)
	}
	if err := s.settled(ctx); err != nil {
		return err
	}
	if now, err = s.measure(b, other); err != nil {
		return err
	}
	pipes := now.pipes - then.pipes
	r.most("memory for all consumers: RSS and pipes", mib(now.rss-then.rss+pipes), stalledCost, " MiB")
	r.note("of that in pipes", "%.1f MiB", mib(pipes))
	r.note("RSS without them, with them", "%.1f MiB, %.1f MiB", mib(then.rss), mib(now.rss))
	if err := s.reportKernel(ctx, r); err != nil {
		return err
	}
	r.timedMost("another client's small request, as a ratio to before", float64(now.ping)/float64(then.ping), hurt, "")
	r.note("the same as times", "%.0f µs, %.0f µs", then.ping.Seconds()*1e6, now.ping.Seconds()*1e6)
	r.timedMost("another client's large response, as a ratio to before", float64(now.fetch)/float64(then.fetch), hurt, "")

	if err := pause(ctx, o.Stop); err != nil {
		return err
	}
	m, err := s.tunnel.metrics(ctx)
	if err != nil {
		return err
	}
	r.same(fmt.Sprintf("connections open after %v with limits.frame_stall %v", o.Stop, o.FrameStall),
		m.sum("kafka_tunnel_connections"), float64(len(all.fetches)+1))
	failed := all.finish()
	r.same("consumers that received every byte after they continued", float64(len(all.fetches)-len(failed)), float64(o.Consumers))
	if len(failed) > 0 {
		r.note("example of an error of the others", "%v", failed[0])
	}
	if _, err := ping(other, 10); err != nil {
		return err
	}
	if m, err = s.tunnel.metrics(ctx); err != nil {
		return err
	}
	r.note("failures_total", "%s", or(m.failures(), "none"))
	return nil
}

// measure measures another client's latency, and then the tunnel's memory: by then the tunnel
// has done all the work of this scenario.
func (s *stage) measure(b *broker, other net.Conn) (m measured, err error) {
	if m.ping, err = ping(other, 500); err != nil {
		return m, err
	}
	times := make([]time.Duration, 5)
	for i := range times {
		if times[i], err = b.fetchWhole(other, 18); err != nil {
			return m, err
		}
	}
	m.fetch = median(times)
	open, err := s.tunnel.descriptors()
	if err != nil {
		return m, err
	}
	m.pipes = int64(open.pipes) * pipeSize
	m.rss, err = s.tunnel.rss()
	return m, err
}

// settled waits until no more bytes pass through the tunnel.
func (s *stage) settled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	last, same := -1.0, 0
	return until(ctx, 250*time.Millisecond, func() (bool, error) {
		m, err := s.tunnel.metrics(ctx)
		if err != nil {
			return true, err
		}
		now := m.sum("kafka_tunnel_bytes_total")
		if now == last {
			same++
		} else {
			last, same = now, 0
		}
		return same >= 4, nil
	})
}
