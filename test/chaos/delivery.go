package chaos

import (
	"fmt"
	"hash/fnv"
	"sync"
)

// A Delivery checks the records that the members of a consumer group receive, as they arrive:
// no gap in a partition, whichever member reads it, and no record twice for a member unless
// there was a rebalance. It is for topics without transactions, whose offsets have no gaps. It
// is safe for concurrent use.
type Delivery struct {
	mu          sync.Mutex
	f           findings
	prints      map[int32][]uint64 // by offset: of the first record that was delivered, 0: none
	at          map[membership]int64
	redelivered int
}

// A membership is the assignment of a partition to a member.
type membership struct {
	member    int
	partition int32
}

// NewDelivery returns an empty Delivery.
func NewDelivery() *Delivery {
	return &Delivery{prints: map[int32][]uint64{}, at: map[membership]int64{}}
}

// fingerprint returns a hash of a record's bytes; it is never 0.
func fingerprint(b []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(b)
	return h.Sum64() | 1
}

// Assigned records that a member was assigned partitions and may read them from any offset that
// the group has committed.
func (d *Delivery) Assigned(member int, partitions []int32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range partitions {
		delete(d.at, membership{member, p})
	}
}

// Got records that a member received a record.
func (d *Delivery) Got(member int, partition int32, offset int64, value []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	who := membership{member, partition}
	if last, reading := d.at[who]; reading && offset <= last {
		d.f.add("member %d received partition %d, offset %d after offset %d without a rebalance", member, partition, offset, last)
	}
	d.at[who] = offset
	switch next := int64(len(d.prints[partition])); {
	case offset < next:
		d.redelivered++
		if fingerprint(value) != d.prints[partition][offset] {
			d.f.add("partition %d, offset %d was delivered again with other bytes", partition, offset)
		}
	default:
		if offset > next {
			d.f.add("member %d received partition %d, offset %d, but the group had only reached %d", member, partition, offset, next-1)
			d.prints[partition] = append(d.prints[partition], make([]uint64, offset-next)...)
		}
		d.prints[partition] = append(d.prints[partition], fingerprint(value))
	}
}

// Next returns the offset after the last one that the group received.
func (d *Delivery) Next(partition int32) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return int64(len(d.prints[partition]))
}

// Redelivered returns how many records were delivered again after a rebalance.
func (d *Delivery) Redelivered() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.redelivered
}

// Problems returns the problems found so far.
func (d *Delivery) Problems() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.f.all()
}

// Check compares what the group received with the topic itself.
func (d *Delivery) Check(log Log) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.f
	for partition, list := range log {
		for _, v := range list {
			switch got := d.prints[partition]; {
			case v.Offset >= int64(len(got)) || got[v.Offset] == 0:
				f.add("partition %d, offset %d was never delivered", partition, v.Offset)
			case got[v.Offset] != fingerprint(v.Bytes):
				f.add("partition %d, offset %d was delivered with other bytes", partition, v.Offset)
			}
		}
		if n := len(d.prints[partition]) - len(list); n > 0 {
			f.add("partition %d: %d records were delivered that are not in the topic", partition, n)
		}
	}
	return f.all()
}

// CheckLag reports partitions in which a group has not committed everything that it read.
func CheckLag(group string, committed, ends map[int32]int64) []string {
	var f findings
	for partition, end := range ends {
		if committed[partition] != end {
			f.add("group %s: partition %d is committed up to %d of %d", group, partition, committed[partition], end)
		}
	}
	return f.all()
}

// prefix adds a name to problems.
func prefix(name string, problems []string) []string {
	list := make([]string, 0, len(problems))
	for _, p := range problems {
		list = append(list, fmt.Sprintf("%s: %s", name, p))
	}
	return list
}
