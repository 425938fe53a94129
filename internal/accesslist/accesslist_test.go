package accesslist

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
	"github.com/kafka-tunnel/kafka-tunnel/internal/terminal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clusters: two clusters behind three Cloud Connectors, one broker in both of them.
func clusters() []admin.ClusterStatus {
	return []admin.ClusterStatus{
		{
			Name: "default", LocationID: "BERLIN", Bootstrap: []string{"lb.corp:9092", "VKAFKA-1:9092"},
			Nodes: []admin.NodeStatus{
				{ID: 1, Advertised: "kafka-1.corp:9093", Virtual: "vkafka-1:9092"},
				{ID: 2, Advertised: "kafka-2.corp:9093", Virtual: "vkafka-2:9092", LocationID: "PARIS"},
			},
		},
		{
			Name: "other", Bootstrap: []string{"k.corp:9092"},
			Nodes: []admin.NodeStatus{
				{ID: 7, Advertised: "k.corp:9092", Virtual: "k.corp:9092"},
				{ID: 8, Advertised: "evil\x1bJ:1", Virtual: "k8.corp:9092"},
				{ID: 9, Advertised: "k.corp:9092", Virtual: "k.corp:9092"},
			},
		},
	}
}

func TestTable(t *testing.T) {
	var got bytes.Buffer
	if err := Table(terminal.NewEscaper(&got), Of(clusters())); err != nil {
		t.Fatal(err)
	}
	const want = `LOCATION ID  PROTOCOL  VIRTUAL HOST  VIRTUAL PORT  INTERNAL HOST  INTERNAL PORT  FOR
-            TCP       k.corp        9092          k.corp         9092           broker 7 of other, broker 9 of other
-            TCP       k8.corp       9092          evil\x1bJ      1              broker 8 of other
BERLIN       TCP       lb.corp       9092          (unchanged)    -              bootstrap of default
BERLIN       TCP       vkafka-1      9092          kafka-1.corp   9093           broker 1 of default
PARIS        TCP       vkafka-2      9092          kafka-2.corp   9093           broker 2 of default
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestJSON(t *testing.T) {
	var got bytes.Buffer
	if err := JSON(&got, Of(clusters()[:1])); err != nil {
		t.Fatal(err)
	}
	var list []map[string]string
	if err := json.Unmarshal(got.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	want := []map[string]string{
		{"virtualHost": "vkafka-1", "virtualPort": "9092", "localHost": "kafka-1.corp", "localPort": "9093", "protocol": "TCP", "backendType": "nonSAPsys", "authenticationMode": "NONE", "description": "Kafka: broker 1 of default"},
		{"virtualHost": "vkafka-2", "virtualPort": "9092", "localHost": "kafka-2.corp", "localPort": "9093", "protocol": "TCP", "backendType": "nonSAPsys", "authenticationMode": "NONE", "description": "Kafka: broker 2 of default"},
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Error(diff)
	}
	got.Reset()
	if err := JSON(&got, nil); err != nil || got.String() != "[]\n" {
		t.Errorf("%q %v", &got, err)
	}
}
