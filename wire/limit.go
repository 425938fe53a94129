package wire

import (
	"fmt"
	"unsafe"
)

// structShare times [Codec.Limit] is the limit of the structs of a message, and of its JSON.
const structShare = 4

// A LimitError is the error of a message that exceeds [Codec.Limit], or of a batch that exceeds
// [Codec.BatchLimit].
type LimitError struct {
	What  string // "decompressed records"
	Limit int    // bytes
}

// Error returns what exceeds the limit, and the limit.
func (e *LimitError) Error() string {
	size := fmt.Sprintf("%d bytes", e.Limit)
	if e.Limit >= 1<<20 {
		size = fmt.Sprintf("%d MiB", e.Limit>>20)
	}
	return fmt.Sprintf("%s larger than %s are not decoded here", e.What, size)
}

// A budget counts the memory of the structs of a message: a byte or two of a message can mean a
// struct of a hundred bytes. A nil budget has no limit.
type budget struct{ limit, left int }

func (c *Codec) budget() *budget {
	if c.Limit == 0 {
		return nil
	}
	return &budget{structShare * c.Limit, structShare * c.Limit}
}

// take counts n bytes more, and returns an error if the budget is exceeded.
func (b *budget) take(n int) error {
	if b == nil {
		return nil
	}
	if b.left -= n; b.left < 0 {
		return &LimitError{"decoded messages", b.limit}
	}
	return nil
}

// The memory of decoded parts.
const (
	batchSize  = int(unsafe.Sizeof(Batch{}))
	recordSize = int(unsafe.Sizeof(Record{}))
	headerSize = int(unsafe.Sizeof(Header{}))
	tagSize    = 64 // an unknown tag, in a map
)
