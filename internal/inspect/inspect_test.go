package inspect

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"github.com/kafka-tunnel/kafka-tunnel/internal/terminal"
	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func broker(t *testing.T, opts ...kfake.Opt) string {
	t.Helper()
	c, err := kfake.NewCluster(append(opts, kfake.NumBrokers(2))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c.ListenAddrs()[0]
}

// TestDo: requests to any broker, to one by its id and to the controller, and the errors of
// wrong ones.
func TestDo(t *testing.T) {
	address := broker(t)
	for _, tt := range []struct {
		name string
		node string
		r    Request
		want string // in the answer, or in the error
		err  bool
	}{
		{"newest version", "", Request{API: "Metadata"}, `"clusterId":`, false},
		{"by key", "", Request{API: "3:0"}, `"brokers":[`, false},
		{"a node", "1", Request{API: "FindCoordinator:0", Body: []byte(`{"key": "g"}`)}, `"errorCode":0`, false},
		{"the controller", "controller", Request{API: "CreateTopics", Body: []byte(`{"topics": [{"name": "t", "numPartitions": 1, "replicationFactor": 1}]}`)}, `"errorCode":0`, false},
		{"no such node", "7", Request{API: "Metadata"}, "no node 7; the nodes are [0 1]", true},
		{"no API", "", Request{API: "Metdata"}, `unknown API "Metdata"; `, true},
		{"no version", "", Request{API: "Metadata:99"}, `Metadata has versions 0 to 13, not "99"`, true},
		{"a version that the broker does not have", "", Request{API: "Fetch:0"}, "the broker supports Fetch in versions 4 to 18, not 0", true},
		{"an API that the broker does not have", "", Request{API: "LeaderAndIsr"}, "the broker does not have LeaderAndIsr", true},
		{"a field that is not there", "", Request{API: "Metadata:1", Body: []byte(`{"topic": []}`)}, "Metadata request, version 1: topic: no such field; version 1 has topics", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var answer []byte
			conn, err := Server{Address: address, Node: tt.node}.Dial(t.Context())
			if err == nil {
				defer conn.Close()
				answer, err = tt.r.Do(t.Context(), conn)
			}
			text := string(answer)
			if err != nil {
				text = err.Error()
			}
			if (err != nil) != tt.err || !strings.Contains(text, tt.want) {
				t.Errorf("%s, want %s", text, tt.want)
			}
		})
	}
}

// TestServerOptions: a missing or wrong option is an error before a connection is opened.
func TestServerOptions(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	password := file("password", "sesame\n")
	for _, tt := range []struct {
		name, want string
		s          Server
	}{
		{"no password", "SASL requires --sasl-password-file", Server{Mechanism: "PLAIN"}},
		{"no such mechanism", `SASL mechanism "GSSAPI" is not one of PLAIN, `, Server{Mechanism: "GSSAPI", PasswordFile: password}},
		{"no such file", "no such file", Server{Mechanism: "PLAIN", PasswordFile: filepath.Join(dir, "none")}},
		{"no certificate", "password contains no certificate in PEM form (-----BEGIN CERTIFICATE-----)", Server{TLS: true, CAFile: password}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := tt.s.Dial(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"} {
		o, err := Server{Mechanism: mechanism, Username: "alice", PasswordFile: password}.options()
		if err != nil || o.SASL.Name() != mechanism {
			t.Errorf("%s: %v", mechanism, err)
		}
	}
	address := broker(t, kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "alice", "sesame"))
	conn, err := Server{Address: address, Node: "1", Mechanism: "SCRAM-SHA-512", Username: "alice", PasswordFile: password}.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// TestNobody: an address without a server is distinguished from a broker that refuses.
func TestNobody(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	address := c.ListenAddrs()[0]
	c.Close()
	if _, err := (Server{Address: address}).Dial(t.Context()); !errors.Is(err, wire.ErrConnect) {
		t.Errorf("%v", err)
	}
}

// TestPrint: JSON in lines, and YAML that means the same.
func TestPrint(t *testing.T) {
	const value = `{"name":"orders","id":9007199254740993,"none":null,"yes":"true","n":"1","empty":[],"nothing":{},"list":[{"a":1},{"a":2}],"text":"a: b # c","multi":"x\ny"}`
	var b bytes.Buffer
	if err := Print(&b, "yaml", []byte(value)); err != nil {
		t.Fatal(err)
	}
	const want = `name: orders
id: 9007199254740993
none: null
yes: "true"
n: "1"
empty: []
nothing: {}
list:
  - a: 1
  - a: 2
text: "a: b # c"
multi: "x\ny"
`
	if b.String() != want {
		t.Errorf("%s", b.String())
	}
	b.Reset()
	if err := Print(&b, "json", []byte(`{"a":[1]}`)); err != nil || b.String() != "{\n  \"a\": [\n    1\n  ]\n}\n" {
		t.Errorf("%s %v", b.String(), err)
	}
	if err := Print(&b, "xml", nil); err == nil || !strings.Contains(err.Error(), "json, yaml") {
		t.Errorf("%v", err)
	}
}

// TestTables: each API and each error has its line.
func TestTables(t *testing.T) {
	var b bytes.Buffer
	if err := APIs(&b, nil); err != nil || strings.Count(b.String(), "\n") != len(wire.APIs())+1 {
		t.Errorf("%v\n%s", err, b.String())
	}
	for _, want := range []string{"0    Produce ", "addresses rewritten from version 10; capped to 13", "17   SaslHandshake                          0-1       none ", "capped to the versions that can be rewritten"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	b.Reset()
	if err := Errors(&b, wire.Errors()); err != nil || strings.Count(b.String(), "\n") != len(wire.Errors())+1 {
		t.Errorf("%v\n%s", err, b.String())
	}
	b.Reset()
	api, err := wire.Lookup("LeaveGroup")
	if err != nil {
		t.Fatal(err)
	}
	if err := Fields(&b, api, wire.Request); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"LeaveGroup request, versions 0 to 5", "\nmemberId           string    0-2\n", "\nmembers[]          []struct  3+\n", "\n  groupInstanceId  string    3+        3+\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	b.Reset()
	if api, err = wire.Lookup("Fetch"); err != nil {
		t.Fatal(err)
	}
	if err := Fields(&b, api, wire.Request); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nclusterId               string    12+       12+   0\n", "\nreplicaState            struct    15+             1\n", "\n  replicaId             int32     15+\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if text, err := Template("Heartbeat:0"); err != nil || string(text) != `{"groupId":"","generationId":0,"memberId":""}` {
		t.Errorf("%s %v", text, err)
	}
}

// TestPrintTable: arrays of structs are tables, with what they are part of.
func TestPrintTable(t *testing.T) {
	const value = `{"throttleTimeMs":0,"clusterId":"c","brokers":[{"nodeId":1,"host":"a","rack":null},{"nodeId":20,"host":"bb","rack":"r"}],` +
		`"topics":[{"errorCode":0,"name":"orders","partitions":[{"errorCode":5,"error":{"code":5,"name":"LEADER_NOT_AVAILABLE","retriable":true,"message":"m"},"partitionIndex":0,"replicas":[1,2]},{"errorCode":0,"partitionIndex":1,"replicas":[]}]},` +
		`{"errorCode":0,"name":"","partitions":[]}],"one":{"a":"x\ty","inner":[{"a":2}]},"none":[]}`
	const want = `throttleTimeMs: 0
clusterId: c
none: []

brokers
nodeId  host  rack
1       a     -
20      bb    r

topics
errorCode  name    partitions
0          orders
0          ""      []

topics.partitions
name    errorCode  error                 partitionIndex  replicas
orders  5          LEADER_NOT_AVAILABLE  0               1,2
orders  0                                1               []

one
a
x\ty

one.inner
a     a'
x\ty  2
`
	var b bytes.Buffer
	if err := Print(terminal.NewEscaper(&b), "table", []byte(value)); err != nil || b.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, b.String(), want)
	}
	b.Reset()
	if err := Print(&b, "table", []byte(`{}`)); err != nil || b.String() != "" {
		t.Errorf("%v %q", err, b.String())
	}
}
