//go:build linux

package trouble

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
)

// DescriptorsOptions are the number of file descriptors, and how long none is free.
type DescriptorsOptions struct {
	Limit int           // of open files, default 300
	Time  time.Duration // without a free one, default 30 s
}

// descriptorLog limits the log while no descriptor is free, bytes per started minute.
const descriptorLog = 16 << 10

// again is the bar for the time from the first free descriptor until each port serves a client:
// the pause of an accept loop and that of a gate, and the work.
const again = 4 * time.Second

// Descriptors connects clients until the tunnel has no free file descriptor, at the bootstrap
// port and at those of all brokers. One in four sends a request, so that upstream connections
// need descriptors too.
func Descriptors(ctx context.Context, binary string, o DescriptorsOptions) (*Report, error) {
	o.Limit = or(o.Limit, 300)
	o.Time = or(o.Time, 30*time.Second)
	r := &Report{Scenario: fmt.Sprintf("no free descriptor for %v (limit %d)", o.Time, o.Limit)}
	s, err := set(ctx, binary, lab.Options{}, tunnelOptions{
		env: []string{"KAFKA_TUNNEL_LIMITS_MAX_CONNECTIONS=100000"}, descriptors: o.Limit,
	})
	if err != nil {
		return nil, err
	}
	return s.conclude(r, s.noDescriptors(ctx, o, r))
}

func (s *stage) noDescriptors(ctx context.Context, o DescriptorsOptions, r *Report) error {
	// One connection to the admin address that is opened first: none can be opened later. The
	// same applies to the client that is served all the time.
	web := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxConnsPerHost: 1}}
	defer web.CloseIdleConnections()
	ports, err := s.allPorts(ctx, web)
	if err != nil {
		return err
	}
	served, done, err := dial(ctx, s.tunnel.address)
	defer done()
	if err != nil {
		return err
	}
	if err := ask(served, apiVersions); err != nil {
		return err
	}

	logged, began := s.tunnel.log.bytes(), time.Now()
	flood := connectMany(ctx, ports, o.Limit+200)
	defer flood.stop()
	if err := s.acceptFails(ctx, web); err != nil {
		return err
	}
	rounds, err := s.exhausted(ctx, o.Time, served, web)
	if err != nil {
		return err
	}
	open, err := s.tunnel.descriptors()
	if err != nil {
		return err
	}
	r.note("descriptors in use", "%d of %d", open.all, o.Limit)
	r.must("a client that connected before is served", true, fmt.Sprintf("%d requests", rounds))
	status, err := s.status(ctx, web)
	if err != nil {
		return err
	}
	r.note("the gate before the release", "%s", gates(status))
	m, err := s.tunnel.metricsWith(ctx, web)
	if err != nil {
		return err
	}
	errorsSeen := m.sum("kafka_tunnel_accept_errors_total")
	r.must("accept_errors_total counts them", errorsSeen > 0, number(errorsSeen))
	r.note("failures_total", "%s", m.failures())
	elapsed := time.Since(began)
	r.timedMost("errors of accept (bar: one per second and loop, and the first pauses)", errorsSeen, float64(2*len(ports))*(elapsed.Seconds()+10), "")
	written := float64(s.tunnel.log.bytes() - logged)
	r.most(fmt.Sprintf("log of %d lines", s.tunnel.log.lines()), written, float64(descriptorLog*(1+int(elapsed/time.Minute))), " bytes")

	released := time.Now()
	flood.stop()
	for _, f := range []struct {
		name    string
		address []string
	}{{"the bootstrap port", ports[:1]}, {"all ports", ports}} {
		for _, address := range f.address {
			if err := serves(ctx, address); err != nil {
				return fmt.Errorf("port %s after the release: %w", address, err)
			}
		}
		r.timedMost("until "+f.name+" served a new client", time.Since(released).Seconds(), again.Seconds(), " s")
	}
	if status, err = s.status(ctx, web); err != nil {
		return err
	}
	r.note("the gate after that", "%s", gates(status))
	r.must("no listener was lost", true, fmt.Sprintf("%d ports accept and answer", len(ports)))
	return s.tunnel.live(ctx)
}

// allPorts passes a record, by which the tunnel learns all brokers, and returns the addresses
// of the bootstrap port and of the brokers' ports.
func (s *stage) allPorts(ctx context.Context, web *http.Client) ([]string, error) {
	if _, err := lab.Prove(ctx, s.tunnel.address); err != nil {
		return nil, err
	}
	status, err := s.status(ctx, web)
	if err != nil {
		return nil, err
	}
	ports := []string{s.tunnel.address}
	for _, node := range status.Clusters[0].Nodes {
		_, port, err := net.SplitHostPort(node.Local)
		if err != nil {
			return nil, fmt.Errorf("node %d has no local address: %w", node.ID, err)
		}
		ports = append(ports, net.JoinHostPort("127.0.0.1", port))
	}
	if len(ports) != 4 {
		return nil, fmt.Errorf("%d ports, not one for each of three brokers and the bootstrap port", len(ports))
	}
	return ports, nil
}

// status requests /status.
func (s *stage) status(ctx context.Context, web *http.Client) (status admin.Status, err error) {
	response, err := s.tunnel.get(ctx, web, "/status")
	if err != nil {
		return status, err
	}
	defer func() { _ = response.Body.Close() }()
	if err = json.NewDecoder(response.Body).Decode(&status); err == nil && len(status.Clusters) != 1 {
		err = errors.New("/status shows no cluster")
	}
	return status, err
}

// gates describes the gates in a status.
func gates(status admin.Status) string {
	var list []string
	for _, g := range status.Clusters[0].Gates {
		switch {
		case !g.Shut:
			list = append(list, "open")
		case g.Failure != nil:
			list = append(list, fmt.Sprintf("shut for %.1f s by %s, %d wait, next attempt in %.1f s", g.ShutSeconds, g.Failure.Code, g.Waiting, g.NextAttemptSeconds))
		default:
			list = append(list, "shut")
		}
	}
	return strings.Join(list, "; ")
}

// acceptFails waits for the first error of accept.
func (s *stage) acceptFails(ctx context.Context, web *http.Client) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := until(ctx, 20*time.Millisecond, func() (bool, error) {
		m, err := s.tunnel.metricsWith(ctx, web)
		return m.sum("kafka_tunnel_accept_errors_total") > 0, err
	})
	if err != nil {
		return fmt.Errorf("accept does not fail: %w", err)
	}
	return nil
}

// exhausted makes the client that connected before send requests repeatedly, and returns how
// many. It also uses the connection to the admin address: the tunnel closes an idle one, and no
// other can be opened.
func (s *stage) exhausted(ctx context.Context, d time.Duration, served net.Conn, web *http.Client) (rounds int, err error) {
	over := time.Now().Add(d)
	err = until(ctx, max(d/60, 50*time.Millisecond), func() (bool, error) {
		if err := ask(served, apiVersions); err != nil {
			return true, fmt.Errorf("a client that was connected before: %w", err)
		}
		rounds++
		_, err := s.tunnel.metricsWith(ctx, web)
		return time.Now().After(over), err
	})
	return rounds, err
}

// serves waits until a new client gets a response at an address.
func serves(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var last error
	err := until(ctx, 20*time.Millisecond, func() (bool, error) {
		conn, done, err := dial(ctx, address)
		defer done()
		if err == nil {
			err = ask(conn, apiVersions)
		}
		if ctx.Err() == nil {
			last = err
		}
		return err == nil, nil
	})
	return errors.Join(err, last)
}

// A flood is many connections that are held.
type flood struct {
	end     context.CancelFunc
	clients sync.WaitGroup
}

// connectMany connects n times, to each address in turn, and reconnects connections that are
// closed; stop closes all of them.
func connectMany(ctx context.Context, addresses []string, n int) *flood {
	f := &flood{}
	ctx, f.end = context.WithCancel(ctx)
	for i := range n {
		address := addresses[i%len(addresses)]
		asks := slices.Contains([]int{0, 1, 2, 3}, i%16)
		f.clients.Go(func() { hold(ctx, address, asks) })
	}
	return f
}

// hold is the goroutine of one client, which keeps its connection open.
func hold(ctx context.Context, address string, asks bool) {
	for ctx.Err() == nil {
		conn, done, err := dial(ctx, address)
		if err == nil && asks {
			err = ask(conn, apiVersions)
		}
		if err == nil {
			_, _ = conn.Read(make([]byte, 1)) // until either side closes it
		}
		done()
		_ = pause(ctx, 50*time.Millisecond)
	}
}

func (f *flood) stop() {
	f.end()
	f.clients.Wait()
}
