//go:build linux

package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
)

// The relays are this program, run as a child: accept, dial, copy in both directions.
const (
	relaySplice = "relay-splice" // io.Copy between bare TCP connections: splice(2)
	relayCopy   = "relay-copy"   // a loop of 32 KiB through user space
	relayTLS    = "relay-tls"    // the same, with TLS to the broker
)

// caVariable names the CA file for the relay with TLS.
const caVariable = "BENCH_CA_FILE"

// relay serves until its standard input is closed, so it never outlives the bench.
func relay(mode, broker, address string) error {
	move, connect := copyLoop, func() (net.Conn, error) { return net.Dial("tcp", broker) }
	switch mode {
	case relaySplice:
		move = func(to, from net.Conn) { _, _ = io.Copy(to, from) }
	case relayTLS:
		text, err := os.ReadFile(os.Getenv(caVariable))
		if err != nil {
			return err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(text)
		config := &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS13}
		connect = func() (net.Conn, error) { return tls.Dial("tcp", broker, config) }
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = l.Close()
	}()
	for {
		client, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go func() {
			up, err := connect()
			if err != nil {
				_ = client.Close()
				return
			}
			both := func(to, from net.Conn) {
				move(to, from)
				_ = to.Close()
				_ = from.Close()
			}
			go both(up, client)
			both(client, up)
		}()
	}
}

func copyLoop(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
