package kafka

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func newCoordinator(version int16) *kmsg.FindCoordinatorResponse {
	r := kmsg.NewPtrFindCoordinatorResponse()
	r.SetVersion(version)
	return r
}

func addCoordinator(r *kmsg.FindCoordinatorResponse, key string, code int16, node int32, host string, port int32) {
	c := kmsg.NewFindCoordinatorResponseCoordinator()
	c.Key, c.ErrorCode, c.NodeID, c.Host, c.Port = key, code, node, host, port
	r.Coordinators = append(r.Coordinators, c)
}

func decodeCoordinator(version int16, frame []byte) (*kmsg.FindCoordinatorResponse, error) {
	r, err := decode(KeyFindCoordinator, version, frame)
	if err != nil {
		return nil, err
	}
	return r.(*kmsg.FindCoordinatorResponse), nil
}

// Responses about controllers are refused, because ids of controllers may be ids of
// brokers.
func TestClusterOfControllers(t *testing.T) {
	for _, tc := range []struct {
		kind    int8
		brokers int
		refused bool
	}{{1, 2, false}, {2, 2, true}, {3, 1, true}, {2, 0, false}} {
		for v := int16(0); v <= 2; v++ {
			r := kmsg.NewPtrDescribeClusterResponse()
			r.SetVersion(v)
			r.EndpointType = tc.kind
			for i := range tc.brokers {
				b := kmsg.NewDescribeClusterResponseBroker()
				b.NodeID, b.Host, b.Port = int32(i), "kafka.onprem.corp", 9092
				r.Brokers = append(r.Brokers, b)
			}
			frame := encode(r, headers[0])
			m := &testMapper{host: local}
			_, res, err := rewriteWhole(nil, info(KeyDescribeCluster, v, frame), frame, m)
			refused := tc.refused && v >= 1 // v0 knows brokers only
			if errors.Is(err, ErrControllers) != refused || !refused && res.Rewritten != tc.brokers {
				t.Errorf("type %d, %d endpoints, v%d: %v %v", tc.kind, tc.brokers, v, res, err)
			}
			if refused && m.calls != 0 {
				t.Errorf("type %d, v%d: the mapper was called", tc.kind, v)
			}
		}
	}
}

func TestLayoutsAreNotTooDeep(t *testing.T) {
	for _, l := range []layout{produceNames, produceIDs, fetchTopics, shareFetch0, shareFetch1, shareAcknowledge0, shareAcknowledge2} {
		depth := 0
		for _, o := range l {
			switch o.code {
			case opCounted, opArray:
				depth++
			case opEnd:
				depth--
			}
			if depth > maxDepth {
				t.Fatalf("%d loops nested", depth)
			}
		}
		if depth != 0 {
			t.Error("a loop has no end")
		}
	}
}
