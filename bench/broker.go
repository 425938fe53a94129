//go:build linux

package main

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
)

// frameSize is what one Fetch response weighs: the default max.partition.fetch.bytes.
const frameSize = 1 << 20

// broker answers every request with one canned frame.
type broker struct {
	l     net.Listener
	conns sync.WaitGroup
}

func startBroker() (*broker, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &broker{l: l}
	b.conns.Go(b.accept)
	return b, nil
}

func (b *broker) address() string { return b.l.Addr().String() }

func (b *broker) close() { _ = b.l.Close() }

func (b *broker) accept() {
	for {
		conn, err := b.l.Accept()
		if err != nil {
			return
		}
		go answer(conn)
	}
}

func answer(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	frame := make([]byte, 4+frameSize)
	binary.BigEndian.PutUint32(frame, frameSize)
	request := make([]byte, len(fetch))
	for {
		if _, err := io.ReadFull(conn, request); err != nil {
			return
		}
		copy(frame[4:8], request[8:12])
		out := frame
		if request[5] == 12 { // Heartbeat: a small answer
			out = append([]byte{0, 0, 0, 10}, frame[4:14]...)
		}
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

// fetch is a Fetch request in version 11, heartbeat one that has a small answer;
// their bodies are of no interest here.
var (
	fetch     = []byte{0, 0, 0, 10, 0, 1, 0, 11, 0, 0, 0, 1, 0xff, 0xff}
	heartbeat = []byte{0, 0, 0, 10, 0, 12, 0, 0, 0, 0, 0, 1, 0xff, 0xff}
)
