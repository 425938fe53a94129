//go:build linux

package main

import (
	"errors"
	"io"
	"net"
	"os"
)

// The relays are this program again, as a child: accept, dial, copy both ways.
const (
	relaySplice = "relay-splice" // io.Copy between bare TCP connections: splice(2)
	relayCopy   = "relay-copy"   // a loop of 32 KiB through user space
)

// relay serves until its standard input ends, so that it never outlives the bench.
func relay(mode, broker, address string) error {
	move := func(to, from net.Conn) { _, _ = io.Copy(to, from) }
	if mode == relayCopy {
		move = copyLoop
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
			up, err := net.Dial("tcp", broker)
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
