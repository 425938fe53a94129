package relay

import "errors"

// ReadAhead calls f in a goroutine of its own and reads the source meanwhile: only so a
// peer that leaves is noticed. It returns nil when f has returned, ahead bytes are buffered
// or the buffer is full; otherwise how the source has ended. wait waits for f to return;
// after that, and not before, the pump can be used again.
func (p *Pump) ReadAhead(ahead int, f func()) (wait func(), err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
		p.Interrupt() // before done: later it would interrupt what comes after wait
	}()
	for err == nil && len(p.Buffered()) < ahead && !p.Full() {
		err = p.Fill()
	}
	if errors.Is(err, ErrInterrupted) {
		err = nil
	}
	return func() { <-done; p.Resume() }, err
}
