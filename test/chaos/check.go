package chaos

import (
	"fmt"
	"maps"
	"slices"
)

// Rules are the guarantees of a topic for its producers. In addition, a record that is
// corrupted, in the wrong partition, or was never sent is always a problem.
type Rules struct {
	Lossless bool // every acknowledged record is in the topic
	Once     bool // no record is in the topic twice
	Ordered  bool // the records of a stream are in the order in which they were sent
}

// The rules by kind of producer.
func rulesIdempotent() Rules { return Rules{Lossless: true, Once: true, Ordered: true} }
func rulesAcks1() Rules      { return Rules{Lossless: true} }
func rulesAcks0() Rules      { return Rules{} }

// A Log has the records of a topic, by partition, in order.
type Log map[int32][]Value

// A Value is one record that was read.
type Value struct {
	Offset int64
	Bytes  []byte
}

// maxProblems limits the problems that one check reports in detail.
const maxProblems = 20

// findings collects problems, the first ones in detail.
type findings struct {
	list []string
	more int
}

func (f *findings) add(format string, args ...any) {
	if len(f.list) >= maxProblems {
		f.more++
		return
	}
	f.list = append(f.list, fmt.Sprintf(format, args...))
}

func (f *findings) all() []string {
	if f.more > 0 {
		return append(f.list, fmt.Sprintf("and %d more", f.more))
	}
	return f.list
}

// CheckLog compares a topic with the ledger of its producers, and counts losses and duplicates
// that the rules allow. Records of transactions are for [CheckCommitted].
func CheckLog(rules Rules, l *Ledger, log Log) (problems []string, c Counts) {
	c = l.Counts()
	l.mu.Lock()
	defer l.mu.Unlock()
	var f findings
	seen := l.walk(log, &f, func(m Mark, offset int64, times int, after bool) {
		if times > 1 {
			c.Duplicates++
			if rules.Once {
				f.add("%s is a duplicate at offset %d", m, offset)
			}
		} else if after && rules.Ordered {
			f.add("%s at offset %d follows a later one", m, offset)
		}
	})
	c.Read = seen.read
	for _, s := range sortedStreams(l.streams) {
		for seq, e := range l.streams[s] {
			if e.fate != acked || seen.times[s][seq] > 0 {
				continue
			}
			c.Lost++
			if rules.Lossless {
				f.add("%s was acknowledged but is lost", Mark{Stream: s, Seq: uint64(seq)})
			}
		}
	}
	return f.all(), c
}

// CheckCommitted compares the records of a topic with read_committed with the outcomes of the
// transactions: the records of committed ones are in it exactly once and in order, those of
// aborted ones are not, and of one whose end was never confirmed all or none are.
func CheckCommitted(l *Ledger, log Log) (problems []string, c Counts) {
	c = l.Counts()
	l.mu.Lock()
	defer l.mu.Unlock()
	var f findings
	seen := l.walk(log, &f, func(m Mark, offset int64, times int, after bool) {
		switch {
		case l.txns[m.Txn] == aborted:
			f.add("%s at offset %d was aborted", m, offset)
		case times > 1:
			f.add("%s is a duplicate at offset %d", m, offset)
		case after:
			f.add("%s at offset %d follows a later one", m, offset)
		}
	})
	c.Read = seen.read
	there, size := map[uint64]int{}, map[uint64]int{}
	for _, s := range sortedStreams(l.streams) {
		for seq, e := range l.streams[s] {
			size[e.txn]++
			if seen.times[s][seq] > 0 {
				there[e.txn]++
			} else if l.txns[e.txn] == committed {
				f.add("%s was committed but is lost", Mark{Stream: s, Seq: uint64(seq), Txn: e.txn})
			}
		}
	}
	for _, txn := range slices.Sorted(maps.Keys(size)) {
		if l.txns[txn] == unknown && there[txn] != 0 && there[txn] != size[txn] {
			f.add("transaction %d, whose end was not confirmed, is incomplete: %d of %d records", txn, there[txn], size[txn])
		}
	}
	return f.all(), c
}

// seen is the state of a walk.
type seen struct {
	read  int
	times map[Stream][]int // by stream and number
}

// walk visits all records of a log. It reports records that are corrupted, misplaced or were
// never sent, and calls visit for all others, with the number of earlier copies and whether a
// later record of the stream was before it. The caller holds the ledger's lock.
func (l *Ledger) walk(log Log, f *findings, visit func(m Mark, offset int64, times int, after bool)) seen {
	w := seen{times: map[Stream][]int{}}
	for s, list := range l.streams {
		w.times[s] = make([]int, len(list))
	}
	for _, partition := range slices.Sorted(maps.Keys(log)) {
		highest := map[Stream]uint64{}
		for _, v := range log[partition] {
			w.read++
			m, err := Decode(v.Bytes)
			switch {
			case err != nil:
				f.add("the record at offset %d of partition %d is corrupted: %v", v.Offset, partition, err)
				continue
			case m.Partition != partition:
				f.add("%s is in partition %d, offset %d", m, partition, v.Offset)
				continue
			case m.Seq >= uint64(len(l.streams[m.Stream])), l.streams[m.Stream][m.Seq].txn != m.Txn:
				f.add("%s at offset %d was never sent", m, v.Offset)
				continue
			}
			w.times[m.Stream][m.Seq]++
			visit(m, v.Offset, w.times[m.Stream][m.Seq], m.Seq < highest[m.Stream])
			highest[m.Stream] = max(highest[m.Stream], m.Seq)
		}
	}
	return w
}

// sortedStreams returns the streams in a fixed order.
func sortedStreams[V any](m map[Stream]V) []Stream {
	return slices.SortedFunc(maps.Keys(m), func(a, b Stream) int {
		if a.Producer != b.Producer {
			return int(a.Producer) - int(b.Producer)
		}
		return int(a.Partition - b.Partition)
	})
}

// CheckTransformed compares the output of consume-transform-produce with its input topic: the
// same records, exactly once, in the same order.
func CheckTransformed(input, output Log) []string {
	var f findings
	for _, partition := range slices.Sorted(maps.Keys(input)) {
		want, got := input[partition], output[partition]
		place := map[string]int{}
		for i, v := range want {
			place[string(v.Bytes)] = i
		}
		times := make([]int, len(want))
		last := -1
		for _, v := range got {
			i, known := place[string(v.Bytes)]
			switch {
			case !known:
				f.add("partition %d, output offset %d is not in the input", partition, v.Offset)
				continue
			case times[i] > 0:
				f.add("partition %d, input offset %d is duplicated at output offset %d", partition, want[i].Offset, v.Offset)
			case i < last:
				f.add("partition %d, input offset %d follows a later one at output offset %d", partition, want[i].Offset, v.Offset)
			}
			times[i]++
			last = max(last, i)
		}
		for i, n := range times {
			if n == 0 {
				f.add("partition %d, input offset %d is missing", partition, want[i].Offset)
			}
		}
	}
	return f.all()
}
