//go:build conformance

package conformance

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// dnsName is realDomain in the encoding of a DNS query.
var dnsName = []byte("\x06onprem\x07invalid")

// probe is a name that the test itself queries, to verify that queries are seen.
const probe = "sniffer-probe"

// A sniffer reads the packets of the tunnel to its clients, and all DNS queries, whatever the
// client and its language: from the kernel, like tcpdump.
type sniffer struct {
	socket *os.File
	done   sync.WaitGroup
	probe  sync.Once

	leaks, answers, questions int               // of the tunnel to clients; to name servers
	asked                     bool              // for a real name
	probed                    chan struct{}     // closed once the probe was seen
	ends                      map[uint32][]byte // of each flow: a name may be split over two segments
	example                   []byte
}

// listenIn watches a tunnel's ports until stop is called. It requires root, or CAP_NET_RAW;
// without them nothing is watched, and the log reports it.
func listenIn(t *testing.T, ports []uint16) *sniffer {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Logf("no sniffer: %v", err)
		return nil
	}
	s := &sniffer{socket: os.NewFile(uintptr(fd), "sniffer"), ends: map[uint32][]byte{}, probed: make(chan struct{})}
	filter := sniffFilter(ports)
	everything := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
	for what, err := range map[string]error{
		"filter": unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}),
		"buffer": unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20),
		"bind":   unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: everything}),
	} {
		if err != nil {
			t.Fatalf("sniffer: %s: %v", what, err)
		}
	}
	s.done.Go(func() {
		packet := make([]byte, 128<<10)
		for {
			n, err := s.socket.Read(packet)
			if err != nil {
				return
			}
			s.look(packet[:n])
		}
	})
	return s
}

// sniffFilter accepts IPv4 packets from one of these TCP ports, and packets to a name server
// over UDP or TCP.
func sniffFilter(ports []uint16) []unix.SockFilter {
	const (
		load  = unix.BPF_LD | unix.BPF_ABS
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		port  = unix.BPF_LD | unix.BPF_H | unix.BPF_IND
	)
	f := []unix.SockFilter{
		{Code: load | unix.BPF_B, K: 0},
		{Code: unix.BPF_ALU | unix.BPF_RSH | unix.BPF_K, K: 4},
		{Code: equal, K: 4, Jt: 1}, // IPv4
		{Code: unix.BPF_RET | unix.BPF_K},
		{Code: load | unix.BPF_B, K: 9},
		{Code: equal, K: unix.IPPROTO_TCP, Jt: 2},
		{Code: equal, K: unix.IPPROTO_UDP, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K},
		{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH, K: 0}, // the length of the header
		{Code: port, K: 2},
	}
	wanted := []unix.SockFilter{{Code: equal, K: 53}}
	for i, p := range ports {
		if i == 0 {
			wanted = append(wanted, unix.SockFilter{Code: port, K: 0})
		}
		wanted = append(wanted, unix.SockFilter{Code: equal, K: uint32(p)})
	}
	for i := range wanted {
		if wanted[i].Code == equal {
			wanted[i].Jt = uint8(len(wanted) - i) // past the rest and past "no"
		}
	}
	return append(append(f, wanted...), unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 256 << 10})
}

// look searches one packet. It sees both directions through loopback, which does no harm.
//
//	byte 0   4 bits version, 4 bits length of the header in words
//	byte 9   protocol
//	header   source port, target port, ...
func (s *sniffer) look(packet []byte) {
	if len(packet) < 20 {
		return
	}
	head := 4 * int(packet[0]&15)
	if len(packet) < head+8 {
		return
	}
	body := packet[head:]
	if binary.BigEndian.Uint16(body[2:]) == 53 {
		s.questions++
		lower := bytes.ToLower(body)
		s.asked = s.asked || bytes.Contains(lower, dnsName)
		if bytes.Contains(lower, []byte(probe)) {
			s.probe.Do(func() { close(s.probed) })
		}
		return
	}
	s.answers++
	flow := binary.BigEndian.Uint32(body)
	text := slices.Concat(s.ends[flow], body[min(len(body), 4*int(body[12]>>4)):])
	if at := bytes.Index(text, []byte(realDomain)); at >= 0 {
		s.leaks++
		s.example = bytes.Clone(text[max(0, at-40):min(len(text), at+40)])
		text = nil
	}
	s.ends[flow] = bytes.Clone(text[max(0, len(text)-len(realDomain)+1):])
}

// stop ends the observation and reports what was seen.
func (s *sniffer) stop(t *testing.T) {
	t.Helper()
	if s == nil {
		return
	}
	if !s.awaitProbe(deadline(t)) {
		t.Error("the sniffer does not see DNS queries: the observation does not work")
	}
	lost := s.lost()
	if err := s.socket.Close(); err != nil {
		t.Error(err)
	}
	s.done.Wait()
	if s.leaks > 0 {
		t.Errorf("the tunnel sent a real name to a client %d times: %q", s.leaks, s.example)
	}
	if s.asked {
		t.Error("a process queried a name server for a real name")
	}
	if s.answers == 0 {
		t.Error("the sniffer saw no packet of the tunnel: the observation does not work")
	}
	t.Logf("the sniffer saw %d packets to clients and %d to name servers%s", s.answers, s.questions, lost)
}

// awaitProbe queries the probe until it is seen. On a busy machine a query may not be sent in time.
func (s *sniffer) awaitProbe(ctx context.Context) bool {
	for range 30 {
		// No response is needed, only the query.
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		_, _ = (&net.Resolver{PreferGo: true}).LookupHost(ctx, probe+".invalid.")
		cancel()
		select {
		case <-s.probed:
			return true
		case <-time.After(time.Second):
		}
	}
	return false
}

// lost returns how many packets the kernel dropped.
func (s *sniffer) lost() (text string) {
	raw, err := s.socket.SyscallConn()
	if err != nil {
		return err.Error()
	}
	err = raw.Control(func(fd uintptr) {
		stats, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
		if err == nil && stats.Drops > 0 {
			text = fmt.Sprintf(", and missed %d", stats.Drops)
		}
	})
	if err != nil {
		return err.Error()
	}
	return text
}
