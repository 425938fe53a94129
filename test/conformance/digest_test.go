//go:build conformance

package conformance

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
)

// A digest is a count of records and a sum over their contents that does not
// depend on their order: the first eight bytes of the SHA-256 of each record,
// added up modulo 2^64. A record is its key's length (int32, big-endian, -1 for
// none), its key and its value. kafkajs/client.js computes the same.
type digest struct {
	Count int
	sum   uint64
}

func (d *digest) add(key, value []byte) {
	length := int32(-1)
	if key != nil {
		length = int32(len(key))
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(length))
	sum := sha256.Sum256(append(append(b, key...), value...))
	d.sum += binary.BigEndian.Uint64(sum[:])
	d.Count++
}

// String returns the digest as test output shows it.
func (d digest) String() string { return fmt.Sprintf("%d records, sum %016x", d.Count, d.sum) }

// parseDigest reads the last line of a client's output:
// {"count": N, "sum": "16 hex digits"}.
func parseDigest(output string) (digest, error) {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	var line struct {
		Count int
		Sum   string
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line); err != nil {
		return digest{}, fmt.Errorf("no digest in %q: %w", lines[len(lines)-1], err)
	}
	d := digest{Count: line.Count}
	if _, err := fmt.Sscanf(line.Sum, "%x", &d.sum); err != nil {
		return digest{}, fmt.Errorf("no sum in %q: %w", line.Sum, err)
	}
	return d, nil
}
