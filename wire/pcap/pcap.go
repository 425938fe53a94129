// Package pcap reads the frames of Kafka's protocol out of captures of packets, as tcpdump and
// Wireshark write them (pcap and pcapng).
//
//	packets ──▶ TCP streams ──▶ frames ──▶ requests, and responses by their requests
//
//	err := pcap.Read(file, &wire.Codec{}, func(f pcap.Frame) error { ... }, nil)
//
// All connections of a capture are looked at; those that speak Kafka's protocol are found by
// what they say, not by their ports. Packets may be out of order, come twice or be missing; a
// connection may have begun before the capture. What is TLS cannot be read.
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

// magics are how captures begin: pcap in both byte orders, with micro- and nanoseconds, and
// pcapng.
var magics = [][]byte{{0xd4, 0xc3, 0xb2, 0xa1}, {0xa1, 0xb2, 0xc3, 0xd4}, {0x4d, 0x3c, 0xb2, 0xa1}, {0xa1, 0xb2, 0x3c, 0x4d}, {0x0a, 0x0d, 0x0d, 0x0a}}

// Is reports whether an input begins as a capture of packets does.
func Is(b []byte) bool {
	for _, magic := range magics {
		if bytes.HasPrefix(b, magic) {
			return true
		}
	}
	return false
}

// maxPages bounds what is kept of packets that have come too early: pages of 1900 bytes.
const maxPages = 32 << 10

// A Frame is one of a connection.
type Frame struct {
	Time     time.Time // of the packet in which it ends
	From, To string    // host:port
	Size     int       // bytes, without the length
	// Header is that of the request, also of the one that a response answers. Without a
	// request there is a correlation id alone.
	Header  wire.RequestHeader
	Latency time.Duration // of a response, since its request
	// Request or Response is what it says, nil if it could not be read; with a
	// [*wire.DecodeError] as far as it could.
	Request, Response wire.Message
	Err               error
}

// ErrUnasked is that of a response whose request is not in the capture.
var ErrUnasked = errors.New("the request that it answers is not in the capture")

// Read reads a capture and calls each with the frames, those of a connection in their order;
// it ends with the first error of each. What could not be read it says to note, which may be
// nil. It is an error if there is no frame at all.
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
		return fmt.Errorf("there are no frames of Kafka's protocol in %d packets and %d TCP connections", c.packets, len(c.conns))
	}
	return c.err
}

// at is when a packet came.
type at gopacket.CaptureInfo

// GetCaptureInfo implements [reassembly.AssemblerContext].
func (a at) GetCaptureInfo() gopacket.CaptureInfo { return gopacket.CaptureInfo(a) }

func packetsOf(in io.Reader) (gopacket.PacketDataSource, gopacket.Decoder, error) {
	r := bufio.NewReader(in)
	if magic, err := r.Peek(4); err != nil || !Is(magic) {
		return nil, nil, fmt.Errorf("this is no capture: it begins with % x", magic)
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

// A capture is one that is being decoded.
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
// has no SYN: it is read from its first packet on.
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
