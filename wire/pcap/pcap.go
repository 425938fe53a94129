// Package pcap reads the frames of Kafka's protocol from packet captures, as tcpdump and
// Wireshark write them (pcap and pcapng).
//
//	packets ──▶ TCP streams ──▶ frames ──▶ requests, and responses by their requests
//
//	err := pcap.Read(file, &wire.Codec{}, func(f pcap.Frame) error { ... }, nil)
//
// Read looks at all connections of a capture and finds those that use Kafka's protocol by their
// bytes, not by their ports. Packets may be out of order, duplicated or missing; a connection may
// have begun before the capture. TLS connections cannot be decoded.
package pcap

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/gopacket/gopacket/reassembly"

	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

// magics are the first bytes of captures: pcap in both byte orders, with microseconds and
// nanoseconds, and pcapng.
var magics = [][]byte{{0xd4, 0xc3, 0xb2, 0xa1}, {0xa1, 0xb2, 0xc3, 0xd4}, {0x4d, 0x3c, 0xb2, 0xa1}, {0xa1, 0xb2, 0x3c, 0x4d}, {0x0a, 0x0d, 0x0d, 0x0a}}

// Is reports whether an input begins like a packet capture.
func Is(b []byte) bool {
	for _, magic := range magics {
		if bytes.HasPrefix(b, magic) {
			return true
		}
	}
	return false
}

// maxPages bounds the packets that are kept because an earlier one is missing, in pages of 1900
// bytes.
const maxPages = 32 << 10

// A Frame is a frame of a connection, decoded.
type Frame struct {
	Time     time.Time // of the packet that completes it
	From, To string    // host:port
	Size     int       // bytes, without the length
	// Header is the header of the request; of a response, that of its request. If the request
	// is not known only the correlation id is set.
	Header  wire.RequestHeader
	Latency time.Duration // of a response, since its request
	// Request or Response is the body, nil if it could not be decoded. With a
	// [*wire.DecodeError] it holds the fields that could.
	Request, Response wire.Message
	Err               error
}

// ErrNoRequest is the error of a response that cannot be decoded because its request is not in
// the capture.
var ErrNoRequest = errors.New("the request of this response is not in the capture")

// Read reads a capture and calls each with every frame, those of one connection in their order.
// It returns the first error of each. note, which may be nil, is called with what could not be
// decoded. A capture without any frame is an error.
func Read(in io.Reader, codec *wire.Codec, each func(Frame) error, note func(text string)) error {
	if note == nil {
		note = func(string) {}
	}
	packets, link, err := packetsOf(in)
	if err != nil {
		return err
	}
	c := &capture{codec: codec, each: each}
	assembler := reassembly.NewAssembler(reassembly.NewStreamPool(c))
	assembler.MaxBufferedPagesTotal = maxPages
	source := gopacket.NewPacketSource(packets, link)
	source.Lazy, source.NoCopy = true, true
	for c.err == nil {
		packet, err := source.NextPacket()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			note("the capture ends inside a packet")
			break
		}
		if err != nil {
			return fmt.Errorf("packet %d: %w", c.packets+1, err)
		}
		c.packets++
		network, tcp := packet.NetworkLayer(), packet.Layer(layers.LayerTypeTCP)
		if network == nil || tcp == nil {
			continue
		}
		assembler.AssembleWithContext(network.NetworkFlow(), tcp.(*layers.TCP), at(packet.Metadata().CaptureInfo))
	}
	assembler.FlushAll()
	for _, one := range c.conns {
		one.end()
		if text := one.remark(); text != "" {
			note(text)
		}
	}
	if c.err == nil && c.frames == 0 {
		return fmt.Errorf("no frames of Kafka's protocol in %d packets and %d TCP connections", c.packets, len(c.conns))
	}
	return c.err
}

// at is the time of a packet.
type at gopacket.CaptureInfo

// GetCaptureInfo implements [reassembly.AssemblerContext].
func (a at) GetCaptureInfo() gopacket.CaptureInfo { return gopacket.CaptureInfo(a) }

func packetsOf(in io.Reader) (gopacket.PacketDataSource, gopacket.Decoder, error) {
	r := bufio.NewReader(in)
	if magic, err := r.Peek(4); err != nil || !Is(magic) {
		return nil, nil, fmt.Errorf("not a packet capture: it begins with % x", magic)
	} else if binary.BigEndian.Uint32(magic) == 0x0a0d0d0a {
		ng, err := pcapgo.NewNgReader(r, pcapgo.DefaultNgReaderOptions)
		if err != nil {
			return nil, nil, err
		}
		return ng, ng.LinkType(), nil
	}
	plain, err := pcapgo.NewReader(r)
	if err != nil {
		return nil, nil, err
	}
	return plain, plain.LinkType(), nil
}

// A capture is the state of one call of [Read].
type capture struct {
	codec   *wire.Codec
	each    func(Frame) error
	conns   []*connection
	packets int
	frames  int
	err     error // of each
}

// New implements [reassembly.StreamFactory].
func (c *capture) New(network, transport gopacket.Flow, _ *layers.TCP, _ reassembly.AssemblerContext) reassembly.Stream {
	from, to := network.Endpoints()
	fromPort, toPort := transport.Endpoints()
	one := newConnection(c, fmt.Sprintf("%s:%s", from, fromPort), fmt.Sprintf("%s:%s", to, toPort))
	c.conns = append(c.conns, one)
	return one
}

// Accept implements [reassembly.Stream]. A connection that was open before the capture began
// has no SYN: it is assembled from its first packet on.
func (c *connection) Accept(tcp *layers.TCP, _ gopacket.CaptureInfo, dir reassembly.TCPFlowDirection, next reassembly.Sequence, start *bool, _ reassembly.AssemblerContext) bool {
	if tcp.SYN {
		c.side(dir).begun = true
	} else if next < 0 {
		*start = true
	}
	return true
}

// ReassembledSG implements [reassembly.Stream].
func (c *connection) ReassembledSG(sg reassembly.ScatterGather, _ reassembly.AssemblerContext) {
	dir, _, _, skip := sg.Info()
	if n, _ := sg.Lengths(); n > 0 {
		c.chunk(c.side(dir), sg.Fetch(n), skip, sg.CaptureInfo(0).Timestamp)
	}
}

// ReassemblyComplete implements [reassembly.Stream].
func (c *connection) ReassemblyComplete(reassembly.AssemblerContext) bool { return true }

func (c *connection) side(dir reassembly.TCPFlowDirection) *side {
	if dir == reassembly.TCPDirClientToServer {
		return c.sides[0]
	}
	return c.sides[1]
}
