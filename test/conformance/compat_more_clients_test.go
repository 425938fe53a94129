//go:build conformance

package conformance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

// kafkaStreams is the client that runs the scenarios of Kafka Streams, and no others.
const kafkaStreams = "Kafka Streams"

// suits reports whether a scenario is meant for a client.
func (s compatScenario) suits(c compatClient) bool {
	return slices.Contains(s.task, "do=streams") == (c.name == kafkaStreams)
}

// moreCompatClients are those of the full run with special requirements: a compiler, a package
// of the system.
func moreCompatClients() []compatClient {
	return []compatClient{
		{"Java", "0.10.2.2", "Java", false, "", func(t *testing.T) ([]string, []string) {
			return javaProgram(t, "OldClient", "0.10.2.2", artifacts(t, "org.apache.kafka:kafka-clients:0.10.2.2", "org.slf4j:slf4j-simple:1.7.36"), "old").Java("OldClient"), nil
		}},
		{"Kafka tools", "4.3.1", "Java", false, "", func(t *testing.T) ([]string, []string) {
			return javaProgram(t, "Tools", "4.3.1", releaseJars(t, releaseOf(t, "4.3.1")), "tools").Java("Tools"), nil
		}},
		{kafkaStreams, "4.3.1", "Java", false, "", func(t *testing.T) ([]string, []string) {
			return javaProgram(t, "Copies", "4.3.1", artifacts(t, "org.apache.kafka:kafka-streams:4.3.1", "org.slf4j:slf4j-simple:1.7.36"), "streams").Java("Copies"), nil
		}},
		{"node-rdkafka", "3.6.1", "librdkafka", false, "", perhaps("node-rdkafka 3.6.1", nodeRdkafka)},
		{"kcat", "1.7.1", "librdkafka", false, "", perhaps("kcat 1.7.1", kcat)},
		{"rskafka", "0.6.0", "rskafka", false, "", perhaps("rskafka 0.6.0", rskafka)},
	}
}

// notHere are the clients that are not available on this machine, with the reason.
var notHere = map[string]string{}

// perhaps prepares a client whose requirements a machine may not meet: then there is no
// command.
func perhaps(title string, prepare func(context.Context) (command, env []string, err error)) func(t *testing.T) ([]string, []string) {
	return func(t *testing.T) ([]string, []string) {
		t.Helper()
		command, env, err := prepare(deadline(t))
		if err != nil {
			t.Logf("%s is not available: %v", title, err)
			notHere[title] = err.Error()
			return nil, nil
		}
		return command, env
	}
}

// prepareCompat installs clients and returns those that are available, with their commands.
func prepareCompat(t *testing.T, clients []compatClient) (here []compatClient, commands [][2][]string) {
	t.Helper()
	for _, c := range clients {
		if command, env := c.prepare(t); command != nil {
			here = append(here, c)
			commands = append(commands, [2][]string{command, env})
		}
	}
	return here, commands
}

// notInstalled lists the clients that are not in the table because they are not available.
func notInstalled() string {
	if len(notHere) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\nNot installed where this ran:\n\n")
	for _, title := range slices.Sorted(maps.Keys(notHere)) {
		reason, _, _ := strings.Cut(notHere[title], "\n")
		fmt.Fprintf(&b, "- %s: %s\n", title, reason)
	}
	return b.String()
}

// nodeRdkafka compiles librdkafka, which it includes, in some minutes.
func nodeRdkafka(ctx context.Context) (command, env []string, err error) {
	program, err := filepath.Abs("clients/node/client.js")
	if err != nil {
		return nil, nil, err
	}
	// One job: with more of them, the build starts before it is configured.
	modules, err := npm(ctx, "clients/node/rdkafka", []string{"JOBS=1", "npm_config_jobs=1"})
	if err != nil {
		return nil, nil, err
	}
	return []string{"node", program, "rdkafka"}, []string{"NODE_PATH=" + modules}, nil
}

// kcat is a package of Debian.
func kcat(ctx context.Context) (command, env []string, err error) {
	const version = "Version 1.7.1 "
	if _, err := exec.LookPath("kcat"); err != nil {
		if os.Geteuid() != 0 {
			return nil, nil, errors.New("kcat is not installed, and only root may install Debian's package")
		}
		if err := tries(ctx, "", []string{"DEBIAN_FRONTEND=noninteractive"}, "apt-get", "install", "-y", "--no-install-recommends", "kcat"); err != nil {
			return nil, nil, err
		}
	}
	out, err := exec.CommandContext(ctx, "kcat", "-V").CombinedOutput()
	if err != nil {
		return nil, nil, fmt.Errorf("kcat -V: %w", err)
	}
	if !strings.Contains(string(out), version) {
		return nil, nil, errors.New("kcat has another version")
	}
	program, err := filepath.Abs("clients/kcat/client.py")
	if err != nil {
		return nil, nil, err
	}
	return []string{python3(), program}, []string{"PYTHONPATH=" + filepath.Join(filepath.Dir(program), "../python"), "PYTHONUTF8=1"}, nil
}

// rskafka is built with Rust.
func rskafka(ctx context.Context) (command, env []string, err error) {
	const source = "clients/rust"
	inputs := []string{source + "/Cargo.toml", source + "/Cargo.lock", source + "/src/main.rs"}
	dir, err := realkafka.Cached("rust-client", inputs, func(into string) error {
		target, err := os.MkdirTemp("", "kafka-tunnel-cargo-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(target)
		return tries(ctx, "", []string{"CARGO_TARGET_DIR=" + target}, "cargo", "install", "--locked", "--debug", "--path", source, "--root", into)
	})
	if err != nil {
		return nil, nil, err
	}
	return []string{filepath.Join(dir, "bin", "client")}, nil, nil
}

// tries runs a command. Its error begins with one line that is the reason for the failure.
func tries(ctx context.Context, dir string, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s does not work: %w\n%s", name, args[0], err, tail(out))
	}
	return nil
}

// TestClientThatIsNotHere: an unavailable client is left out, and listed with the first line of
// the reason.
func TestClientThatIsNotHere(t *testing.T) {
	defer func(before map[string]string) { notHere = before }(notHere)
	notHere = map[string]string{}
	lacking := compatClient{name: "lacking", version: "1", prepare: perhaps("lacking 1", func(context.Context) ([]string, []string, error) {
		return nil, nil, errors.New("no compiler\nin a long log")
	})}
	present := compatClient{name: "present", prepare: func(*testing.T) ([]string, []string) { return []string{"true"}, nil }}
	here, commands := prepareCompat(t, []compatClient{lacking, present})
	if len(here) != 1 || here[0].name != "present" || len(commands) != 1 || commands[0][0][0] != "true" {
		t.Errorf("%v %v", here, commands)
	}
	if list := notInstalled(); !strings.HasSuffix(list, "\n\n- lacking 1: no compiler\n") {
		t.Errorf("%q", list)
	}
}

// TestStreamsByItself: only Kafka Streams runs its scenarios, and it runs no others.
func TestStreamsByItself(t *testing.T) {
	own := 0
	for _, s := range compatScenarios() {
		if streams := s.suits(compatClient{name: kafkaStreams}); streams == s.suits(compatClient{name: "Java"}) {
			t.Errorf("%s is for both, or for none", s.name)
		} else if streams {
			own++
		}
	}
	if own != 2 {
		t.Errorf("%d scenarios of Kafka Streams", own)
	}
}
