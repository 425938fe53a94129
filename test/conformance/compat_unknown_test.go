//go:build conformance

package conformance

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// rewritten matches the rows of the table whose responses are rewritten, and their newest
// version.
var rewritten = regexp.MustCompile(`(?m)^(\t\{\d+, "(?:Produce|Fetch|Metadata|FindCoordinator|DescribeCluster|ShareFetch|ShareAcknowledge)", )(\d+)(, )`)

// olderBinary builds the tunnel with a table that is one version older for each API whose
// responses are rewritten, as if it did not support the brokers' release yet.
func olderBinary(t *testing.T) string {
	t.Helper()
	const table = "../../internal/kafka/table.go"
	source, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	older := rewritten.ReplaceAllStringFunc(string(source), func(row string) string {
		rows++
		part := rewritten.FindStringSubmatch(row)
		newest, _ := strconv.Atoi(part[2])
		return part[1] + strconv.Itoa(newest-1) + part[3]
	})
	if rows != 7 {
		t.Fatalf("%d rows of %s are rewritten, want 7", rows, table)
	}
	dir := workDir(t)
	other, overlay, binary := filepath.Join(dir, "table.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "kafka-tunnel")
	text, err := json.Marshal(map[string]map[string]string{"Replace": {absolute(t, table): other}})
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{other: []byte(older), overlay: text} {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(deadline(t), "go", "build", "-overlay", overlay, "-o", binary, "../../cmd/kafka-tunnel")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// TestAReleaseThatIsNotKnown: brokers that are newer than the tunnel work with the versions
// that it supports, as docs/new-kafka-release.md documents.
func TestAReleaseThatIsNotKnown(t *testing.T) {
	c := cluster(t)
	binary := olderBinary(t)
	l := startLabOf(t, binary, "--upstream", upstream(c))
	bed := &compatBed{release: "4.3.1", cluster: c, tunnel: l.bootstrap, direct: c.Brokers[0].Internal, log: t.Logf}
	ran := 0
	for _, client := range compatClients() {
		if !slices.Contains([]string{"Java", "franz-go", "aiokafka"}, client.name) || !client.quick {
			continue
		}
		command, env := client.prepare(t)
		for _, s := range compatScenarios() {
			if s.name != "admin" && s.name != "idempotent" && s.name != "transactions" && !strings.HasPrefix(s.name, "group") {
				continue
			}
			if v := bed.compare(deadline(t), client, [2][]string{command, env}, s, ""); !v.Same {
				t.Errorf("%s, %s: %s", client.title(), s.name, v.Why)
			} else if v.Works {
				ran++
			}
		}
	}
	if ran < 15 {
		t.Errorf("only %d scenarios worked", ran)
	}
	offered := newestOffered(t, l.bootstrap)
	names := []string{"Produce", "Fetch", "Metadata", "FindCoordinator", "DescribeCluster", "ShareFetch", "ShareAcknowledge"}
	for _, api := range kafka.APIs() {
		if slices.Contains(names, api.Name) && offered[api.Key] != api.MaxVersion-1 {
			t.Errorf("%s is offered up to version %d, want %d", api.Name, offered[api.Key], api.MaxVersion-1)
		}
	}
}

// newestOffered returns the newest offered version of each API.
func newestOffered(t *testing.T, bootstrap string) map[int16]int16 {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	response, err := kmsg.NewPtrApiVersionsRequest().RequestWith(deadline(t), client)
	if err != nil {
		t.Fatal(err)
	}
	offered := map[int16]int16{}
	for _, api := range response.ApiKeys {
		offered[api.ApiKey] = api.MaxVersion
	}
	return offered
}
