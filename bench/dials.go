//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/socks"
	"github.com/kafka-tunnel/kafka-tunnel/internal/token"
)

const (
	dialEvery   = 5 * time.Millisecond // 200 a second
	dialWithin  = 10 * time.Second     // at the latest
	dialsAtOnce = 400                  // one second's worth: a larger backlog means that the dialer is too slow
	dialsName   = "dials"
	dialsShare  = "the tunnel's own share, p50 ms"
)

var errInterrupted = errors.New("interrupted")

// A route is a way to reach the broker.
type route struct {
	name string
	open func(ctx context.Context) (net.Conn, error)
}

// A dialled connection was started this long after its scheduled time, and then took this long
// until its first response.
type dialled struct{ late, took time.Duration }

// dials opens connections through the tunnel, 200 per second, and in between, at the same rate,
// others through the same services without it. The tunnel's share is the difference: both
// routes use the same proxy and see the same noise of the machine.
func dials(m *measurement) error {
	routes, err := m.routes()
	if err != nil {
		return err
	}
	if _, err := alternate(m.done, 1, dialEvery, routes); err != nil { // the tunnel then has its token
		return err
	}
	var all [][]dialled
	err = m.cost("CPU ms per dial", float64(m.size.dials)/1e3, func() (err error) {
		all, err = alternate(m.done, m.size.dials, dialEvery, routes)
		return err
	})
	if err != nil {
		return err
	}
	late := 0
	p50 := make([]float64, len(routes))
	for i, route := range routes {
		took := make([]float64, len(all[i]))
		for k, d := range all[i] {
			took[k] = d.took.Seconds() * 1e3
			if d.late > dialEvery {
				late++
			}
		}
		slices.Sort(took)
		p50[i] = quantile(took, 0.5)
		m.put("p50 ms "+route.name, p50[i])
		m.put("p99 ms "+route.name, quantile(took, 0.99))
	}
	m.put(dialsShare, p50[0]-p50[1])
	m.put(fmt.Sprintf("begun more than %v late, of %d", dialEvery, len(routes)*m.size.dials), float64(late))
	return nil
}

// routes returns the route through the tunnel and the one without it.
func (m *measurement) routes() ([]route, error) {
	resolved, err := config.Resolve(config.Input{Environ: m.env})
	if err != nil {
		return nil, fmt.Errorf("the lab: %w", err)
	}
	cfg := resolved.Config
	fetch, err := token.ClientCredentials(token.Credentials{URL: cfg.Token.URL, ClientID: cfg.Token.ClientID, ClientSecret: cfg.Token.ClientSecret.Reveal()})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialWithin)
	defer cancel()
	jwt, err := fetch(ctx)
	if err != nil {
		return nil, err
	}
	cluster := cfg.Clusters[0]
	request := socks.Request{
		Token: jwt.Value, LocationID: cluster.LocationID, Proxy: cfg.Connectivity.Proxy,
		Host: cluster.Bootstrap[0].Host, Port: cluster.Bootstrap[0].Port,
	}
	return []route{
		{"through the tunnel", func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", m.address)
		}},
		{"without the tunnel", func(ctx context.Context) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", request.Proxy)
			if err != nil {
				return nil, err
			}
			if err := socks.Connect(ctx, conn, request); err != nil {
				_ = conn.Close()
				return nil, err
			}
			return conn, nil
		}},
	}, nil
}

// alternate opens n connections on each route, in turn: one per interval and route, however
// long the previous ones take. The first failure ends it.
func alternate(done <-chan struct{}, n int, every time.Duration, routes []route) ([][]dialled, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(dialsAtOnce)
	all := make([][]dialled, len(routes))
	for i := range all {
		all[i] = make([]dialled, n)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	begin := time.Now()
	for i := range n * len(routes) {
		moment := begin.Add(time.Duration(i) * every / time.Duration(len(routes)))
		timer.Reset(time.Until(moment))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, group.Wait()
		case <-done:
			cancel()
			return nil, errors.Join(errInterrupted, group.Wait())
		}
		route, to := routes[i%len(routes)], &all[i%len(routes)][i/len(routes)]
		group.Go(func() (err error) {
			to.late = time.Since(moment)
			if to.took, err = route.once(ctx); err != nil {
				return fmt.Errorf("connection %d %s: %w", i/len(routes), route.name, err)
			}
			return nil
		})
	}
	return all, group.Wait()
}

// once opens a connection, sends one request and closes the connection. The time counts from
// the start of the connection, not from its scheduled time: delays in this process are not the
// tunnel's.
func (w route) once(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	begin := time.Now()
	conn, err := w.open(ctx)
	if err != nil {
		return 0, err
	}
	c := &client{conn: conn, buf: make([]byte, 256)}
	defer c.close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	_, err = c.ask(request(keyApiVersions, 0, 0, 0))
	return time.Since(begin), err
}
