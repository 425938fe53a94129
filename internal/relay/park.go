package relay

// Parking, in the order of calls:
//
//	RequestPark  another goroutine: nothing has come since it was last called
//	Peek         there is nothing to read and no frame was begun: returns ErrParked
//	Park         the owner, unwound: the poller waits for the source from now on
//	wake         there is something to read, or Stop or Drain was called: a new goroutine
//	             calls Owner.Run

// RequestPark asks a pump to park that has read nothing since it was last asked.
func (p *Pump) RequestPark() {
	if p.active.Swap(false) || !p.reader.canPoll() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state != running {
		return
	}
	p.state = parking
	_ = p.src.SetReadDeadline(past)
}

// mayPark reports whether a pump that finds nothing to read is to park now.
func (p *Pump) mayPark() bool {
	want := p.wantPark
	p.wantPark = false
	return want && !p.inFrame && p.pos == p.end
}

// Park hands the pump over to the poller, after [ErrParked]. false: it was stopped or is
// draining meanwhile, or cannot park, and the owner has to go on.
func (p *Pump) Park() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.state {
	case stopped, draining:
		return false
	case parking: // asked once more meanwhile
		_ = p.src.SetReadDeadline(p.until)
	}
	p.state = running
	if p.group.poller.park(p) {
		p.state = parked
	}
	return p.state == parked
}

// unpark wakes a pump that was parked. The caller holds mu and has set the new state.
func (p *Pump) unpark() {
	if p.group.poller.unpark(p) {
		go p.wake()
	}
}

// Unpark wakes a parked pump before its source is closed, which the poller would not
// notice.
func (p *Pump) Unpark() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == parked {
		p.unpark()
	}
}

// wake is a new goroutine of a pump that was parked.
func (p *Pump) wake() {
	p.mu.Lock()
	if p.state == parked {
		p.state = running
	}
	p.mu.Unlock()
	p.owner.Run(p.from)
}
