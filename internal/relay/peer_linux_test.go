package relay

import (
	"net"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
)

func TestStateOf(t *testing.T) {
	reset := func(conn *net.TCPConn) {
		_ = conn.SetLinger(0)
		_ = conn.Close()
	}
	for name, test := range map[string]struct {
		play func(near, far *net.TCPConn)
		want State
	}{
		"open":                     {func(_, _ *net.TCPConn) {}, Open},
		"open, with bytes":         {func(_, far *net.TCPConn) { _, _ = far.Write([]byte("x")) }, Open},
		"ended":                    {func(_, far *net.TCPConn) { _ = far.CloseWrite() }, Ended},
		"ended, with bytes":        {func(_, far *net.TCPConn) { _, _ = far.Write([]byte("x")); _ = far.CloseWrite() }, Unread},
		"closed":                   {func(_, far *net.TCPConn) { _ = far.Close() }, Ended},
		"reset":                    {func(_, far *net.TCPConn) { reset(far) }, Reset},
		"reset, with bytes before": {func(_, far *net.TCPConn) { _, _ = far.Write([]byte("x")); reset(far) }, Reset},
		"both ended":               {func(near, far *net.TCPConn) { _ = near.CloseWrite(); _ = far.CloseWrite() }, Ended},
		"both ended, with bytes": {func(near, far *net.TCPConn) {
			_ = near.CloseWrite()
			_, _ = far.Write([]byte("x"))
			_ = far.CloseWrite()
		}, Unread},
		"both ended in the other order": {func(near, far *net.TCPConn) { _ = far.CloseWrite(); _ = near.CloseWrite() }, Ended},
	} {
		t.Run(name, func(t *testing.T) {
			near, far := testutil.Pair(t)
			test.play(near, far)
			var got State
			for range 1000 { // another thread handles packets on loopback
				if got = StateOf(near); got == test.want {
					return
				}
				<-time.After(time.Millisecond)
			}
			t.Errorf("state %d, want %d", got, test.want)
		})
	}
}
