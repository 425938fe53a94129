// Command clients runs one task of the compatibility table with a client library in Go.
// See ../README.md.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"maps"
	"os"
	"strconv"
	"strings"
	"time"
)

// errUnsupported says that the library cannot do it.
var errUnsupported = errors.New("not supported by the client")

// errNotFenced says that a producer went on whose transactional id another one had taken.
var errNotFenced = errors.New("the zombie was not fenced")

// A task is what is asked for.
type task map[string]string

// made is the topic that an admin client makes.
func (t task) made() string { return t["topic"] + "-made" }

func (t task) count() int { return int(t.int64("count")) }

func (t task) int64(word string) int64 { n, _ := strconv.ParseInt(t[word], 10, 64); return n }

// idle keeps silent in the middle of a task for as many seconds as asked for.
func (t task) idle(ctx context.Context) {
	if t["idle"] == "" {
		return
	}
	select {
	case <-time.After(time.Duration(t.int64("idle")) * time.Second):
	case <-ctx.Done():
	}
}

// A client does tasks. One that it cannot do is errUnsupported. Consumers add what they
// see to the result; admin clients count there.
type client interface {
	do(ctx context.Context, t task, r *result) error
}

// A record is record number i.
type record struct {
	key, value []byte
	number     string
}

var mixed = []int{0, 1, 100, 1000, 10_000, 100_000, 900_000}

func make1(t task, i int, prefix string) record {
	n := 4 + (i*31)%197
	if t["sizes"] == "mixed" {
		n = mixed[i%7]
	}
	value := bytes.Repeat([]byte{byte(i % 251)}, n)
	if n >= 4 {
		binary.BigEndian.PutUint32(value[n-4:], uint32(i))
	}
	return record{[]byte(prefix + strconv.Itoa(i)), value, strconv.Itoa(i)}
}

// A result is what a consumer has seen.
type result struct {
	Count      int                   `json:"count"`
	Partitions map[string]*partition `json:"partitions,omitempty"`
}

type partition struct {
	Count int    `json:"count"`
	Sum   string `json:"sha256"`
	hash  hash.Hash
}

func (r *result) add(number int32, key, value []byte) {
	if r.Partitions == nil {
		r.Partitions = map[string]*partition{}
	}
	name := strconv.Itoa(int(number))
	p := r.Partitions[name]
	if p == nil {
		p = &partition{hash: sha256.New()}
		r.Partitions[name] = p
	}
	for _, part := range [][]byte{key, value} {
		_ = binary.Write(p.hash, binary.BigEndian, int32(len(part)))
		p.hash.Write(part)
	}
	p.Count++
	r.Count++
}

// sum ends the hashes.
func (r *result) sum() {
	for _, p := range r.Partitions {
		p.Sum = hex.EncodeToString(p.hash.Sum(nil))
	}
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		if errors.Is(err, errUnsupported) {
			os.Exit(3)
		}
		os.Exit(1)
	}
}

// more are the clients that want a C compiler: built with the tag confluent.
var more = map[string]client{}

func run() error {
	clients := map[string]client{"franz-go": franz{}, "sarama": samsa{}, "kafka-go": segment{}}
	maps.Copy(clients, more)
	c := clients[os.Args[1]]
	t := task{}
	for _, word := range os.Args[2:] {
		key, value, _ := strings.Cut(word, "=")
		t[key] = value
	}
	if strings.HasPrefix(t["do"], "keep-") {
		return keep(c, t)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var r result
	if err := c.do(ctx, t, &r); err != nil {
		return err
	}
	if r.Count == 0 {
		r.Count = t.count()
	}
	r.sum()
	return json.NewEncoder(os.Stdout).Encode(r)
}
