//go:build conformance && linux

package conformance

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestSniffer: it finds a real name that is sent from one of the watched ports, also in two
// segments, and the query for one.
func TestSniffer(t *testing.T) {
	for _, tt := range []struct {
		name  string
		parts []string
		leaks bool
	}{
		{"whole", []string{"kafka-1." + realDomain}, true},
		{"in two segments", []string{"kafka-1." + realDomain[:5], realDomain[5:] + ":9092"}, true},
		{"none", []string{"localhost", "kafka-1.onprem"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &sniffer{ends: map[uint32][]byte{}}
			for _, part := range tt.parts {
				s.look(packetOf(9092, 40000, part))
			}
			if (s.leaks > 0) != tt.leaks || s.answers != len(tt.parts) {
				t.Errorf("%d leaks in %d packets", s.leaks, s.answers)
			}
		})
	}
	s := &sniffer{}
	s.look(packetOf(40000, 53, "..\x07kafka-1\x06OnPrem\x07invalid\x00"))
	if !s.asked || s.questions != 1 {
		t.Error("the question was not seen")
	}
	if n := len(sniffFilter([]uint16{1, 2, 3, 4})); n != 18 {
		t.Errorf("the filter has %d instructions", n)
	}
}

// packetOf returns an IPv4 packet with a TCP header of 20 bytes.
func packetOf(from, to uint16, text string) []byte {
	p := make([]byte, 40)
	p[0], p[9], p[32] = 0x45, 6, 0x50
	p[20], p[21], p[22], p[23] = byte(from>>8), byte(from), byte(to>>8), byte(to)
	return slices.Concat(p, []byte(text))
}

// TestSnifferHears: a real socket sees the packets of a listener, and the probe.
func TestSnifferHears(t *testing.T) {
	if direct() {
		t.Skip("needs a tunnel")
	}
	l := startLab(t, "--brokers", "1")
	s := listenIn(t, portsOf(t, l.bootstrap))
	if s == nil {
		t.Skip("not allowed to sniff")
	}
	_, port, _ := strings.Cut(l.bootstrap, ":")
	if n, err := strconv.Atoi(port); err != nil || n == 0 {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", l.bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// A whole ApiVersions request, version 0.
	if _, err := conn.Write([]byte("\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x01\xff\xff")); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	s.stop(t)
}
