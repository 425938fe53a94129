package session

// A pump that has waited for long rests. Its goroutine, whose stack has grown at work
// and which the runtime does not shrink enough, ends; the pump waits in the
// dormitory, where it needs none:
//
//	look ──▶ askRest: nothing has come since the last look; wakes the wait
//	fill:    still nothing to read, and no frame begun ──▶ errResting, all unwinds
//	sleep:   the dormitory watches the source
//	wakeUp:  there is something to read, or the pump is to stop or to finish; a new
//	         goroutine runs it

// askRest asks a pump to rest that has read nothing since it was last asked.
func (p *pump) askRest() {
	if p.active.Swap(false) || !p.reader.canRest() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping || p.interrupted || p.finished > 0 || p.asleep {
		return
	}
	p.asked = true
	_ = p.src.SetReadDeadline(past)
}

// mayRest reports whether a pump that finds nothing to read is to rest now.
func (p *pump) mayRest() bool {
	want := p.wantRest
	p.wantRest = false
	return want && !p.mid && p.pos == p.end
}

// sleep lets a pump rest whose goroutine has unwound. false: it has to go on.
func (p *pump) sleep() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping || p.finished > 0 {
		return false
	}
	if p.asked { // once more, while it was about to
		p.asked = false
		_ = p.src.SetReadDeadline(p.until)
	}
	p.asleep = p.conn.h.dormitory.enter(p)
	return p.asleep
}

// rouse ends a rest early. The caller holds mu.
func (p *pump) rouse() {
	if p.asleep && p.conn.h.dormitory.leave(p) {
		go p.wakeUp()
	}
}

// getUp ends a rest before the source is closed: the dormitory would not notice.
func (p *pump) getUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rouse()
}

// wakeUp is a new goroutine of a pump that has rested.
func (p *pump) wakeUp() {
	p.mu.Lock()
	p.asleep = false
	p.mu.Unlock()
	p.conn.run(p.direction)
}
