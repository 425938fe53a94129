//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
)

// request returns a frame of the given size after its header. mib selects the size of a Fetch
// response, see broker.
func request(key, version int16, mib byte, body int) []byte {
	f := binary.BigEndian.AppendUint32(nil, uint32(10+body))
	f = binary.BigEndian.AppendUint16(f, uint16(key))
	f = binary.BigEndian.AppendUint16(f, uint16(version))
	const null = 0xff // both bytes of the client id's length
	f = append(f, mib, 0, 0, 1, null, null)
	return append(f, make([]byte, body)...)
}

// small is a request like most requests of applications.
func small() []byte { return request(keyHeartbeat, 0, 0, 100) }

// produceRequest is a Produce request in version 9 with acks=1.
func produceRequest(records int) []byte {
	const head = 1 + 1 // tags of the header, transactional id: null
	f := request(keyProduce, 9, 0, head+2+4+records)
	binary.BigEndian.PutUint16(f[14+head:], 1)
	binary.BigEndian.PutUint32(f[14+head+2:], 30_000)
	return f
}

// A client is one connection of the load.
type client struct {
	conn net.Conn
	buf  []byte
}

// dial connects a client with a read buffer of the given size.
func dial(address string, read int) (*client, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, buf: make([]byte, read)}, nil
}

func (c *client) close() { _ = c.conn.Close() }

// ask sends a request and reads its response; it returns the size of the response.
func (c *client) ask(frame []byte) (int, error) {
	if _, err := c.conn.Write(frame); err != nil {
		return 0, err
	}
	return c.read()
}

// read reads one response and discards it.
func (c *client) read() (int, error) {
	if _, err := io.ReadFull(c.conn, c.buf[:4]); err != nil {
		return 0, err
	}
	size := int(binary.BigEndian.Uint32(c.buf))
	for left := size; left > 0; {
		n, err := c.conn.Read(c.buf[:min(left, len(c.buf))])
		if left -= n; err != nil && left > 0 {
			return 0, fmt.Errorf("after %d of %d bytes: %w", size-left, size, err)
		}
	}
	return size, nil
}

// parallel runs n workers and returns the first error.
func parallel(n int, worker func(i int) error) error {
	var all sync.WaitGroup
	errs := make(chan error, n)
	for i := range n {
		all.Go(func() { errs <- worker(i) })
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// clients opens n connections and uses each once.
func clients(address string, n, read int) ([]*client, error) {
	all := make([]*client, 0, n)
	for range n {
		c, err := dial(address, read)
		if err == nil {
			all = append(all, c)
			_, err = c.ask(small())
		}
		if err != nil {
			closeAll(all)
			return nil, fmt.Errorf("connection %d: %w", len(all), err)
		}
	}
	return all, nil
}

func closeAll(all []*client) {
	for _, c := range all {
		c.close()
	}
}
