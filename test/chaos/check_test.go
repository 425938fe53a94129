package chaos

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// A bench is a ledger of one producer and the log that it should have led to.
type bench struct {
	ledger *Ledger
	marks  []Mark
	log    Log
}

// newBench sends records to two partitions, all acknowledged; txns says which
// transaction each of ten belongs to (nil: none).
func newBench(txns []uint64) *bench {
	b := &bench{ledger: NewLedger(), log: Log{}}
	for i := range 10 {
		var txn uint64
		if txns != nil {
			txn = txns[i]
		}
		m := b.ledger.Send(Stream{Producer: 1, Partition: int32(i % 2)}, txn)
		b.ledger.Settle(m, nil)
		b.marks = append(b.marks, m)
		b.put(m.Partition, m.Encode([]byte("padding")))
	}
	return b
}

func (b *bench) put(partition int32, value []byte) {
	b.log[partition] = append(b.log[partition], Value{Offset: int64(len(b.log[partition])), Bytes: value})
}

// expect fails unless there is exactly one problem with these words, or none.
func expect(t *testing.T, problems []string, words string) {
	t.Helper()
	if words == "" && len(problems) == 0 {
		return
	}
	if words == "" || len(problems) != 1 || !strings.Contains(problems[0], words) {
		t.Errorf("problems %q, want %q", problems, words)
	}
}

// The defects of a log.
func lose(b *bench)   { b.log[0] = slices.Delete(b.log[0], 1, 2) }
func double(b *bench) { b.put(0, b.log[0][4].Bytes) }
func doubleOld(b *bench) { // comes after later ones, too
	b.put(0, b.log[0][1].Bytes)
}
func reorder(b *bench) {
	b.log[1][1].Bytes, b.log[1][2].Bytes = b.log[1][2].Bytes, b.log[1][1].Bytes
}
func corrupt(b *bench)    { b.log[0][2].Bytes[20] ^= 1 }
func foreign(b *bench)    { b.put(0, []byte("hello")) }
func misplace(b *bench)   { b.put(1, b.log[0][2].Bytes) }
func invent(b *bench)     { b.put(0, Mark{Stream: Stream{1, 0}, Seq: 99}.Encode(nil)) }
func unknownOne(b *bench) { b.put(0, Mark{Stream: Stream{7, 0}}.Encode(nil)) }

func TestCheckLog(t *testing.T) {
	for _, tt := range []struct {
		name                         string
		defect                       func(*bench)
		idempotent, acks1, acks0     string
		lostOf, duplicatesOf, readOf int // for acks0
	}{
		{"good", func(*bench) {}, "", "", "", 0, 0, 10},
		{"lost", lose, "was acknowledged but is lost", "was acknowledged but is lost", "", 1, 0, 9},
		{"duplicated", double, "is a duplicate", "", "", 0, 1, 11},
		{"duplicated late", doubleOld, "is a duplicate", "", "", 0, 1, 11},
		{"reordered", reorder, "follows a later one", "", "", 0, 0, 10},
		{"invented", invent, "was never sent", "was never sent", "was never sent", 0, 0, 11},
		{"of nobody", unknownOne, "was never sent", "was never sent", "was never sent", 0, 0, 11},
		{"foreign", foreign, "is corrupted", "is corrupted", "is corrupted", 0, 0, 11},
		{"misplaced", misplace, "is in partition 1", "is in partition 1", "is in partition 1", 0, 0, 11},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(nil)
			tt.defect(b)
			problems, _ := CheckLog(rulesIdempotent(), b.ledger, b.log)
			expect(t, problems, tt.idempotent)
			problems, _ = CheckLog(rulesAcks1(), b.ledger, b.log)
			expect(t, problems, tt.acks1)
			problems, c := CheckLog(rulesAcks0(), b.ledger, b.log)
			expect(t, problems, tt.acks0)
			if c.Lost != tt.lostOf || c.Duplicates != tt.duplicatesOf || c.Read != tt.readOf || c.Sent != 10 || c.Acked != 10 {
				t.Errorf("counts %+v", c)
			}
		})
	}
}

// TestSpoiltRecord: one flipped bit is found, and the record counts as lost too.
func TestSpoiltRecord(t *testing.T) {
	b := newBench(nil)
	corrupt(b)
	problems, _ := CheckLog(rulesAcks0(), b.ledger, b.log)
	expect(t, problems, "checksum")
	problems, _ = CheckLog(rulesIdempotent(), b.ledger, b.log)
	if len(problems) != 2 || !strings.Contains(problems[0], "checksum") || !strings.Contains(problems[1], "lost") {
		t.Errorf("%q", problems)
	}
}

// TestRefusedRecord: one that the client has given up may be there or not.
func TestRefusedRecord(t *testing.T) {
	for _, there := range []bool{true, false} {
		b := newBench(nil)
		b.ledger.Settle(b.marks[2], errors.New("refused"))
		if !there {
			lose(b)
		}
		problems, c := CheckLog(rulesIdempotent(), b.ledger, b.log)
		expect(t, problems, "")
		if c.Failed != 1 || c.Acked != 9 || c.Lost != 0 {
			t.Errorf("counts %+v", c)
		}
	}
}

// Transactions: 1 is committed, 2 is aborted, the end of 3 was not confirmed.
// Records by turns are in partitions 0 and 1.
func newTxnBench() *bench {
	b := newBench([]uint64{1, 1, 1, 1, 2, 2, 2, 2, 3, 3})
	b.ledger.End(1, committed)
	b.ledger.End(2, aborted)
	b.ledger.End(3, unknown)
	for p := range b.log {
		b.log[p] = slices.Delete(b.log[p], 2, 4) // what was aborted is not seen
	}
	return b
}

func TestCheckCommitted(t *testing.T) {
	for _, tt := range []struct {
		name   string
		defect func(*bench)
		want   string
	}{
		{"good", func(*bench) {}, ""},
		{"not confirmed, nothing there", func(b *bench) {
			for p := range b.log {
				b.log[p] = b.log[p][:2]
			}
		}, ""},
		{"not confirmed, in part", func(b *bench) { b.log[1] = b.log[1][:2] }, "is incomplete: 1 of 2"},
		{"lost", lose, "was committed but is lost"},
		{"duplicated", doubleOld, "is a duplicate"},
		{"reordered", reorder, "follows a later one"},
		{"aborted one", func(b *bench) { b.put(0, b.marks[4].Encode(nil)) }, "was aborted"},
		{"invented", invent, "was never sent"},
		{"of another transaction", func(b *bench) {
			m := b.marks[0]
			m.Txn = 3
			b.log[0][0].Bytes = m.Encode(nil)
		}, "was never sent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newTxnBench()
			tt.defect(b)
			problems, c := CheckCommitted(b.ledger, b.log)
			if tt.name == "of another transaction" {
				if len(problems) != 2 { // invented, and the right one is lost
					t.Errorf("%q", problems)
				}
				return
			}
			expect(t, problems, tt.want)
			if c.Committed != 1 || c.Aborted != 1 || c.Unknown != 1 {
				t.Errorf("counts %+v", c)
			}
		})
	}
}

func TestCheckTransformed(t *testing.T) {
	for _, tt := range []struct {
		name   string
		defect func(*bench)
		want   string
	}{
		{"good", func(*bench) {}, ""},
		{"lost", lose, "is missing"},
		{"all of a partition lost", func(b *bench) { delete(b.log, 1); b.log[1] = nil }, "and"},
		{"duplicated", doubleOld, "is duplicated"},
		{"reordered", reorder, "follows a later one"},
		{"invented", invent, "is not in the input"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			input, b := newBench(nil), newBench(nil)
			tt.defect(b)
			problems := CheckTransformed(input.log, b.log)
			if tt.name == "all of a partition lost" {
				if len(problems) != 5 {
					t.Errorf("%q", problems)
				}
				return
			}
			expect(t, problems, tt.want)
		})
	}
	input, b := newBench(nil), newBench(nil)
	corrupt(b)
	if problems := CheckTransformed(input.log, b.log); len(problems) != 2 {
		t.Errorf("corrupted: %q", problems)
	}
}

func TestManyProblemsAreCounted(t *testing.T) {
	l := NewLedger()
	for range 1000 {
		l.Settle(l.Send(Stream{1, 0}, 0), nil)
	}
	problems, c := CheckLog(rulesIdempotent(), l, Log{})
	if c.Lost != 1000 || len(problems) != maxProblems+1 || problems[maxProblems] != "and 980 more" {
		t.Errorf("%d lost, %q", c.Lost, problems[len(problems)-1])
	}
}
