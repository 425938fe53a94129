package session

import (
	"errors"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// rewriteHead replaces the leading part of a response and passes the rest.
func (c *connection) rewriteHead(info kafka.ResponseInfo) error {
	p := &c.responses
	size := int(info.FrameSize)
	for need := responseHead; ; {
		if need > len(p.buf) && p.held == nil {
			most := min(size, kafka.MetadataBound)
			if err := p.hold(kafka.SizeLen+most, kafka.RewriteCost(info.Key, most)); err != nil {
				return err
			}
		}
		b, err := p.peek(need)
		if err != nil {
			return err
		}
		frame := b[kafka.SizeLen:min(len(b), kafka.SizeLen+size)]
		patch, consumed, result, err := kafka.PatchHead(info, frame, c.h.Mapper)
		if errors.Is(err, kafka.ErrShort) && len(frame) < size {
			need = kafka.SizeLen + min(max(consumed, len(frame)+1), size)
			continue
		}
		if err != nil {
			return c.responseFailure(info, err)
		}
		c.rewritten(info.Key, result)
		length := int64(size) - int64(consumed) + int64(patch.Len())
		if err := p.replaceBy(kafka.SizeLen+consumed, sizePrefix(length), &patch); err != nil {
			return err
		}
		return p.pass(int64(size) - int64(consumed))
	}
}

// rewriteWhole holds a whole response and replaces it.
func (c *connection) rewriteWhole(info kafka.ResponseInfo) error {
	p := &c.responses
	size := int(info.FrameSize)
	if size > kafka.WholeBound(info.Key) {
		return c.responseFailure(info, kafka.ErrTooLarge)
	}
	whole := kafka.SizeLen + size
	if whole > len(p.buf) {
		if err := p.hold(whole, kafka.RewriteCost(info.Key, size)); err != nil {
			return err
		}
	}
	b, err := p.peek(whole)
	if err != nil {
		return err
	}
	p.copyOut(whole)
	patch, result, err := kafka.PatchWhole(info, b[kafka.SizeLen:whole], c.h.Mapper)
	if err != nil {
		return c.responseFailure(info, err)
	}
	c.rewritten(info.Key, result)
	if patch.InPlace() && patch.Len() == size {
		return p.pass(int64(whole)) // nothing to do, or done where it is
	}
	edits := patch // on the heap only where there are edits
	return p.replaceBy(whole, sizePrefix(int64(edits.Len())), &edits)
}

// smallTail is how long a tail may be that is held without asking for the memory.
const smallTail = 4 << 10

// rewriteTail passes a response on as it comes and replaces its last bytes by as
// many.
func (c *connection) rewriteTail(info kafka.ResponseInfo) error {
	if c.walker == nil {
		c.walker = &kafka.Walker{Admit: c.admitTail}
	}
	p, w := &c.responses, c.walker
	if err := w.Reset(info, c.h.Mapper); err != nil {
		return c.responseFailure(info, err)
	}
	defer c.releaseTail()
	if err := p.pass(kafka.SizeLen); err != nil {
		return err
	}
	for w.Left() > 0 {
		if n := min(w.Skip(), w.Left()); n > 0 {
			if err := p.pass(n); err != nil {
				return err
			}
			w.Advance(n)
			continue
		}
		if len(p.buffered()) == 0 {
			if p.large { // what follows the records, and not the next frame with it
				p.only = int(min(w.Left(), bufferSize))
			}
			if err := p.fill(); err != nil {
				return err
			}
			continue
		}
		if w.Left() <= int64(len(p.buffered())) {
			p.take() // the tail may be rewritten where it is
		}
		p.copyOut(int(min(w.Left(), int64(len(p.buffered())))))
		pass, held, err := w.Feed(p.buffered())
		if err != nil {
			return c.walkFailure(info, err)
		}
		p.step(pass)
		if held > 0 {
			if err := p.replace(held); err != nil {
				return err
			}
		}
	}
	c.rewritten(info.Key, w.Result())
	if rest := w.Tail(); len(rest) > 0 {
		return p.replace(0, rest)
	}
	return nil
}

// admitTail is asked by the walker before it holds a tail that comes in pieces.
func (c *connection) admitTail(info kafka.ResponseInfo, size int) (err error) {
	if size > smallTail {
		c.tail, err = c.responses.admit(kafka.WalkerCost(info.Key, size))
	}
	return err
}

// releaseTail gives that memory back.
func (c *connection) releaseTail() {
	if c.tail != nil {
		c.walker = nil // and what it holds
		c.responses.giveBack(c.tail)
		c.tail = nil
	}
}

// walkFailure tells a fault of a response from the end of a wait for memory.
func (c *connection) walkFailure(info kafka.ResponseInfo, err error) error {
	if _, large := errors.AsType[*tooLargeError](err); large || errors.Is(err, errStopped) {
		return err
	}
	return c.responseFailure(info, err)
}
