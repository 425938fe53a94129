package inspect

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

// TestRenderTap: the lines of text.
func TestRenderTap(t *testing.T) {
	latency := 0.0123
	at := time.Date(2026, 11, 21, 9, 8, 7, 6e6, time.Local)
	moved := wire.LocatedError{Path: "x", Error: wire.ErrorOf(6)}
	for _, tt := range []struct {
		e    TapEvent
		want string
	}{
		{TapEvent{Time: at, Conn: 7, Node: "1", Kind: KindRequest, API: "Produce", Version: 12, Size: 1234, Software: "sarama\x1b v1"}, "09:08:07.006  #7     node 1     > Produce:12                           1234             sarama\\x1b v1\n"},
		{TapEvent{Time: at, Conn: 7, Node: "1", Kind: KindResponse, API: "Produce", Version: 12, Size: 99, LatencySeconds: &latency, Errors: []wire.LocatedError{moved, moved}, Body: json.RawMessage(`{"a":1}`)}, "09:08:07.006  #7     node 1     < Produce:12                             99       12ms  NOT_LEADER_OR_FOLLOWER x2\n  {\"a\":1}\n"},
		{TapEvent{Time: at, Conn: 123456, Node: "bootstrap", Kind: KindToken, Size: 9, Cut: true}, "09:08:07.006  #123456  bootstrap  - SASL token                              9             incomplete: the connection ended\n"},
		{TapEvent{Time: at, Conn: 7, Node: "1", Kind: KindResponse, API: "Fetch", Version: 17, Size: 9, Unread: "5 of its 9 bytes are there"}, "09:08:07.006  #7     node 1     < Fetch:17                                9             not decoded: 5 of its 9 bytes are there\n"},
		{TapEvent{TapNotice: TapNotice{Dropped: 42}}, "... 42 frames were dropped: the viewer read too slowly\n"},
		{TapEvent{TapNotice: TapNotice{Over: "done"}}, "over: done\n"},
	} {
		var b bytes.Buffer
		if err := tt.e.Render(&b); err != nil || b.String() != tt.want {
			t.Errorf("%q, want\n%q, %v", b.String(), tt.want, err)
		}
	}
}
