//go:build conformance

package conformance

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

const tools = "org.apache.kafka.tools."

// java runs one of Kafka's tools and returns its standard output.
func java(t *testing.T, jars realkafka.Classpath, stdin []byte, main string, args ...string) []byte {
	t.Helper()
	cmd := tool(deadline(t), jars, main, args...)
	if stdin != nil {
		cmd.Stdin = bytes.NewReader(stdin)
	}
	start := time.Now()
	out := runTool(t, cmd)
	t.Logf("%s took %v", main[strings.LastIndex(main, ".")+1:], time.Since(start).Round(10*time.Millisecond))
	return out
}

// createTopic creates a topic with Kafka's own tool.
func createTopic(t *testing.T, jars realkafka.Classpath, bootstrap, topic string) {
	t.Helper()
	java(t, jars, nil, tools+"TopicCommand", "--bootstrap-server", bootstrap, "--create", "--topic", topic,
		"--partitions", "3", "--replication-factor", "3")
}

// TestConsole: Java's client through the console tools, keys and values as text.
func TestConsole(t *testing.T) {
	c, jars := cluster(t), classpath(t)
	l := startLab(t, "--upstream", upstream(c))
	topic, group := name(t, "topic"), name(t, "group")
	createTopic(t, jars, l.bootstrap, topic)

	var lines bytes.Buffer
	var produced digest
	for i := range records {
		key, value := fmt.Sprintf("key-%d", i), strings.Repeat(strconv.Itoa(i), 1+i%20)
		fmt.Fprintf(&lines, "%s\t%s\n", key, value)
		produced.add([]byte(key), []byte(value))
	}
	java(t, jars, lines.Bytes(), tools+"ConsoleProducer", "--bootstrap-server", l.bootstrap, "--topic", topic,
		"--reader-property", "parse.key=true")

	out := java(t, jars, nil, tools+"consumer.ConsoleConsumer", "--bootstrap-server", l.bootstrap, "--topic", topic,
		"--group", group, "--from-beginning", "--max-messages", strconv.Itoa(records),
		"--formatter-property", "print.key=true")
	var consumed digest
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		consumed.add([]byte(key), []byte(value))
	}
	sameRecords(t, records, produced, consumed, inTopic(t, c, topic))
}

// TestPerformanceTools: Java's client at full speed, without and with transactions. The values
// are the numbers from 0, so their digest is known.
func TestPerformanceTools(t *testing.T) {
	c, jars := cluster(t), classpath(t)
	l := startLab(t, "--upstream", upstream(c))
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"plain", nil},
		{"transactions", []string{"--transactional-id", "performance", "--transaction-duration-ms", "500"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := strconv.Itoa(records)
			topic := strings.ReplaceAll(name(t, "topic"), "/", "-")
			createTopic(t, jars, l.bootstrap, topic)
			var expected digest
			for i := range records {
				expected.add(nil, []byte(strconv.Itoa(i)))
			}
			out := java(t, jars, nil, tools+"ProducerPerformance", append([]string{
				"--bootstrap-server", l.bootstrap, "--topic", topic,
				"--num-records", n, "--payload-monotonic", "--throughput", "-1",
			}, tt.args...)...)
			t.Logf("producer: %s", lastLine(out))

			out = java(t, jars, nil, tools+"ConsumerPerformance", "--bootstrap-server", l.bootstrap, "--topic", topic,
				"--group", topic+"-group", "--num-records", n, "--timeout", "60000",
				"--command-property", "isolation.level=read_committed")
			t.Logf("consumer: %s", lastLine(out))
			// start, end, MB, MB/s, records, records/s, ...
			fields := strings.Split(lastLine(out), ",")
			if len(fields) < 5 || strings.TrimSpace(fields[4]) != n {
				t.Errorf("ConsumerPerformance read %q, want %s records", fields, n)
			}
			// The tool does not show contents: it is compared with the digest of the topic.
			sameRecords(t, records, expected, expected, inTopic(t, c, topic))
		})
	}
}

func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}

// TestAdminTools: the tools of operators, which request information about the whole cluster. No
// output may contain a real name.
func TestAdminTools(t *testing.T) {
	c, jars := cluster(t), classpath(t)
	l := startLab(t, "--upstream", upstream(c))
	topic, group := name(t, "topic"), name(t, "group")
	createTopic(t, jars, l.bootstrap, topic)
	java(t, jars, []byte("one\ntwo\nthree\n"), tools+"ConsoleProducer", "--bootstrap-server", l.bootstrap, "--topic", topic)
	java(t, jars, nil, tools+"consumer.ConsoleConsumer", "--bootstrap-server", l.bootstrap, "--topic", topic,
		"--group", group, "--from-beginning", "--max-messages", "3")

	for _, tt := range []struct {
		name, main string
		args       []string
		want       string
	}{
		{"list topics", tools + "TopicCommand", []string{"--list"}, topic},
		{"describe topic", tools + "TopicCommand", []string{"--describe", "--topic", topic}, "PartitionCount: 3"},
		{"list groups", tools + "consumer.group.ConsumerGroupCommand", []string{"--list"}, group},
		{"describe group", tools + "consumer.group.ConsumerGroupCommand", []string{"--describe", "--group", group}, topic},
		{"offsets", tools + "GetOffsetShell", []string{"--topic", topic}, topic + ":0:"},
		{"versions", tools + "BrokerApiVersionsCommand", nil, "Metadata(3)"},
		{"delete topic", tools + "TopicCommand", []string{"--delete", "--topic", topic}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := string(java(t, jars, nil, tt.main, append([]string{"--bootstrap-server", l.bootstrap}, tt.args...)...))
			if !strings.Contains(out, tt.want) {
				t.Errorf("no %q in\n%s", tt.want, out)
			}
			if strings.Contains(out, realDomain) {
				t.Errorf("a real name in\n%s", out)
			}
		})
	}
}
