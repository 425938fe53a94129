//go:build !notools

package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

func accessList(t *testing.T, environ []string, args ...string) (string, error) {
	t.Helper()
	cmd := newAccessListCommandFor(environ)
	var out, log bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&log)
	cmd.SetArgs(args)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// TestAccessList: one exposed bootstrap address is enough to find the entries of all others.
func TestAccessList(t *testing.T) {
	land, err := lab.Start(t.Context(), lab.Options{Brokers: 3, VirtualHost: "vkafka-*.cloud.invalid", LocationID: "PLANT1"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = land.Close() }()
	environ := append(land.Env(), "KAFKA_TUNNEL_BOOTSTRAP=vkafka-1.cloud.invalid:9092")
	for _, missing := range []string{"2", "3"} {
		if _, err := land.Faults().Add(faults.Fault{Kind: faults.AccessRemoved, Target: "vkafka-" + missing + ".cloud.invalid:9092"}); err != nil {
			t.Fatal(err)
		}
	}
	text, err := accessList(t, environ)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 4 || strings.Join(strings.Fields(lines[3]), " ") != "PLANT1 TCP vkafka-3.cloud.invalid 9092 kafka-3.onprem.invalid 9092 broker 3 of default" {
		t.Errorf("the table:\n%s", text)
	}
	text, err = accessList(t, environ, "--json")
	if err != nil {
		t.Fatal(err)
	}
	var list []map[string]string
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) != 3 || list[1]["virtualHost"] != "vkafka-2.cloud.invalid" || list[1]["localHost"] != "kafka-2.onprem.invalid" {
		t.Errorf("%v: %s", err, text)
	}
	if _, err := accessList(t, environ, "--cluster", "other"); err == nil || !strings.Contains(err.Error(), "configured: default") {
		t.Errorf("another cluster: %v", err)
	}
}

// TestAccessListWithoutAWay: the error has the failing hop and what to do.
func TestAccessListWithoutAWay(t *testing.T) {
	land, err := lab.Start(t.Context(), lab.Options{Brokers: 1, Faults: []faults.Fault{{Kind: faults.ConnectorAway}}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = land.Close() }()
	_, err = accessList(t, land.Env(), "--max", "2s")
	if err == nil || exitCode(err) != 1 || !strings.Contains(err.Error(), "connector_away") || !strings.Contains(err.Error(), "Cloud Connectors") {
		t.Errorf("exit %d: %v", exitCode(err), err)
	}
}
