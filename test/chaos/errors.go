package chaos

import (
	"context"
	"errors"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A Class is a kind of error that a client reports.
type Class string

// The classes. Other errors of Kafka are classes of their own, by name; an unknown error is a
// class by its text.
const (
	Transport   Class = "connection"  // it broke, could not be opened, or was silent for too long
	Membership  Class = "membership"  // of a group: a rebalance, or the group has forgotten the member
	Coordinator Class = "coordinator" // it is not known, or not ready
	Transaction Class = "transaction" // fenced, timed out, or can no longer be committed
	DataLoss    Class = "data loss"   // the client assumes that the log became shorter
	Protocol    Class = "protocol"    // bytes that are not a response, or not the expected one
	Replaced    Class = "replaced"    // the client was replaced by a new one, after an error of [Weather]
	GivenUp     Class = "given up"    // the same, after another error
)

// Weather returns the classes that a kind of workload may have in only one of the runs, because
// chance decides: whether a commit meets a rebalance, whether a connection breaks while a
// transaction ends. A producer has none: its records are delivered however long that takes.
func Weather(kind string) []Class {
	switch kind {
	case kindGroup:
		return []Class{Transport, Membership, Coordinator}
	case kindTransactions, kindTransform:
		return []Class{Transport, Membership, Coordinator, Transaction, Replaced}
	}
	return nil
}

// names of Kafka's errors by class.
func classOf(e *kerr.Error) Class {
	switch e {
	case kerr.RebalanceInProgress, kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.StaleMemberEpoch, kerr.FencedMemberEpoch, kerr.MemberIDRequired:
		return Membership
	case kerr.NotCoordinator, kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress:
		return Coordinator
	case kerr.InvalidTxnState, kerr.ProducerFenced, kerr.InvalidProducerEpoch, kerr.ConcurrentTransactions, kerr.OperationNotAttempted, kerr.TransactionAbortable, kerr.InvalidProducerIDMapping:
		return Transaction
	case kerr.CorruptMessage:
		return Protocol
	case kerr.RequestTimedOut, kerr.NetworkException:
		return Transport
	}
	return Class(e.Message)
}

// Classify returns the class of an error; "" if it only means that the client is being closed.
func Classify(err error) Class {
	text := err.Error()
	for _, sign := range []string{"correlation ID mismatch", "enough data", "crc", "CRC", "malformed", "unexpected message", "invalid messages size"} {
		if strings.Contains(text, sign) {
			return Protocol
		}
	}
	if e, ok := errors.AsType[*kerr.Error](err); ok {
		return classOf(e)
	}
	if _, ok := errors.AsType[*kgo.ErrDataLoss](err); ok {
		return DataLoss
	}
	_, first := errors.AsType[*kgo.ErrFirstReadEOF](err)
	_, op := errors.AsType[*net.OpError](err)
	_, syscall := errors.AsType[*os.SyscallError](err)
	switch {
	case errors.Is(err, kgo.ErrClientClosed), errors.Is(err, context.Canceled):
		return ""
	case first, op, syscall, kgo.IsRetryableBrokerErr(err), errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return Transport
	}
	return Class(text)
}

// An ErrorCount is how often a class occurred, and its first error.
type ErrorCount struct {
	Count int
	First string
}

// Errors counts errors by kind of workload and class. It is safe for concurrent
// use.
type Errors struct {
	mu sync.Mutex
	m  map[string]map[Class]ErrorCount
}

// Add counts an error, unless it only means that the client is being closed.
func (e *Errors) Add(kind, doing string, err error) {
	if class := Classify(err); class != "" {
		e.add(kind, class, doing+": "+err.Error())
	}
}

// GiveUp counts a client that could not continue.
func (e *Errors) GiveUp(kind, doing string, err error) {
	class := GivenUp
	if slices.Contains(Weather(kind), Classify(err)) {
		class = Replaced
	}
	e.add(kind, class, doing+": "+err.Error())
}

func (e *Errors) add(kind string, class Class, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.m == nil {
		e.m = map[string]map[Class]ErrorCount{}
	}
	if e.m[kind] == nil {
		e.m[kind] = map[Class]ErrorCount{}
	}
	c := e.m[kind][class]
	if c.Count == 0 {
		c.First = text
	}
	c.Count++
	e.m[kind][class] = c
}

// All returns a copy of the counts.
func (e *Errors) All() map[string]map[Class]ErrorCount {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := map[string]map[Class]ErrorCount{}
	for kind, classes := range e.m {
		all[kind] = maps.Clone(classes)
	}
	return all
}

// Compare returns the error classes, by kind of workload, that the tunnel's run has and the
// direct run of the same schedule does not have. It leaves out classes of [Weather].
func Compare(tunnel, direct map[string]map[Class]ErrorCount) []string {
	var problems []string
	for _, kind := range slices.Sorted(maps.Keys(tunnel)) {
		for _, class := range slices.Sorted(maps.Keys(tunnel[kind])) {
			if direct[kind][class].Count > 0 || slices.Contains(Weather(kind), class) {
				continue
			}
			c := tunnel[kind][class]
			problems = append(problems, kind+": "+string(class)+", which the direct run does not have: "+c.First)
		}
	}
	return problems
}
