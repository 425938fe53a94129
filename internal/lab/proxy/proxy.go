// Package proxy stands in for SAP BTP's connectivity proxy: SOCKS5 (RFC 1928)
// with the vendor's authentication method 0x80, which carries a JWT and the
// Location ID of a Cloud Connector.
//
//	p, err := proxy.Start(proxy.Options{
//		Network:  registry,                                   // the Cloud Connectors
//		Verifier: proxy.Verifier{Key: tokens.Key(), ...},     // what a good token is
//	})
//	defer p.Close()
//
// It is stricter than the real one can be known to be. Each message must be
// exactly as documented and must not be sent before the one before it was
// answered; whatever deviates ends the connection and is recorded as a
// violation ([Proxy.Violations]), so that a test can fail on it. The parser is
// written from the documentation and shares nothing with the tunnel's own.
//
// What the documentation leaves open is a fault to switch on (package faults):
// a bad token can be answered by an authentication status, by reply 05, by
// closing or by resetting the connection; replies can end after the code, carry
// addresses of any type, leave byte by byte or together with the payload.
//
// Every connection leaves a [Connect] in a bounded list and a count by result.
// Only CONNECT exists, over IPv4 addresses and domain names; no UDP. In trusted mode
// (Kyma) clients need no token.
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

// Options say what the proxy is.
type Options struct {
	Listen   string   // host:port, default 127.0.0.1:0
	Network  Network  // required
	Verifier Verifier // required
	// Trusted is the tenant of everybody in trusted mode, where methods 00 and 02 (user
	// and password below) are taken and 80 is not; "": the other way round.
	Trusted        string
	User, Password string
	// StepTimeout bounds the wait for each message of a handshake, default 30 s.
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
		return nil, errors.New("a proxy needs a network and a key that verifies tokens")
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

// accept is the goroutine that takes connections.
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

// followFaults shuts or opens the port as the faults say.
func (p *Proxy) followFaults() {
	_, down := p.opts.Faults.Active(faults.ProxyDown, faults.Where{})
	if err := p.port.SetDown(down); err != nil {
		p.opts.Logger.Error("proxy cannot come back", "error", err)
	}
}

// Addr returns the address.
func (p *Proxy) Addr() *net.TCPAddr { return p.port.Addr().(*net.TCPAddr) }

// Open returns the number of open connections, relayed or not.
func (p *Proxy) Open() int { return p.port.Open() }

// Close stops the proxy, resets its connections and waits for everything it
// started.
func (p *Proxy) Close() error {
	p.stop()
	err := p.port.Close()
	p.workers.Wait()
	return err
}
