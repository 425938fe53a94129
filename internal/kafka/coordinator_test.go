package kafka

import "github.com/twmb/franz-go/pkg/kmsg"

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
