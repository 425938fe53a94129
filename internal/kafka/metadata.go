package kafka

import "errors"

// brokers rewrites the brokers, which come first. The rest, all topics and
// partitions of the cluster, is not read.
//
//	| correlation id i32 | tags v9+ | throttle i32 v3+ | brokers | not touched ...
//	brokers: array of | node id i32 | host | port i32 | rack nullable v1+ | tags v9+ |
func (p *Patch) brokers(h ResponseInfo, src []byte, m Mapper) (consumed int, err error) {
	flexible := apis[KeyMetadata].Flexible(h.Version)
	c := newPartialCursor(src, int(h.FrameSize), MetadataBound)
	c.skip(4)
	if flexible {
		c.tags()
	}
	if h.Version >= 3 {
		c.skip(4)
	}
	c.readList(&p.list, shape{flexible: flexible, text: h.Version >= 1})
	if errors.Is(c.err, ErrShort) {
		return max(c.need, min(2*len(src), c.frame, c.bound)), ErrShort
	}
	if c.err != nil {
		return 0, inResponse(h, c.err)
	}
	end := p.list.end
	return end, p.mapAddresses(src[:end], m)
}
