package upstream

import (
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
)

// TestOwnAddress: an address of the process itself, as target or as proxy, is refused
// after it was resolved and before it is connected to.
func TestOwnAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepted atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			_ = conn.Close()
		}
	}()
	defer func() {
		_ = l.Close()
		<-ended
		if n := accepted.Load(); n != 0 {
			t.Errorf("%d connections arrived", n)
		}
	}()
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	own := func(addr netip.AddrPort) bool { return addr.Port() == port && addr.Addr().Unmap().IsLoopback() }
	target := hostport.Target{Host: "localhost", Port: port}
	for name, d := range map[string]*Dialer{
		"target": {Own: own},
		"proxy":  {Own: own, Proxy: target.String(), Tokens: &tokens{}},
	} {
		_, err := d.Dial(t.Context(), target)
		f, ok := failure.As(err)
		if !ok || f.Code != failure.OwnAddress || f.Target != target.String() || !strings.Contains(err.Error(), "127.0.0.1") && !strings.Contains(err.Error(), "[::1]") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseResolved(t *testing.T) {
	for text, want := range map[string]string{
		"127.0.0.1:9092": "127.0.0.1:9092", "[::1]:9092": "[::1]:9092", "[fe80::1%eth0]:1": "[fe80::1%eth0]:1", ":9092": "0.0.0.0:9092",
		"": "", "kafka:9092": "", "127.0.0.1": "",
	} {
		got, ok := parseResolved(text)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%q: %v, %v", text, got, ok)
		}
	}
}
