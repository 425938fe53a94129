package wire

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// TestTemplate: each template is a message that can be parsed.
func TestTemplate(t *testing.T) {
	var c Codec
	eachVersion(t, func(t *testing.T, d Direction, api API, version int16) {
		t.Helper()
		text, err := c.Template(d, api.Key, version)
		if err != nil {
			t.Fatal(err)
		}
		m, err := c.ParseJSON(d, api.Key, version, text)
		if err != nil {
			t.Fatalf("%s %v %d: %v\n%s", api.Name, d, version, err, text)
		}
		again, err := c.AppendJSON(nil, m)
		if err != nil || !bytes.Equal(again, text) {
			t.Errorf("%s %v %d: %v\n%s\n%s", api.Name, d, version, err, text, again)
		}
	})
	text, err := c.Template(Request, 2, 1)
	if want := `{"replicaId":-1,"topics":[{"name":"","partitions":[{"partitionIndex":0,"timestamp":0}]}]}`; err != nil || string(text) != want {
		t.Errorf("%s %v", text, err)
	}
}

// TestDescribe: fields have their versions, and nested fields follow their parent.
func TestDescribe(t *testing.T) {
	var c Codec
	all, err := c.Describe(Request, 1)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, d := range all {
		if strings.HasPrefix(d.Path, "topics") || d.Path == "replicaId" || d.Path == "replicaState" || d.Path == "clusterId" {
			fmt.Fprintf(&text, "%s|%s|%s|%s|%s\n", d.Path, d.Type, d.Versions, d.Nullable, d.Tag)
		}
	}
	want := `clusterId|string|12+|12+|0
replicaState|struct|15+||1
replicaId|int32|0-14||
topics[]|[]struct|0+||
topics[].topicId|uuid|13+||
topics[].topic|string|0-12||
topics[].partitions[]|[]struct|0+||
topics[].partitions[].partition|int32|0+||
topics[].partitions[].currentLeaderEpoch|int32|9+||
topics[].partitions[].fetchOffset|int64|0+||
topics[].partitions[].lastFetchedEpoch|int32|12+||
topics[].partitions[].logStartOffset|int64|5+||
topics[].partitions[].partitionMaxBytes|int32|0+||
topics[].partitions[].replicaDirectoryId|uuid|17+||0
topics[].partitions[].highWatermark|int64|18+||1
`
	lines := func(s string) map[string]bool {
		set := map[string]bool{}
		for line := range strings.Lines(s) {
			set[line] = true
		}
		return set
	}
	got := lines(text.String())
	for line := range lines(want) {
		if !got[line] {
			t.Errorf("no %s", line)
		}
	}
	if len(got) != len(lines(want)) {
		t.Errorf("%s", text.String())
	}
	for i, d := range all {
		if parent, _, nested := strings.Cut(d.Path, "[]."); nested && i > 0 && !strings.HasPrefix(all[i-1].Path, parent+"[]") {
			t.Errorf("%s follows %s", d.Path, all[i-1].Path)
		}
	}
}
