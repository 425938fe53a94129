package wire

import (
	"fmt"
	"unsafe"
)

// structShare is how many times [Codec.Limit] the structs of a message may take, and its JSON.
const structShare = 4

// A LimitError is a message that takes more than [Codec.Limit] allows, or a batch that takes more
// than [Codec.BatchLimit].
type LimitError struct {
	What  string // "decompressed records"
	Limit int    // bytes
}

// Error returns all of it.
func (e *LimitError) Error() string {
	size := fmt.Sprintf("%d bytes", e.Limit)
	if e.Limit >= 1<<20 {
		size = fmt.Sprintf("%d MiB", e.Limit>>20)
	}
	return fmt.Sprintf("%s larger than %s are not decoded here", e.What, size)
}

// A budget counts the memory of the structs that a message is decoded into. A byte or two of
// a message can mean a struct of a hundred bytes. Nil has no limit.
type budget struct{ limit, left int }

func (c *Codec) budget() *budget {
	if c.Limit == 0 {
		return nil
	}
	return &budget{structShare * c.Limit, structShare * c.Limit}
}

// take returns an error if n bytes more are too many.
func (b *budget) take(n int) error {
	if b == nil {
		return nil
	}
	if b.left -= n; b.left < 0 {
		return &LimitError{"decoded messages", b.limit}
	}
	return nil
}

// What decoded parts take.
const (
	batchSize  = int(unsafe.Sizeof(Batch{}))
	recordSize = int(unsafe.Sizeof(Record{}))
	headerSize = int(unsafe.Sizeof(Header{}))
	tagSize    = 64 // an unknown tag, in a map
)
