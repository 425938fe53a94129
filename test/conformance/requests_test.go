//go:build conformance

package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafka-tunnel/kafka-tunnel/internal/inspect"
	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

var requestsOut = flag.String("requests.out", "", "write a broker's responses to each request to this file")

// TestRequests sends the template of every API in every version that a broker supports, and
// decodes the responses: docs/protocol-answers.md lists them.
func TestRequests(t *testing.T) {
	const release = "4.3.1"
	c := ownCluster(t, realkafka.Options{Release: releaseOf(t, release), Brokers: 1})
	// The responses of coordinators that do not exist yet are random.
	until(t, time.Minute, "the broker coordinates", func(ctx context.Context) error {
		return c.Ask(func(client *kgo.Client) error {
			admin := kadm.NewClient(client)
			_, err := admin.ListGroups(ctx)
			return errors.Join(admin.FindGroupCoordinators(ctx, "a group").Error(), admin.FindTxnCoordinators(ctx, "an id").Error(), err)
		})
	})
	server := inspect.Server{Address: c.Brokers[0].Internal}
	conn, err := server.Dial(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var text strings.Builder
	fmt.Fprintf(&text, `<!-- Written by a run: go test -tags conformance ./test/conformance -run TestRequests -requests.out FILE. Do not edit. -->

# Responses of a broker

The errors, by name, in the responses to `+"`kafka-tunnel request API:VERSION`"+` with the unchanged output of `+"`--template`"+`, for every API and version that a broker of Apache Kafka %s supports. "none" means that the response has no error; every response could be decoded.

| API | versions | errors |
|---|---|---|
`, release)
	versions := 0
	for _, api := range wire.APIs() {
		r, ok := conn.Versions(api.Key)
		if !ok {
			continue
		}
		var rows []answered
		for version := r.Min; version <= min(r.Max, api.MaxVersion); version++ {
			rows = addAnswer(rows, version, answerTo(t, server, api, version))
			versions++
		}
		for _, row := range rows {
			fmt.Fprintf(&text, "| %s | %s | %s |\n", api.Name, row.versions(), row.said)
		}
	}
	fmt.Fprintf(&text, "\n%d requests.\n", versions)
	if *requestsOut != "" {
		if err := os.WriteFile(*requestsOut, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile("../../docs/protocol-answers.md")
	if err != nil {
		t.Fatal(err)
	}
	if got := text.String(); got != string(want) {
		t.Logf("docs/protocol-answers.md differs from the responses of the broker:\n%s", got)
		if *compatFull { // some responses depend on what the broker has done so far
			t.Fail()
		}
	}
}

// answered are versions of an API with the same result.
type answered struct {
	from, to int16
	said     string
}

func (a answered) versions() string {
	if a.from == a.to {
		return fmt.Sprint(a.from)
	}
	return fmt.Sprintf("%d-%d", a.from, a.to)
}

func addAnswer(rows []answered, version int16, said string) []answered {
	if last := len(rows) - 1; last >= 0 && rows[last].said == said {
		rows[last].to = version
		return rows
	}
	return append(rows, answered{version, version, said})
}

// answerTo sends one template, on a connection of its own: brokers close some. It repeats a
// request whose coordinator still loads its log.
func answerTo(t *testing.T, server inspect.Server, api wire.API, version int16) (said string) {
	t.Helper()
	until(t, time.Minute, "an answer", func(context.Context) error {
		if said = ask(t, server, api, version); strings.Contains(said, "COORDINATOR_LOAD_IN_PROGRESS") {
			return errors.New(said)
		}
		return nil
	})
	return said
}

func ask(t *testing.T, server inspect.Server, api wire.API, version int16) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(deadline(t), 30*time.Second)
	defer cancel()
	name := fmt.Sprintf("%s:%d", api.Name, version)
	body, err := inspect.Template(name)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := server.Dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answer, err := inspect.Request{API: name, Body: body}.Do(ctx, conn)
	switch {
	case errors.Is(err, inspect.ErrNoAnswer):
		return "no response with acks 0"
	case errors.Is(err, io.EOF):
		return "the broker closes the connection"
	case err != nil:
		t.Errorf("%s: %v", name, err)
		return err.Error()
	}
	var tree any
	if err := json.Unmarshal(answer, &tree); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	errorNames(tree, found)
	if len(found) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(found)), ", ")
}

// errorNames collects the names of the errors in a response.
func errorNames(tree any, found map[string]bool) {
	switch v := tree.(type) {
	case []any:
		for _, one := range v {
			errorNames(one, found)
		}
	case map[string]any:
		if _, ok := v["retriable"]; ok {
			found[v["name"].(string)] = true
			return
		}
		for _, one := range v {
			errorNames(one, found)
		}
	}
}
