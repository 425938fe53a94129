package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/terminal"
)

const (
	testBootstrap = "KAFKA_TUNNEL_BOOTSTRAP=kafka-1.corp:9092"
	testBinding   = `VCAP_SERVICES={"connectivity":[{"name":"conn","credentials":{"clientid":"sb-x!b1|connectivity!b2","clientsecret":"s3cr3t!|",` +
		`"onpremise_proxy_host":"proxy.example.com","onpremise_socks5_proxy_port":"20004","token_service_url":"https://uaa.example.com"}}]}`
)

// runConfig runs the command under a root of its own, on a terminal.
func runConfig(environ []string, args ...string) (stdout string, err error) {
	root := &cobra.Command{Use: "kafka-tunnel", SilenceErrors: true, SilenceUsage: true}
	config.Flags(root.PersistentFlags())
	root.AddCommand(newConfigCommandFor(environ))
	var out strings.Builder
	root.SetOut(terminal.NewEscaper(&out))
	root.SetArgs(append([]string{"config"}, args...))
	err = root.Execute()
	return out.String(), err
}

func TestConfigShowsValuesAndSources(t *testing.T) {
	got, err := runConfig([]string{testBootstrap, testBinding, "KAFKA_TUNNEL_CONNECTIVITY_HOLD=12s"}, "--log-level", "debug")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(got, "\n")
	column := strings.Index(lines[0], "VALUE")
	for _, want := range [][]string{
		{"KEY", "VALUE", "SOURCE"},
		{"clusters.default.bootstrap", "kafka-1.corp:9092", "variable KAFKA_TUNNEL_BOOTSTRAP"},
		{"clusters.default.address_map", "[]", "default"},
		{"connectivity.proxy", "proxy.example.com:20004", "binding conn"},
		{"token.client_id", "sb-x!b1|connectivity!b2", "binding conn"},
		{"token.client_secret", "***", "binding conn"},
		{"limits.max_request_bytes", "100MiB", "default"},
		{"log.level", "debug", "flag --log-level"},
	} {
		found := false
		for _, line := range lines {
			if strings.HasPrefix(line, want[0]+" ") && strings.HasPrefix(line[column:], want[1]+" ") && strings.HasSuffix(line, " "+want[2]) {
				found = true
			}
		}
		if !found {
			t.Errorf("no row %q in\n%s", want, got)
		}
	}
	for _, part := range []string{"Binding conn (VCAP_SERVICES)", "https://uaa.example.com/oauth/token", "Warning: connectivity.hold 12s"} {
		if !strings.Contains(got, part) {
			t.Errorf("no %q in\n%s", part, got)
		}
	}
	if strings.Contains(got, "s3cr3t") {
		t.Errorf("the secret is shown:\n%s", got)
	}
}

func TestConfigAsJSON(t *testing.T) {
	got, err := runConfig([]string{testBootstrap, testBinding}, "--json")
	if err != nil {
		t.Fatal(err)
	}
	var view configView
	if err := json.Unmarshal([]byte(got), &view); err != nil {
		t.Fatal(err)
	}
	want := &config.Binding{
		Name: "conn", Source: "VCAP_SERVICES", Proxy: "proxy.example.com:20004",
		TokenURL: "https://uaa.example.com/oauth/token", ClientID: "sb-x!b1|connectivity!b2", ClientSecret: "***",
	}
	if *view.Binding != *want {
		t.Error(cmp.Diff(want, view.Binding))
	}
	if len(view.Values) != len(config.Keys()) || view.Failure != nil || strings.Contains(got, "s3cr3t") {
		t.Errorf("JSON is\n%s", got)
	}
}

func TestConfigShowsWhatIsWrong(t *testing.T) {
	got, err := runConfig([]string{testBootstrap, "KAFKA_TUNNEL_LISTEN=9092", "KAFKA_TUNNEL_TOKEN_CLIENT_SECRTE=s3cr3t"}, "--json")
	if _, ok := errors.AsType[*config.Error](err); !ok {
		t.Fatalf("err = %v", err)
	}
	var view configView
	if err := json.Unmarshal([]byte(got), &view); err != nil {
		t.Fatal(err)
	}
	if len(view.Problems) != 2 || view.Failure == nil || view.Failure.Code != failure.ConfigInvalid || len(view.Values) == 0 || strings.Contains(got+err.Error(), "s3cr3t") {
		t.Errorf("JSON is\n%s", got)
	}

	got, err = runConfig([]string{testBootstrap})
	if !failure.Is(err, failure.BindingMissing) || !strings.Contains(got, "kafka-1.corp:9092") {
		t.Errorf("without a binding: %v\n%s", err, got)
	}
}

func TestConfigKeepsControlCharactersFromTheTerminal(t *testing.T) {
	got, err := runConfig([]string{testBootstrap, strings.Replace(testBinding, `"conn"`, `"co\u001b[31m\tnn"`, 1)})
	if err != nil || strings.ContainsAny(got, "\x1b\t") {
		t.Errorf("%v\n%q", err, got)
	}
}
