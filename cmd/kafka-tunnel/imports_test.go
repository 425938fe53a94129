package main

import (
	"os/exec"
	"strings"
	"testing"
)

// TestTheDaemonDoesNotDecode: the packages that process frames in the running tunnel link
// neither a decoder of Kafka's messages nor a decompressor, directly or indirectly.
func TestTheDaemonDoesNotDecode(t *testing.T) {
	const module = "github.com/kafka-tunnel/kafka-tunnel/"
	for _, name := range []string{"internal/session", "internal/tap", "internal/admin", "internal/tunnel"} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", module+name).Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for dependency := range strings.Lines(string(out)) {
			for _, forbidden := range []string{module + "wire", "github.com/twmb/franz-go", "github.com/klauspost/compress", "github.com/pierrec/lz4", "github.com/gopacket"} {
				if strings.HasPrefix(dependency, forbidden) {
					t.Errorf("%s imports %s", name, strings.TrimSpace(dependency))
				}
			}
		}
	}
}
