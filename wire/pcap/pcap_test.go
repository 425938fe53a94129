package pcap

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// heartbeat returns a Heartbeat request with its length, as a client sends it.
func heartbeat(id int32) string {
	client := "app"
	return string(wire.AppendRequest(nil, kmsg.NewPtrHeartbeatRequest(), id, &client))
}

// A packet of a capture: bytes of one side of a connection, at an offset of its stream.
type packet struct {
	port   uint16 // of the client; the broker has 9092
	broker bool   // sent by the broker
	at     int    // in the stream of its side; 0: the SYN
	bytes  string
	syn    bool
}

// writePackets writes a capture, with a millisecond between packets.
func writePackets(t testing.TB, ng bool, packets ...packet) []byte {
	t.Helper()
	var out bytes.Buffer
	var write func(gopacket.CaptureInfo, []byte) error
	if ng {
		w, err := pcapgo.NewNgWriter(&out, layers.LinkTypeEthernet)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = w.Flush() }()
		write = func(ci gopacket.CaptureInfo, b []byte) error {
			if err := w.WritePacket(ci, b); err != nil {
				return err
			}
			return w.Flush()
		}
	} else {
		w := pcapgo.NewWriter(&out)
		if err := w.WriteFileHeader(65536, layers.LinkTypeEthernet); err != nil {
			t.Fatal(err)
		}
		write = w.WritePacket
	}
	when := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for _, p := range packets {
		when = when.Add(time.Millisecond)
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: net.IPv4(10, 0, 0, 1), DstIP: net.IPv4(10, 0, 0, 2)}
		tcp := &layers.TCP{SrcPort: layers.TCPPort(p.port), DstPort: 9092, Seq: 1000 + uint32(p.at), SYN: p.syn, ACK: !p.syn || p.broker, PSH: true, Window: 65535}
		if p.broker {
			ip.SrcIP, ip.DstIP = ip.DstIP, ip.SrcIP
			tcp.SrcPort, tcp.DstPort = tcp.DstPort, tcp.SrcPort
		}
		if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
		buffer := gopacket.NewSerializeBuffer()
		err := gopacket.SerializeLayers(buffer, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
			&layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4}, ip, tcp, gopacket.Payload(p.bytes))
		if err != nil {
			t.Fatal(err)
		}
		b := buffer.Bytes()
		if err := write(gopacket.CaptureInfo{Timestamp: when, CaptureLength: len(b), Length: len(b)}, b); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// TestCapture: frames are found in captures with split, repeated, reordered and missing
// packets.
func TestCapture(t *testing.T) {
	ask := heartbeat(7)
	answer := "\x00\x00\x00\x06\x00\x00\x00\x07\x00\x1b"
	next := strings.Replace(ask, "\x00\x00\x00\x07", "\x00\x00\x00\x08", 1)
	nextAnswer := "\x00\x00\x00\x06\x00\x00\x00\x08\x00\x00"
	n := len(ask)
	syn, synAck := packet{port: 5000, syn: true}, packet{port: 5000, broker: true, syn: true}
	both := []string{"> Heartbeat:0 7", "< Heartbeat:0 7 REBALANCE_IN_PROGRESS"}
	all := append(both[:2:2], "> Heartbeat:0 8", "< Heartbeat:0 8 ")
	for _, tt := range []struct {
		name    string
		packets []packet
		cut     int // bytes of the capture that are missing
		want    []string
		notes   string
		err     string
	}{
		{"whole", []packet{syn, synAck, {5000, false, 1, ask, false}, {5000, true, 1, answer, false}}, 0, both, "", ""},
		{"in pieces", []packet{syn, synAck, {5000, false, 1, ask[:5], false}, {5000, false, 6, ask[5:], false}, {5000, true, 1, answer[:1], false}, {5000, true, 2, answer[1:], false}}, 0, both, "", ""},
		{"two in one", []packet{syn, synAck, {5000, false, 1, ask + next, false}, {5000, true, 1, answer + nextAnswer, false}}, 0, []string{"> Heartbeat:0 7", "> Heartbeat:0 8", both[1], all[3]}, "", ""},
		{"out of order and repeated", []packet{syn, synAck, {5000, false, 6, ask[5:], false}, {5000, false, 1, ask[:5], false}, {5000, false, 1, ask[:5], false}, {5000, true, 1, answer, false}, {5000, true, 1, answer, false}}, 0, both, "", ""},
		{"started before the capture", []packet{{5000, false, 1, "the end of what was sent before", false}, {5000, false, 32, ask, false}, {5000, true, 1, answer, false}}, 0, both, "31 bytes between 10.0.0.1:5000 and 10.0.0.2:9092 were not decoded", ""},
		{"an answer without its request", []packet{{5000, true, 1, nextAnswer, false}, {5000, false, 1, ask, false}, {5000, true, 11, answer, false}}, 0, both, "10 bytes between 10.0.0.2:9092 and 10.0.0.1:5000 were not decoded", ""},
		{"a packet is missing", []packet{syn, synAck, {5000, false, 1, ask, false}, {5000, true, 1, answer, false}, {5000, false, 1 + n + 100, next, false}, {5000, true, 11, nextAnswer, false}}, 0, all, "100 bytes between 10.0.0.1:5000 and 10.0.0.2:9092 were not decoded", ""},
		{"the request is missing", []packet{syn, synAck, {5000, false, 1, ask, false}, {5000, true, 1, answer + nextAnswer, false}}, 0, append(both[:2:2], "< :0 8 the request of this response is not in the capture"), "", ""},
		{"two connections", []packet{{5000, false, 1, ask, false}, {5001, false, 1, next, false}, {5001, true, 1, nextAnswer, false}, {5000, true, 1, answer, false}}, 0, []string{"> Heartbeat:0 7", "> Heartbeat:0 8", "< Heartbeat:0 8 ", both[1]}, "", ""},
		{"an invalid body", []packet{{5000, false, 1, ask, false}, {5000, true, 1, "\x00\x00\x00\x05\x00\x00\x00\x07\x00", false}}, 0, []string{both[0], "< Heartbeat:0 7 Heartbeat response, version 0: at byte 4, errorCode: the message ends too early"}, "", ""},
		{"other protocols too", []packet{{5000, false, 1, ask, false}, {5002, false, 1, "\x16\x03\x01\x00\x05hello", false}, {5003, false, 1, "GET / HTTP/1.1\r\n\r\n", false}}, 0, both[:1], "the connection between 10.0.0.1:5002 and 10.0.0.2:9092 is encrypted with TLS and cannot be decoded; the connection between 10.0.0.1:5003 and 10.0.0.2:9092 does not seem to use Kafka's protocol", ""},
		{"only other protocols", []packet{{5003, false, 1, "GET / HTTP/1.1\r\n\r\n", false}}, 0, nil, "does not seem to use", "no frames of Kafka's protocol in 1 packets and 1 TCP connections"},
		{"the capture is cut off", []packet{{5000, false, 1, ask, false}, {5000, true, 1, answer, false}}, 3, both[:1], "the capture ends inside a packet", ""},
	} {
		for _, ng := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				in := writePackets(t, ng, tt.packets...)
				var got, notes []string
				if !Is(in) {
					t.Fatal("Is does not recognise the capture")
				}
				err := Read(bytes.NewReader(in[:len(in)-tt.cut]), &wire.Codec{}, func(f Frame) error {
					got = append(got, summary(t, f))
					return nil
				}, func(text string) { notes = append(notes, text) })
				if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
					t.Errorf("%v, want %s", err, tt.err)
				}
				if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
					t.Errorf("%q\nwant %q", got, tt.want)
				}
				if noted := strings.Join(notes, "; "); !strings.Contains(noted, tt.notes) || tt.notes == "" && noted != "" {
					t.Errorf("noted %q, want %q", noted, tt.notes)
				}
			})
		}
	}
}

// summary returns a frame in one line.
func summary(t *testing.T, f Frame) string {
	t.Helper()
	if f.Time.IsZero() || !strings.HasPrefix(f.From, "10.0.0.") || f.Size < 5 {
		t.Errorf("%+v", f)
	}
	name := ""
	if !errors.Is(f.Err, ErrNoRequest) {
		name = wire.APIs()[f.Header.Key].Name
	}
	text := fmt.Sprintf("%s:%d %d", name, f.Header.Version, f.Header.CorrelationID)
	if strings.HasSuffix(f.To, ":9092") {
		if f.Request == nil || f.Err != nil {
			t.Errorf("%+v", f)
		}
		return "> " + text
	}
	if f.Err != nil {
		return "< " + text + " " + f.Err.Error()
	}
	if f.Latency <= 0 {
		t.Errorf("%s took %v", text, f.Latency)
	}
	code := f.Response.(*kmsg.HeartbeatResponse).ErrorCode
	if code == 0 {
		return "< " + text + " "
	}
	return "< " + text + " " + wire.ErrorOf(code).Name
}

func FuzzCapture(f *testing.F) {
	f.Add(writePackets(f, false, packet{5000, false, 1, heartbeat(7), false}))
	f.Add(writePackets(f, true, packet{5000, false, 1, heartbeat(9), false}, packet{5000, true, 1, "\x00\x00\x00\x06\x00\x00\x00\x07\x00\x1b", false}))
	f.Fuzz(func(t *testing.T, in []byte) {
		_ = Read(bytes.NewReader(in), &wire.Codec{}, func(f Frame) error {
			if f.Request == nil && f.Response == nil && f.Err == nil {
				t.Errorf("%+v", f)
			}
			return nil
		}, nil)
	})
}
