package kafka

// endpointBrokers is the type of endpoints that clients of brokers ask for.
const endpointBrokers = 1

// cluster rewrites a DescribeCluster response (KIP-700, KIP-919).
//
//	| correlation id i32 | tags | throttle i32 | code i16 | message | type i8 v1+
//	| cluster id | controller i32 | brokers | not touched ...
//	brokers: array of | node id i32 | host | port i32 | rack | fenced i8 v2+ | tags |
func (p *Patch) cluster(h ResponseInfo, frame []byte, m Mapper) error {
	c := newCursor(frame, 4)
	c.tags()
	c.skip(4 + 2)
	c.nullable(true)
	kind := byte(endpointBrokers)
	if h.Version >= 1 {
		if b := c.span(1); b != nil {
			kind = b[0]
		}
	}
	c.nullable(true)
	c.skip(4)
	c.readList(&p.list, shape{flexible: true, text: true, fenced: h.Version >= 2})
	if c.err == nil && kind != endpointBrokers && p.list.elements > 0 {
		c.fail(ErrControllers)
	}
	if c.err != nil {
		return inResponse(h, c.err)
	}
	return p.mapAddresses(frame, m)
}
