//go:build conformance

package conformance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

// A tally has the results of one party's records.
type tally struct {
	produced                int // acknowledged
	lost, twice, disordered int // in the topic
	consumed                int // different records
	missed, again           int // by the members of the group
	wrong                   []string
}

// count compares a party with its topic, without the tunnel. Its processes have exited. Members
// must have received what their group has committed.
func count(ctx context.Context, c *realkafka.Cluster, p *party, committed map[int32]int64) (tally, error) {
	var a tally
	stored := map[int32][]int{} // partition to the numbers of its records
	last := map[int32]int{}
	seen := map[int]int{}
	err := readBack(ctx, c, p.topic, func(r *kgo.Record) {
		i, err := strconv.Atoi(strings.TrimPrefix(string(r.Key), "key-"))
		if _, value := compatRecord(compatScenario{}, i); err != nil || !bytes.Equal(value, r.Value) {
			a.wrong = append(a.wrong, fmt.Sprintf("the record at offset %d of partition %d, key %q, is not one of those produced", r.Offset, r.Partition, r.Key))
		}
		if r.Offset != int64(len(stored[r.Partition])) {
			a.wrong = append(a.wrong, fmt.Sprintf("offset %d of partition %d follows on %d records", r.Offset, r.Partition, len(stored[r.Partition])))
		}
		if before, ok := last[r.Partition]; ok && i < before {
			a.disordered++
		}
		last[r.Partition] = i
		stored[r.Partition] = append(stored[r.Partition], i)
		seen[i]++
	})
	if err != nil {
		return a, err
	}
	if p.finished != nil {
		a.produced = p.finished.said.Count
	}
	for i := range a.produced {
		if seen[i] == 0 {
			a.lost++
		}
	}
	for _, n := range seen {
		a.twice += n - 1
	}
	a.consumption(p, stored, committed)
	return a, nil
}

// consumption compares the output of the members with the stored records.
func (a *tally) consumption(p *party, stored map[int32][]int, committed map[int32]int64) {
	all := map[int32][]int{} // how often each offset was consumed
	for number, records := range stored {
		all[number] = make([]int, len(records))
	}
	for _, k := range p.left {
		for name, said := range k.said.Partitions {
			number, _ := strconv.Atoi(name)
			records := stored[int32(number)]
			sum := sha256.New()
			for _, run := range said.Runs {
				for offset := run[0]; offset <= run[1] && offset < int64(len(records)); offset++ {
					addRecord(sum, records[offset])
					all[int32(number)][offset]++
				}
			}
			if got := hex.EncodeToString(sum.Sum(nil)); got != said.SHA256 {
				a.wrong = append(a.wrong, fmt.Sprintf("%s has received records in partition %s that differ from the stored ones", k.p.Name(), name))
			}
		}
	}
	for number, times := range all {
		for offset, n := range times {
			switch {
			case n > 0:
				a.consumed++
				a.again += n - 1
			case int64(offset) < committed[number]:
				a.missed++
			}
		}
	}
}

// addRecord adds record i to the sum of a partition, as defined in clients/README.md.
func addRecord(sum hash.Hash, i int) {
	key, value := compatRecord(compatScenario{}, i)
	for _, part := range [][]byte{key, value} {
		n := len(part)
		_, _ = sum.Write([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		_, _ = sum.Write(part)
	}
}

func (a tally) String() string {
	return fmt.Sprintf("%d produced, %d lost, %d twice, %d out of order; %d consumed, %d missed, %d again", a.produced, a.lost, a.twice, a.disordered, a.consumed, a.missed, a.again)
}

// trouble describes what is wrong; empty if nothing is.
func (a tally) trouble(exact bool) string {
	var all []string
	add := func(n int, what string) {
		if n > 0 {
			all = append(all, fmt.Sprintf("%d %s", n, what))
		}
	}
	add(a.lost, "acknowledged records lost")
	if exact {
		add(a.twice, "records twice")
		add(a.disordered, "records out of order")
	}
	add(a.missed, "committed records that no member received")
	if len(a.wrong) > 0 {
		all = append(all, fmt.Sprintf("%s (%d problems)", a.wrong[0], len(a.wrong)))
	}
	return strings.Join(all, ", ")
}
