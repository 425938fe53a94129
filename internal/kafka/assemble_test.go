package kafka

// rewriteHead is [PatchHead] with the result in one piece: in
// buf if it has room, in src if nothing changed; buf and src must not overlap.
func rewriteHead(buf []byte, h ResponseInfo, src []byte, m Mapper) (out []byte, consumed int, res Result, err error) {
	p, consumed, res, err := PatchHead(h, src, m)
	if err != nil {
		return nil, consumed, Result{}, err
	}
	return p.assemble(buf), consumed, res, nil
}

// rewriteWhole is [PatchWhole] with the result in one piece: in
// buf if it has room, in frame if nothing changed, and for ApiVersions always in
// frame; buf and frame must not overlap.
func rewriteWhole(buf []byte, h ResponseInfo, frame []byte, m Mapper) (out []byte, res Result, err error) {
	p, res, err := PatchWhole(h, frame, m)
	if err != nil {
		return nil, Result{}, err
	}
	return p.assemble(buf), res, nil
}

// assemble returns the whole message: the original if it is unchanged, else in buf if
// it has room.
func (p *Patch) assemble(buf []byte) []byte {
	if p.inPlace {
		return p.src
	}
	if cap(buf) < p.size {
		buf = make([]byte, 0, p.size)
	}
	out, _ := p.Next(buf)
	return out
}
