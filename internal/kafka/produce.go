package kafka

// What stands before the last field of a Produce response from v10 on.
//
//	| correlation id i32 | tags | topics | throttle i32 |
//	topics:     array of | name, from v13 on id | partitions | tags |
//	partitions: array of | index i32 | code i16 | base offset, append time, log start i64
//	                     | errors | message | tags |
//	errors:     array of | record i32 | message | tags |
var (
	produceNames = response(array(compact, producePartitions, tags), fixed(4))
	produceIDs   = response(array(fixed(16), producePartitions, tags), fixed(4))

	producePartitions = array(fixed(4+2+8+8+8), array(fixed(4), compact, tags), compact, tags)
)

// rewriteProduce rewrites the addresses of new leaders in a Produce response of
// v10 or newer (KIP-951): tag 0 of its last field, see [tail].
func rewriteProduce(buf []byte, h ResponseInfo, frame []byte, m Mapper) ([]byte, Result, error) {
	l := produceNames
	if h.Version >= 13 {
		l = produceIDs
	}
	at, err := scanWhole(l, frame)
	if err != nil {
		return nil, Result{}, inResponse(h, err)
	}
	c := over(frame, at)
	t := c.readTail(true)
	if c.err != nil {
		return nil, Result{}, inResponse(h, c.err)
	}
	res, err := t.list.ask(m)
	if err != nil || !res.Changed() {
		return frame, res, err
	}
	out := append(buf[:0], frame[:t.size]...)
	out = appendUvarint(out, uint32(t.list.size()))
	out = t.list.append(out, frame)
	return append(out, frame[t.list.end:]...), res, nil
}

// scanWhole walks over a frame that was received whole and returns where the
// layout ends.
func scanWhole(l layout, frame []byte) (int, error) {
	var s scan
	s.reset(l, int64(len(frame)))
	return s.feed(frame)
}
