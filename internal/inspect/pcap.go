package inspect

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/gopacket/gopacket/reassembly"
)

// magics are how captures begin: pcap in both byte orders, with micro- and nanoseconds, and
// pcapng.
var magics = [][]byte{{0xd4, 0xc3, 0xb2, 0xa1}, {0xa1, 0xb2, 0xc3, 0xd4}, {0x4d, 0x3c, 0xb2, 0xa1}, {0xa1, 0xb2, 0x3c, 0x4d}, {0x0a, 0x0d, 0x0d, 0x0a}}

// IsCapture reports whether an input begins as a capture of packets does.
func IsCapture(b []byte) bool {
	for _, magic := range magics {
		if bytes.HasPrefix(b, magic) {
			return true
		}
	}
	return false
}

// maxPages bounds what is kept of packets that have come too early: pages of 1900 bytes.
const maxPages = 32 << 10

// Capture decodes the frames of all TCP connections of a capture that speak Kafka's protocol,
// as tcpdump and Wireshark write them, and calls print with each: a response beside the
// request that it answers. What it could not read, it says to note.
func (d Decoder) Capture(in io.Reader, print func(value []byte) error, note func(text string)) error {
	packets, link, err := packetsOf(in)
	if err != nil {
		return err
	}
	c := &capture{decoder: d, print: print}
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
	if magic, err := r.Peek(4); err != nil || !IsCapture(magic) {
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
	decoder Decoder
	print   func([]byte) error
	conns   []*captured
	packets int
	frames  int
	err     error // of print
}

// New implements [reassembly.StreamFactory].
func (c *capture) New(network, transport gopacket.Flow, _ *layers.TCP, _ reassembly.AssemblerContext) reassembly.Stream {
	from, to := network.Endpoints()
	fromPort, toPort := transport.Endpoints()
	one := newCaptured(c, fmt.Sprintf("%s:%s", from, fromPort), fmt.Sprintf("%s:%s", to, toPort))
	c.conns = append(c.conns, one)
	return one
}

// Accept implements [reassembly.Stream]. A connection that was open before the capture began
// has no SYN: it is read from its first packet on.
func (c *captured) Accept(tcp *layers.TCP, _ gopacket.CaptureInfo, dir reassembly.TCPFlowDirection, next reassembly.Sequence, start *bool, _ reassembly.AssemblerContext) bool {
	if tcp.SYN {
		c.side(dir).begun = true
	} else if next < 0 {
		*start = true
	}
	return true
}

// ReassembledSG implements [reassembly.Stream].
func (c *captured) ReassembledSG(sg reassembly.ScatterGather, _ reassembly.AssemblerContext) {
	dir, _, _, skip := sg.Info()
	if n, _ := sg.Lengths(); n > 0 {
		c.chunk(c.side(dir), sg.Fetch(n), skip, sg.CaptureInfo(0).Timestamp)
	}
}

// ReassemblyComplete implements [reassembly.Stream].
func (c *captured) ReassemblyComplete(reassembly.AssemblerContext) bool { return true }

func (c *captured) side(dir reassembly.TCPFlowDirection) *side {
	if dir == reassembly.TCPDirClientToServer {
		return c.sides[0]
	}
	return c.sides[1]
}
