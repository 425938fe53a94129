package kafka

import "errors"

// rewriteMetadata rewrites the brokers, which come first. The rest, all topics
// and partitions of the cluster, is not looked at.
//
//	| correlation id i32 | tags v9+ | throttle i32 v3+ | brokers | not touched ...
//	brokers: array of | node id i32 | host | port i32 | rack nullable v1+ | tags v9+ |
func rewriteMetadata(buf []byte, h ResponseInfo, src []byte, m Mapper) ([]byte, int, Result, error) {
	flexible := apis[KeyMetadata].Flexible(h.Version)
	c := cursor{b: src, frame: int(h.FrameSize), bound: MetadataBound}
	c.skip(4)
	if flexible {
		c.tags()
	}
	if h.Version >= 3 {
		c.skip(4)
	}
	brokers := c.readList(shape{flexible: flexible, text: h.Version >= 1})
	if errors.Is(c.err, ErrShort) {
		return nil, c.need, Result{}, ErrShort
	}
	if c.err != nil {
		return nil, 0, Result{}, inResponse(h, c.err)
	}
	res, err := brokers.ask(m)
	if err != nil || !res.Changed() {
		return src[:brokers.end], brokers.end, res, err
	}
	out := append(buf[:0], src[:brokers.count]...)
	return brokers.append(out, src), brokers.end, res, nil
}
