// Package proxy simulates SAP BTP's connectivity proxy: SOCKS5 (RFC 1928) with the vendor's
// authentication method 0x80, which carries a JWT and the Location ID of a Cloud Connector.
//
//	p, err := proxy.Start(proxy.Options{
//		Network:  registry,                                   // the Cloud Connectors
//		Verifier: proxy.Verifier{Key: tokens.Key(), ...},     // which tokens are valid
//	})
//	defer p.Close()
//
// It is as strict as the documentation allows, perhaps stricter than the real proxy. Each
// message must be exactly as documented and must not be sent before the previous one was
// answered; any deviation ends the connection and is recorded as a violation
// ([Proxy.Violations]), on which a test can fail. The parser is written from the documentation
// and shares nothing with the tunnel's own.
//
// What the documentation leaves open can be switched by a fault (package faults): an invalid
// token can be answered by an authentication status, by reply 05, by closing or by resetting
// the connection; replies can end after the code, carry addresses of any type, and be sent byte
// by byte or together with the payload.
//
// Every connection is recorded as a [Connect] in a bounded list and counted by its result. Only
// CONNECT is supported, for IPv4 addresses and domain names; no UDP. In trusted mode (Kyma)
// clients need no token.
//
// Facts: SAP-docs/btp-connectivity, "using the TCP protocol for cloud
// applications".
package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/connector"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/port"
)

// A Network opens connections into company networks; *connector.Registry is one.
type Network interface {
	Connect(ctx context.Context, to connector.Target) (*connector.Link, error)
}

// Options describe the proxy.
type Options struct {
	Listen   string   // host:port, default 127.0.0.1:0
	Network  Network  // required
	Verifier Verifier // required
	// Trusted is the tenant of all clients in trusted mode, where methods 00 and 02 (user and
	// password below) are accepted and 80 is not; "": only 80 is accepted.
	Trusted        string
	User, Password string
	// StepTimeout limits the wait for each message of a handshake, default 30 s.
	StepTimeout time.Duration
	Faults      *faults.Set  // may be nil
	Logger      *slog.Logger // nil: silent
}

// A Proxy is a running proxy.
type Proxy struct {
	opts    Options
	port    *port.Port
	stop    context.CancelFunc
	workers sync.WaitGroup
	log     recorder
}

// Start starts a proxy.
func Start(opts Options) (*Proxy, error) {
	if opts.Network == nil || opts.Verifier.Key == nil {
		return nil, errors.New("a proxy requires a network and a key that verifies tokens")
	}
	if opts.Listen == "" {
		opts.Listen = "127.0.0.1:0"
	}
	if opts.StepTimeout == 0 {
		opts.StepTimeout = 30 * time.Second
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	p := &Proxy{opts: opts}
	var err error
	if p.port, err = port.Listen(opts.Listen); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	opts.Faults.OnChange(p.followFaults)
	p.followFaults()
	p.workers.Add(1)
	go p.accept(ctx)
	return p, nil
}

// accept is the goroutine that accepts connections.
func (p *Proxy) accept(ctx context.Context) {
	defer p.workers.Done()
	for {
		conn, err := p.port.AcceptTCP()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				p.opts.Logger.Error("proxy stopped", "error", err)
			}
			return
		}
		p.workers.Add(1)
		go p.serve(ctx, conn)
	}
}

// serve is the goroutine of one connection.
func (p *Proxy) serve(ctx context.Context, conn *net.TCPConn) {
	defer p.workers.Done()
	defer p.port.Release(conn)
	defer conn.Close()
	c := newConversation(p, conn)
	link, first := c.run(ctx)
	p.opts.Logger.Debug("proxy", "result", c.record.Result, "target", c.record.Target, "location", c.record.LocationID, "reason", c.record.Reason)
	if link == nil {
		return
	}
	if err := c.send(ctx, first); err != nil {
		c.failed(err)
		link.Close()
		return
	}
	conn.SetDeadline(time.Time{})
	link.Relay(conn)
}

// followFaults closes or opens the port according to the faults.
func (p *Proxy) followFaults() {
	_, down := p.opts.Faults.Active(faults.ProxyDown, faults.Where{})
	if err := p.port.SetDown(down); err != nil {
		p.opts.Logger.Error("proxy cannot restart", "error", err)
	}
}

// Addr returns the address.
func (p *Proxy) Addr() *net.TCPAddr { return p.port.Addr().(*net.TCPAddr) }

// Open returns the number of open connections, relayed or not.
func (p *Proxy) Open() int { return p.port.Open() }

// Close stops the proxy, resets its connections and waits for all its goroutines.
func (p *Proxy) Close() error {
	p.stop()
	err := p.port.Close()
	p.workers.Wait()
	return err
}
