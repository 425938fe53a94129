//go:build conformance

package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/proc"
	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

var troubleOut = flag.String("trouble.out", "", "write what clients log during faults to this file")

// A trouble is a list of faults during which a client works.
type trouble struct {
	name    string
	faults  []faults.Fault
	patient bool // the client has the settings that docs/clients.md recommends, and must succeed
}

func troubles() []trouble {
	away := func(d time.Duration) []faults.Fault {
		return []faults.Fault{{Kind: faults.ConnectorFailover, For: faults.Duration(d)}}
	}
	notExposed := faults.Fault{Kind: faults.ConnectReply, Reply: 2}
	soon := notExposed
	soon.For = faults.Duration(15 * time.Second)
	return []trouble{
		{"away for 6 s", away(6 * time.Second), false},
		{"away for 14 s", away(14 * time.Second), false},
		{"refused", []faults.Fault{notExposed}, false},
		{"away for 25 s, recommended settings", away(25 * time.Second), true},
		{"refused for 15 s, recommended settings", []faults.Fault{soon}, true},
	}
}

// TestClientsInTrouble records what clients log and do when the tunnel holds and refuses
// them, for docs/clients.md, and requires that the settings recommended there suffice. It
// belongs to the full run.
func TestClientsInTrouble(t *testing.T) {
	if !*compatFull {
		t.Skip("part of the full run")
	}
	c := cluster(t)
	if err := newTopic(deadline(t), c, "trouble"); err != nil {
		t.Fatal(err)
	}
	var clients []compatClient
	for _, client := range compatClients() {
		if client.quick && chosenCompat(client.title(), "Kafka") {
			clients = append(clients, client)
		}
	}
	pages := make([]string, len(clients))
	t.Run("all", func(t *testing.T) {
		for i, client := range clients {
			command, env := client.prepare(t)
			t.Run(client.name, func(t *testing.T) {
				t.Parallel()
				pages[i] = inTrouble(t, c, client, command, env)
			})
		}
	})
	page := strings.Join(pages, "\n")
	t.Log("\n" + page)
	if *troubleOut != "" {
		if err := os.WriteFile(*troubleOut, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// inTrouble runs one client with all faults, in a lab of its own.
func inTrouble(t *testing.T, c *realkafka.Cluster, client compatClient, command, env []string) string {
	t.Helper()
	l := startLandscape(t, "--upstream", upstream(c))
	tunnel := startTunnel(t, l)
	var page strings.Builder
	fmt.Fprintf(&page, "### %s\n\n| fault | result | after | first lines of its log |\n|---|---|---|---|\n", client.title())
	for _, tr := range troubles() {
		passes(t, tunnel.bootstrap) // the previous faults have ended
		var ids []string
		for _, f := range tr.faults {
			ids = append(ids, l.addFault(t, f))
		}
		task := []string{"do=produce", "bootstrap=" + tunnel.bootstrap, "topic=trouble", "count=300", "acks=-1", "kafka=4.3.1"}
		if tr.patient {
			task = append(task, "patient=true")
		}
		took, out, err := runClient(deadline(t), command, env, task...)
		for _, id := range ids {
			l.remove(t, id)
		}
		result := "success"
		switch {
		case errors.Is(err, errStillTrying):
			result = "still trying"
		case err != nil:
			result = "error"
		}
		fmt.Fprintf(&page, "| %s | %s | %.1f s | %s |\n", tr.name, result, took.Seconds(), firstLines(out))
		if tr.patient && err != nil {
			t.Errorf("%s: %v\n%s", tr.name, err, tail(out))
		}
	}
	return page.String()
}

// passes waits until a client gets a response.
func passes(t *testing.T, bootstrap string) {
	t.Helper()
	until(t, time.Minute, "the tunnel is ready", func(ctx context.Context) error {
		client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.RequestRetries(0))
		if err != nil {
			return err
		}
		defer client.Close()
		return client.Ping(ctx)
	})
}

// errStillTrying is the error of a client that has neither succeeded nor failed in time.
var errStillTrying = errors.New("still trying after 75 s")

// runClient runs a client and returns how long it took and what it wrote to standard error.
func runClient(ctx context.Context, command, env []string, task ...string) (time.Duration, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 75*time.Second)
	defer cancel()
	args := append(slices.Clone(command), task...)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(clean(os.Environ()), env...)
	proc.DieWithParent(cmd)
	cmd.WaitDelay = 5 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	began := time.Now()
	err := cmd.Run()
	if ctx.Err() != nil {
		err = errStillTrying
	}
	return time.Since(began), stderr.Bytes(), err
}

var (
	numbers = regexp.MustCompile(`\d{2,}`)
	spaces  = regexp.MustCompile(`\s+`)
)

// firstLines returns the first line of each kind in a client's log, at most three.
func firstLines(out []byte) string {
	var lines []string
	kinds := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		kind := numbers.ReplaceAllString(line, "#")
		if line == "" || kinds[kind] || strings.HasPrefix(line, "at ") || strings.HasPrefix(line, "File ") || len(lines) == 3 {
			continue
		}
		kinds[kind] = true
		line = strings.ReplaceAll(spaces.ReplaceAllString(line, " "), "|", "/")
		lines = append(lines, "`"+strings.ReplaceAll(line[:min(len(line), 200)], "`", "'")+"`")
	}
	if len(lines) == 0 {
		return "nothing"
	}
	return strings.Join(lines, "<br>")
}

// addFault adds a fault and returns its id.
func (l *landscape) addFault(t *testing.T, f faults.Fault) string {
	t.Helper()
	body, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var added faults.Fault
	l.ask(t, http.MethodPost, "/faults", body, &added)
	return added.ID
}

// remove removes a fault, which may have ended already.
func (l *landscape) remove(t *testing.T, id string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(deadline(t)), http.MethodDelete, l.control+"/faults/"+id, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := web().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
}
