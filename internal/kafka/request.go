package kafka

import (
	"encoding/binary"
	"errors"
	"time"
)

// SizeLen is the length of the size that precedes every frame: an int32, which does
// not count itself. A size of 0 is legal (an empty SASL token).
const SizeLen = 4

// RequestHeaderLen is how many bytes after the size [ParseRequestHeader] needs.
const RequestHeaderLen = 8

// A RequestHeader is the part of a request header that is the same in all
// versions.
type RequestHeader struct {
	Key, Version  int16
	CorrelationID int32
}

// ParseRequestHeader reads the header of a request; b starts after the size.
// It returns ErrShort if b has fewer than [RequestHeaderLen] bytes. Any key and
// version is accepted: [TreatmentOf] judges them.
//
//	| key i16 | version i16 | correlation id i32 | client id: nullable string, i16 length |
//	| tags, from the first flexible version on | body
func ParseRequestHeader(b []byte) (RequestHeader, error) {
	if len(b) < RequestHeaderLen {
		return RequestHeader{}, ErrShort
	}
	return RequestHeader{
		Key:           int16(binary.BigEndian.Uint16(b)),
		Version:       int16(binary.BigEndian.Uint16(b[2:])),
		CorrelationID: int32(binary.BigEndian.Uint32(b[4:])),
	}, nil
}

// AcksBound bounds the offset of the acks in a Produce request: two strings of 32767
// bytes precede them, and tags that are no longer than both.
const AcksBound = 128 << 10

// AcksZero reports whether a Produce request has no response (acks=0). b holds its
// bytes after the size, as far as received. enough is false if more bytes are needed;
// if the frame has no more, it is malformed.
//
//	v0-2   | header | acks i16
//	v3-8   | header | transactional id: nullable string | acks i16
//	v9-    | header | tags | transactional id: compact nullable string | acks i16
func AcksZero(version int16, b []byte) (zero, enough bool, err error) {
	flexible := apis[KeyProduce].Flexible(version)
	c := newPartialCursor(b, AcksBound, AcksBound)
	c.skip(RequestHeaderLen)
	c.nullable(false) // the client id is never compact
	if flexible {
		c.tags()
	}
	if version >= 3 {
		c.nullable(flexible)
	}
	acks := c.int16()
	switch {
	case c.err == nil:
		return acks == 0, true, nil
	case errors.Is(c.err, ErrShort):
		return false, false, nil
	}
	return false, false, c.err
}

// ClientSoftware returns the name and the version of the client in an ApiVersions
// request (v3+, KIP-511): "apache-kafka-java" and "4.3.0". b is the whole request
// after the size; ok is false if it does not have them.
//
//	| header | tags | name: compact string | version: compact string | ...
func ClientSoftware(version int16, b []byte) (name, release string, ok bool) {
	if !apis[KeyApiVersions].Flexible(version) {
		return "", "", false
	}
	c := newCursor(b, 0)
	c.skip(RequestHeaderLen)
	c.nullable(false)
	c.tags()
	n, r := c.string(true), c.string(true)
	return string(n), string(r), c.err == nil
}

// The keys of further requests to which a broker may respond late on purpose.
const (
	keyJoinGroup int16 = 11
	keySyncGroup int16 = 14
)

// syncGroupWait bounds the response to SyncGroup: the broker waits until the leader of the
// group has assigned the partitions, and the request has no timeout for that. It is the
// default of max.poll.interval.ms.
const syncGroupWait = 5 * time.Minute

// MaxWait returns how long the broker may delay the response to a request on purpose: the
// max_wait_ms of Fetch and ShareFetch, the rebalance timeout of JoinGroup. b holds the
// request after its size, as far as received. MaxWait returns 0 for all other requests, and
// if too little was received.
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
