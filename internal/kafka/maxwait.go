package kafka

import "time"

// The keys whose requests the broker may answer late on purpose.
const (
	keyJoinGroup int16 = 11
	keySyncGroup int16 = 14
)

// syncGroupWait is how long a broker may leave a SyncGroup unanswered: until the group's
// leader has assigned, for which the request names no bound. It is the default of
// max.poll.interval.ms.
const syncGroupWait = 5 * time.Minute

// MaxWait returns how long the broker may leave a request unanswered on purpose: the
// max_wait_ms of Fetch and ShareFetch, the rebalance timeout of JoinGroup. b holds the
// request after its size, as far as received. It returns 0 for all other requests, and
// where too little was received to tell.
//
//	Fetch       v0-14  | replica id i32 | max wait i32 | ...
//	            v15-   | max wait i32 | ...
//	ShareFetch         | group: compact nullable string | member: compact nullable string | epoch i32 | max wait i32 | ...
//	JoinGroup   v0     | group: string | session timeout i32 | ...
//	            v1-    | group: string | session timeout i32 | rebalance timeout i32 | ...
func MaxWait(h RequestHeader, b []byte) time.Duration {
	switch h.Key {
	case KeyFetch, KeyShareFetch, keyJoinGroup:
	case keySyncGroup:
		return syncGroupWait
	default:
		return 0
	}
	flexible := apis[h.Key].Flexible(h.Version)
	c := newPartialCursor(b, AcksBound, AcksBound)
	c.skip(RequestHeaderLen)
	c.nullable(false) // the client id is never compact
	if flexible {
		c.tags()
	}
	switch h.Key {
	case KeyFetch:
		if h.Version < 15 {
			c.skip(4)
		}
	case KeyShareFetch:
		c.nullable(true)
		c.nullable(true)
		c.skip(4)
	case keyJoinGroup:
		c.nullable(flexible)
		if h.Version > 0 {
			c.skip(4)
		}
	}
	wait := c.int32()
	if c.err != nil || wait < 0 {
		return 0
	}
	return time.Duration(wait) * time.Millisecond
}
