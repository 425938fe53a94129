//go:build linux

package main

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/authority"
	"github.com/kafka-tunnel/kafka-tunnel/test/rawserver"
)

// The API keys of the load.
const (
	keyProduce     = 0
	keyFetch       = 1
	keyHeartbeat   = 12
	keyApiVersions = 18
)

// fetchVersion is the version of Fetch requests, one whose responses may carry broker addresses
// after the records.
const fetchVersion = 18

// A broker answers Fetch with prepared frames and everything else with ten bytes. The first
// byte of the correlation id determines the size of a Fetch response in MiB.
type broker struct {
	plain, tls *rawserver.Server
	issuer     *authority.Authority
	frames     map[byte][]byte // by MiB
}

func startBroker() (*broker, error) {
	b := &broker{frames: map[byte][]byte{}}
	for _, mib := range []byte{1, 50} {
		b.frames[mib] = fetchFrame(int(mib) << 20)
	}
	secured, err := b.listenTLS()
	if err != nil {
		return nil, err
	}
	b.tls = rawserver.Start(secured, b.answer)
	if b.plain, err = rawserver.Listen(b.answer); err != nil {
		b.tls.Close()
		return nil, err
	}
	return b, nil
}

// listenTLS opens the port for TLS.
func (b *broker) listenTLS() (l net.Listener, err error) {
	if b.issuer, err = authority.New("kafka-tunnel bench"); err != nil {
		return nil, err
	}
	cert, err := b.issuer.Issue(authority.Request{Names: []string{"127.0.0.1"}})
	if err != nil {
		return nil, err
	}
	return tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13})
}

// writeCA writes the CA certificate to a file.
func (b *broker) writeCA(dir string) (path string, err error) {
	path = filepath.Join(dir, "ca.pem")
	return path, os.WriteFile(path, b.issuer.PEM(), 0o600)
}

func (b *broker) address() string    { return b.plain.Address() }
func (b *broker) tlsAddress() string { return b.tls.Address() }

// close closes every connection and waits for them.
func (b *broker) close() {
	b.plain.Close()
	b.tls.Close()
}

// answer serves one connection. Small responses to requests that arrived together leave
// together.
//
//	size int32 | key int16 | version int16 | correlation id int32 | client id ... | body
func (b *broker) answer(conn net.Conn) {
	in := bufio.NewReaderSize(conn, 4<<10)
	var head [14]byte
	var small []byte
	for {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, in, int64(binary.BigEndian.Uint32(head[:]))-10); err != nil {
			return
		}
		if binary.BigEndian.Uint16(head[4:]) == keyFetch {
			frame := b.frames[head[8]]
			if frame == nil {
				return
			}
			start := append(frame[:4:4], head[8:12]...)
			if err := send(conn, start, frame[8:]); err != nil {
				return
			}
			continue
		}
		small = append(small, 0, 0, 0, 10)
		small = append(small, head[8:12]...)
		small = append(small, 0, 0, 0, 0, 0, 0)
		if in.Buffered() == 0 || len(small) > 4<<10 {
			if _, err := conn.Write(small); err != nil {
				return
			}
			small = small[:0]
		}
	}
}

// send writes a response.
func send(conn net.Conn, head, body []byte) error {
	if _, plain := conn.(*net.TCPConn); plain {
		_, err := (&net.Buffers{head, body}).WriteTo(conn)
		return err
	}
	first := min(len(body), 16<<10) // no TLS record for the head alone
	if _, err := conn.Write(append(head, body[:first]...)); err != nil {
		return err
	}
	_, err := conn.Write(body[first:])
	return err
}

// fetchFrame returns a Fetch response of the given size, with one topic of one partition that
// has all the records.
//
//	size i32 | correlation id i32 | tags | throttle i32 | code i16 | session i32 |
//	topics: id, partitions: index i32 | code i16 | high watermark, last stable,
//	log start i64 | aborted | preferred replica i32 | records | tags ; tags | tags
func fetchFrame(size int) []byte {
	f := make([]byte, 0, 4+size)
	f = binary.BigEndian.AppendUint32(f, uint32(size))
	f = append(f, make([]byte, 4+1+4+2+4)...)
	f = append(f, 2) // one topic
	f = append(f, make([]byte, 16)...)
	f = append(f, 2) // one partition
	f = append(f, make([]byte, 4+2+8+8+8)...)
	const noAborted = 1
	f = append(f, noAborted, 0xff, 0xff, 0xff, 0xff)
	const tags = 3
	records := 4 + size - len(f) - 4 - tags // four bytes encode a length up to 2^28
	for n, i := uint(records+1), 0; i < 4; n, i = n>>7, i+1 {
		more := byte(0x80)
		if i == 3 {
			more = 0
		}
		f = append(f, byte(n&0x7f)|more)
	}
	return f[:4+size]
}
