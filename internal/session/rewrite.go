package session

import (
	"errors"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/internal/relay"
)

// rewriteHead replaces the leading part of a response and passes the rest.
func (c *connection) rewriteHead(info kafka.ResponseInfo) error {
	p := &c.responses
	size := int(info.FrameSize)
	for need := responseHead; ; {
		if need > p.Room() && !p.Holds() {
			most := min(size, kafka.MetadataBound)
			if err := p.Hold(kafka.SizeLen+most, kafka.RewriteCost(info.Key, most)); err != nil {
				return err
			}
		}
		b, err := p.Peek(need)
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
		if err := p.ReplaceBy(kafka.SizeLen+consumed, sizePrefix(length), &patch); err != nil {
			return err
		}
		return p.Pass(int64(size) - int64(consumed))
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
	if whole > p.Room() {
		if err := p.Hold(whole, kafka.RewriteCost(info.Key, size)); err != nil {
			return err
		}
	}
	b, err := p.Peek(whole)
	if err != nil {
		return err
	}
	p.CopyOut(whole)
	patch, result, err := kafka.PatchWhole(info, b[kafka.SizeLen:whole], c.h.Mapper)
	if err != nil {
		return c.responseFailure(info, err)
	}
	c.rewritten(info.Key, result)
	if patch.InPlace() && patch.Len() == size {
		return p.Pass(int64(whole)) // nothing to do, or done where it is
	}
	edits := patch // on the heap only where there are edits
	return p.ReplaceBy(whole, sizePrefix(int64(edits.Len())), &edits)
}

// smallTail is how long a tail may be that is held without asking for the memory.
const smallTail = 4 << 10

// A tail is what the rewriting of tails needs; most connections never do.
type tail struct {
	walker kafka.Walker
	memory relay.Admission // of a large tail; nil: there is none
}

// rewriteTail passes a response on as it comes and replaces its last bytes by as
// many.
func (c *connection) rewriteTail(info kafka.ResponseInfo) error {
	if c.tail == nil {
		c.tail = &tail{walker: kafka.Walker{Admit: c.admitTail}}
	}
	p, w := &c.responses, &c.tail.walker
	if err := w.Reset(info, c.h.Mapper); err != nil {
		return c.responseFailure(info, err)
	}
	defer c.releaseTail()
	if err := p.Pass(kafka.SizeLen); err != nil {
		return err
	}
	for w.Left() > 0 {
		if n := min(w.Skip(), w.Left()); n > 0 {
			if err := p.Pass(n); err != nil {
				return err
			}
			w.Advance(n)
			continue
		}
		if len(p.Buffered()) == 0 {
			p.LimitRead(w.Left()) // what follows the records, and not the next frame with it
			if err := p.Fill(); err != nil {
				return err
			}
			continue
		}
		if w.Left() <= int64(len(p.Buffered())) {
			p.Consume() // the tail may be rewritten where it is
		}
		p.CopyOut(int(min(w.Left(), int64(len(p.Buffered())))))
		pass, held, err := w.Feed(p.Buffered())
		if err != nil {
			return c.walkFailure(info, err)
		}
		p.Advance(pass)
		if held > 0 {
			if err := p.Replace(held); err != nil {
				return err
			}
		}
	}
	c.rewritten(info.Key, w.Result())
	if rest := w.Tail(); len(rest) > 0 {
		return p.Replace(0, rest)
	}
	return nil
}

// admitTail is called by the walker before it holds a tail that comes in pieces.
func (c *connection) admitTail(info kafka.ResponseInfo, size int) (err error) {
	if size > smallTail {
		c.tail.memory, err = c.responses.Admit(kafka.WalkerCost(info.Key, size))
	}
	return err
}

// releaseTail gives that memory back, and drops the walker with what it holds.
func (c *connection) releaseTail() {
	if c.tail.memory != nil {
		c.responses.GiveBack(c.tail.memory)
		c.tail = nil
	}
}

// walkFailure classifies an error of a rewriter: a wait for memory that ended is no fault of the
// response.
func (c *connection) walkFailure(info kafka.ResponseInfo, err error) error {
	if _, large := errors.AsType[*relay.TooLargeError](err); large || errors.Is(err, relay.ErrStopped) {
		return err
	}
	return c.responseFailure(info, err)
}
