package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// patience is how long a record may take: longer than any time for which all brokers are
// away.
const patience = 2 * time.Minute

// A keeper works until its standard input ends.
type keeper interface {
	// keepProducing writes the records of these numbers and returns when all of them
	// are acknowledged.
	keepProducing(t task, numbers iter.Seq[int]) error
	// keepConsuming consumes and commits until ctx is done.
	keepConsuming(ctx context.Context, t task, k *kept) error
}

// bootstraps are the addresses to begin with.
func (t task) bootstraps() []string { return strings.Split(t["bootstrap"], ",") }

// keep does keep-producing and keep-consuming.
func keep(c client, t task) error {
	k, ok := c.(keeper)
	if !ok {
		return errUnsupported
	}
	ended, end := context.WithCancel(context.Background())
	defer end()
	go func() { // ends with the process at the latest
		_, _ = io.Copy(io.Discard, os.Stdin)
		end()
	}()
	var said any
	var err error
	switch t["do"] {
	case "keep-producing":
		n := 0
		err = k.keepProducing(t, numbers(ended, t, &n))
		said = result{Count: n}
	case "keep-consuming":
		all := &kept{partitions: map[int32]*keptPartition{}}
		err = k.keepConsuming(ended, t, all)
		said = all.out()
	default:
		return errUnsupported
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(said)
}

// numbers yields 0, 1, 2, ... with a pause in between until ctx is done; n is how many.
func numbers(ctx context.Context, t task, n *int) iter.Seq[int] {
	pause, err := strconv.Atoi(t["pause"])
	if err != nil {
		pause = 20
	}
	return func(yield func(int) bool) {
		tick := time.NewTicker(time.Duration(pause) * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			i := *n
			*n++
			if !yield(i) {
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	}
}

// A firstError is the first one that a library reports for a record.
type firstError struct {
	mu  sync.Mutex
	err error
}

func (f *firstError) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

func (f *firstError) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// kept is what a consumer has seen.
type kept struct {
	mu         sync.Mutex
	all        result
	backwards  int
	partitions map[int32]*keptPartition
}

// A keptPartition lists the offsets that came, as runs from first to last.
type keptPartition struct{ runs [][2]int64 }

func (k *kept) add(number int32, offset int64, key, value []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all.add(number, key, value)
	p := k.partitions[number]
	if p == nil {
		p = &keptPartition{}
		k.partitions[number] = p
	}
	if n := len(p.runs); n > 0 && p.runs[n-1][1]+1 == offset {
		p.runs[n-1][1] = offset
		return
	} else if n > 0 && p.runs[n-1][1] >= offset {
		k.backwards++
	}
	p.runs = append(p.runs, [2]int64{offset, offset})
}

func (k *kept) out() any {
	type partition struct {
		Count int        `json:"count"`
		Sum   string     `json:"sha256"`
		Runs  [][2]int64 `json:"runs"`
	}
	k.all.sum()
	partitions := map[string]partition{}
	for number, p := range k.partitions {
		name := strconv.Itoa(int(number))
		partitions[name] = partition{k.all.Partitions[name].Count, k.all.Partitions[name].Sum, p.runs}
	}
	return map[string]any{"count": k.all.Count, "backwards": k.backwards, "partitions": partitions}
}

// complain says what went wrong in a task that goes on, and waits a moment.
func complain(ctx context.Context, err error) {
	fmt.Fprintln(os.Stderr, err)
	select {
	case <-time.After(200 * time.Millisecond):
	case <-ctx.Done():
	}
}
