//go:build conformance

package conformance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

// A compatClient is one published client library behind a program of clients/.
type compatClient struct {
	name, version string
	protocol      string // whose implementation of Kafka's protocol it uses
	quick         bool   // part of `make conformance`
	since         string // the first release of Kafka that it supports; empty: any
	// prepare installs it and returns the command line, to which a task is added, and the
	// environment variables that it needs.
	prepare func(t *testing.T) (command, env []string)
}

// title returns its name in the table.
func (c compatClient) title() string { return c.name + " " + c.version }

// compatClients lists all of them.
func compatClients() []compatClient { return append(libraryClients(), moreCompatClients()...) }

// libraryClients are those whose programs support most of clients/README.md.
func libraryClients() []compatClient {
	python := func(name, folder string) func(t *testing.T) ([]string, []string) {
		return func(t *testing.T) ([]string, []string) {
			return []string{python3(), absolute(t, "clients/python/client.py"), name}, []string{"PYTHONPATH=" + pythonPackages(t, "clients/python/"+folder), "PYTHONUTF8=1"}
		}
	}
	node := func(name, folder string) func(t *testing.T) ([]string, []string) {
		return func(t *testing.T) ([]string, []string) {
			return []string{"node", absolute(t, "clients/node/client.js"), name}, []string{"NODE_PATH=" + nodeModules(t, folder), "KAFKAJS_NO_PARTITIONER_WARNING=1"}
		}
	}
	golang := func(name string, tags ...string) func(t *testing.T) ([]string, []string) {
		return func(t *testing.T) ([]string, []string) { return []string{goClients(t, tags...), name}, nil }
	}
	java := func(version string) func(t *testing.T) ([]string, []string) {
		return func(t *testing.T) ([]string, []string) { return javaClient(t, version), nil }
	}
	return []compatClient{
		{"Java", "4.3.1", "Java", true, "", java("4.3.1")},
		{"Java", "3.9.1", "Java", false, "", java("3.9.1")},
		{"Java", "2.8.2", "Java", false, "", java("2.8.2")},
		{"Java", "1.1.1", "Java", false, "", java("1.1.1")},
		{"Java", "0.11.0.3", "Java", false, "", java("0.11.0.3")},
		{"confluent-kafka (Python)", "2.16.1", "librdkafka", true, "", python("confluent-kafka", "confluent")},
		{"kafka-python", "3.0.12", "kafka-python", true, "", python("kafka-python", "kafka-python")},
		{"aiokafka", "0.14.0", "aiokafka", true, "", python("aiokafka", "aiokafka")},
		{"kafkajs", "2.2.4", "kafkajs", true, "", node("kafkajs", "kafkajs")},
		{"@platformatic/kafka", "1.35.0", "platformatic", true, "3.3.2", node("platformatic", "clients/node/platformatic")},
		{"franz-go", "1.22.2", "franz-go", true, "", golang("franz-go")},
		{"sarama", "1.61.1", "sarama", true, "", golang("sarama")},
		{"segmentio/kafka-go", "0.4.51", "kafka-go", true, "", golang("kafka-go")},
		{"confluent-kafka-go", "2.15.0", "librdkafka", false, "", golang("confluent-kafka-go", "confluent")},
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// goClients builds the clients in Go, which are a separate module.
func goClients(t *testing.T, tags ...string) string {
	t.Helper()
	ctx := deadline(t)
	inputs, err := filepath.Glob("clients/go/*")
	if err != nil {
		t.Fatal(err)
	}
	cgo := "0"
	if len(tags) > 0 {
		cgo = "1"
	}
	dir, err := realkafka.Cached("go-clients"+strings.Join(tags, "-"), inputs, func(into string) error {
		cmd := exec.CommandContext(ctx, "go", "build", "-tags", strings.Join(tags, ","), "-o", filepath.Join(into, "clients"), ".")
		cmd.Dir = "clients/go"
		cmd.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build clients/go: %w\n%s", err, out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "clients")
}

// javaClient returns the client in Java, compiled against one version of Kafka's client.
func javaClient(t *testing.T, version string) []string {
	t.Helper()
	// SCRAM needs a module that the JDK lost with Java 11, and OAUTHBEARER one that is not
	// included in the client.
	jars := artifacts(t, "org.apache.kafka:kafka-clients:"+version, "org.slf4j:slf4j-simple:1.7.36",
		"javax.xml.bind:jaxb-api:2.3.1", "com.fasterxml.jackson.core:jackson-databind:2.16.2")
	folders := []string{"."}
	if strings.HasPrefix(version, "4.") {
		folders = append(folders, "share")
	}
	return javaProgram(t, "Client", version, jars, folders...).
		JavaWarm(deadline(t), "Client", "do=warm", "bootstrap=127.0.0.1:1", "topic=none", "group=none", "count=1")
}

// javaProgram compiles a program in folders of clients/java, and returns its class path.
func javaProgram(t *testing.T, main, version string, jars realkafka.Classpath, folders ...string) realkafka.Classpath {
	t.Helper()
	ctx := deadline(t)
	var sources []string
	for _, folder := range append(folders, "common") {
		found, err := filepath.Glob(filepath.Join("clients/java", folder, "*.java"))
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, found...)
	}
	dir, err := realkafka.Cached("java-"+strings.ToLower(main)+"-"+version, sources, func(into string) error {
		cmd := exec.CommandContext(ctx, "javac", append([]string{"-nowarn", "-cp", string(jars), "-d", into}, sources...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("javac of %s with %s: %w\n%s", main, version, err, out)
		}
		// An archive of classes requires them in a jar.
		if out, err := exec.CommandContext(ctx, "jar", "--create", "--file", filepath.Join(into, "program.jar"), "-C", into, ".").CombinedOutput(); err != nil {
			return fmt.Errorf("jar: %w\n%s", err, out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return jars + realkafka.Classpath(os.PathListSeparator) + realkafka.Classpath(filepath.Join(dir, "program.jar"))
}

// artifacts are jars by their Maven coordinates, with their dependencies.
func artifacts(t *testing.T, names ...string) realkafka.Classpath {
	t.Helper()
	jars, err := realkafka.Artifacts(deadline(t), names...)
	if err != nil {
		t.Fatal(err)
	}
	return jars
}
