package chaos

import "sync"

// The results of a record, as its producer knows them.
type fate uint8

const (
	sent   fate = iota // no result yet
	acked              // the client reported that it was delivered
	failed             // the client reported a failure; it may have been delivered
)

// The results of a transaction.
type outcome uint8

const (
	unknown outcome = iota // the end was never confirmed
	committed
	aborted
)

// A Ledger has the records that the producers of one topic have sent, and their results. It is
// safe for concurrent use.
type Ledger struct {
	mu      sync.Mutex
	streams map[Stream][]entry
	txns    map[uint64]outcome
}

// An entry is one record; its position in the stream is its number.
type entry struct {
	fate fate
	txn  uint64
}

// NewLedger returns an empty ledger.
func NewLedger() *Ledger {
	return &Ledger{streams: map[Stream][]entry{}, txns: map[uint64]outcome{}}
}

// Send records and numbers a record of the stream that is about to be sent.
func (l *Ledger) Send(s Stream, txn uint64) Mark {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.streams[s] = append(l.streams[s], entry{txn: txn})
	return Mark{Stream: s, Seq: uint64(len(l.streams[s]) - 1), Txn: txn}
}

// Settle records the result of a record.
func (l *Ledger) Settle(m Mark, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := acked
	if err != nil {
		f = failed
	}
	l.streams[m.Stream][m.Seq].fate = f
}

// End records how a transaction ended.
func (l *Ledger) End(txn uint64, o outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.txns[txn] = o
}

// Counts returns how many records were sent, acknowledged and failed, and how many transactions
// ended with each outcome.
func (l *Ledger) Counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	var c Counts
	for _, list := range l.streams {
		for _, e := range list {
			c.Sent++
			switch e.fate {
			case acked:
				c.Acked++
			case failed:
				c.Failed++
			case sent:
				c.Unsettled++
			}
		}
	}
	for _, o := range l.txns {
		switch o {
		case committed:
			c.Committed++
		case aborted:
			c.Aborted++
		case unknown:
			c.Unknown++
		}
	}
	return c
}

// Counts are the figures of one workload.
type Counts struct {
	Sent, Acked, Failed, Unsettled int // records; those of aborted transactions may be Failed because they were not sent
	Committed, Aborted, Unknown    int // transactions
	Read                           int // records in the log
	Lost, Duplicates               int // as far as the rules allow them
	Redelivered                    int // delivered to a group again, after rebalances
}
