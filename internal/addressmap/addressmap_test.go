package addressmap

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func text(from, to string) Text { return Text{From: from, To: to} }

func TestTranslate(t *testing.T) {
	loc := "PLANT2"
	tests := []struct {
		name  string
		rules []Text
		node  int32
		host  string
		port  uint16
		want  string // "" : no rule matches
	}{
		{"exact", []Text{text("kafka-1.corp:9092", "v1:19092")}, 1, "kafka-1.corp", 9092, "v1:19092"},
		{"case is ignored", []Text{text("Kafka-1.CORP:9092", "v1:19092")}, 1, "KAFKA-1.corp", 9092, "v1:19092"},
		{"another port does not match", []Text{text("kafka-1.corp:9092", "v1:19092")}, 1, "kafka-1.corp", 9093, ""},
		{"no port takes any and keeps it", []Text{text("kafka-1.corp", "v1")}, 1, "kafka-1.corp", 9093, "v1:9093"},
		{"no port in from, one in to", []Text{text("kafka-1.corp", "v1:1")}, 1, "kafka-1.corp", 9093, "v1:1"},
		{"star reused", []Text{text("kafka-*.corp:9092", "v*.x:19092")}, 1, "kafka-10.plant.corp", 9092, "v10.plant.x:19092"},
		{"star needs a character", []Text{text("kafka-*.corp", "v*")}, 1, "kafka-.corp", 9092, ""},
		{"star not reused", []Text{text("*", "gateway:9000")}, 1, "anything", 9092, "gateway:9000"},
		{"range by offset", []Text{text("b.corp:9092-9099", "v:1092-1099")}, 1, "b.corp", 9095, "v:1095"},
		{"range keeps the port", []Text{text("b.corp:9092-9099", "v")}, 1, "b.corp", 9095, "v:9095"},
		{"outside the range", []Text{text("b.corp:9092-9099", "v:1092-1099")}, 1, "b.corp", 9100, ""},
		{"node", []Text{text("node:2", "v2:9092")}, 2, "whatever", 1, "v2:9092"},
		{"another node", []Text{text("node:2", "v2:9092")}, 3, "whatever", 1, ""},
		{"first match wins", []Text{text("node:2", "a:1"), text("*", "b:2")}, 2, "x", 9, "a:1"},
		{"IPv6 literal", []Text{text("[::1]:9092", "v:1")}, 1, "::1", 9092, "v:1"},
		{"IPv6 literal, any port", []Text{text("[::1]", "v:1")}, 1, "::1", 7, "v:1"},
		{"location", []Text{{From: "a", To: "b", LocationID: &loc}}, 1, "a", 9, "b:9@PLANT2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rules, err := Parse(tt.rules)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if a, ok := rules.Translate(tt.node, tt.host, tt.port); ok {
				got = a.Host + ":" + itoa(a.Port)
				if a.LocationID != nil {
					got += "@" + *a.LocationID
				}
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func itoa(n uint16) string {
	s := ""
	for ; n > 0; n /= 10 {
		s = string(rune('0'+n%10)) + s
	}
	return s
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ from, to, says string }{
		{"", "v", "the host is missing"},
		{":9092", "v", "the host is missing"},
		{"a:", "v", "the port is missing"},
		{"a:0", "v", "not a port"},
		{"a:70000", "v", "not a port"},
		{"a:9-8", "v", "is below its start"},
		{"a*b*c", "v", "more than one *"},
		{"a", "v*", "requires a * in from"},
		{"a:1-5", "v:1-4", "differ in size"},
		{"a", "v:1-4", "differ in size"},
		{"a:1-5", "v:9", "a port range of the same size"},
		{"node:x", "v:9", "not a node id"},
		{"node:-1", "v:9", "not a node id"},
		{"node:1", "v*:9", "one address"},
		{"node:1", "v:1-9", "one address"},
		{"[::1", "v", "square brackets"},
		{"[::1]9", "v", "after the bracket"},
		{"[::1]:", "v", "the port is missing"},
		{"a b", "v", "not a host name"},
		{"a", "", "the host is missing"},
	}
	for _, tt := range tests {
		_, err := Parse([]Text{text("ok", "ok"), text(tt.from, tt.to)})
		if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "rule 2") {
			t.Errorf("{%q, %q}: error %v does not name rule 2 and say %q", tt.from, tt.to, err, tt.says)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("kafka-*.corp:9092-9099", "v*:1092-1099", "kafka-1.corp", uint16(9093))
	f.Add("node:1", "v:9", "x", uint16(1))
	f.Add("[::1]:9", "v", "::1", uint16(9))
	f.Fuzz(func(t *testing.T, from, to, host string, port uint16) {
		rules, err := Parse([]Text{text(from, to)})
		if err != nil {
			return
		}
		if a, ok := rules.Translate(1, host, port); ok && a.Host == "" {
			t.Errorf("{%q, %q} translates %q to no host", from, to, host)
		}
	})
}

func TestBackwards(t *testing.T) {
	loc := "PLANT2"
	tests := []struct {
		name  string
		rules []Text
		host  string
		port  uint16
		want  string // "": the rules do not say
	}{
		{"no rules", nil, "v1", 9092, ""},
		{"exact", []Text{text("kafka-1.corp:9092", "v1:19092")}, "V1", 19092, "kafka-1.corp"},
		{"another port", []Text{text("kafka-1.corp:9092", "v1:19092")}, "v1", 19093, ""},
		{"star", []Text{text("kafka-*.corp", "v*.x")}, "v10.x", 9092, "kafka-10.corp"},
		{"star and ports", []Text{text("kafka-*.corp:9092", "v*:19092")}, "v1", 19092, "kafka-1.corp"},
		{"star is dropped", []Text{text("kafka-*.corp:9092", "gateway:19092")}, "gateway", 19092, ""},
		{"range", []Text{text("b.corp:9092-9099", "v:1092-1099")}, "v", 1095, "b.corp"},
		{"range that keeps the port", []Text{text("b.corp:9092-9099", "v")}, "v", 9095, "b.corp"},
		{"outside of it", []Text{text("b.corp:9092-9099", "v")}, "v", 9100, ""},
		{"any port to one", []Text{text("b.corp", "v:1")}, "v", 1, "b.corp"},
		{"a node", []Text{text("node:2", "v:9092")}, "v", 9092, ""},
		{"a node and a host", []Text{text("b.corp", "v:9092"), text("node:2", "v:9092")}, "v", 9092, ""},
		{"two hosts", []Text{text("a.corp", "v:1"), text("b.corp", "v:1")}, "v", 1, ""},
		{"the same host twice", []Text{text("a.corp:1", "v:9"), text("a.corp:2", "v:9")}, "v", 9, "a.corp"},
		{"an earlier rule leads elsewhere", []Text{text("a.corp:9", "w:9"), text("*.corp:9", "*.v:9")}, "a.v", 9, ""},
		{"another Location ID", []Text{{From: "a.corp", To: "v:1", LocationID: &loc}}, "v", 1, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rules, err := Parse(tt.rules)
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := rules.Backwards(tt.host, tt.port, ""); got != tt.want || ok != (got != "") {
				t.Errorf("got %q %v, want %q", got, ok, tt.want)
			}
		})
	}
	rules, err := Parse([]Text{{From: "a.corp", To: "v:1", LocationID: &loc}})
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := rules.Backwards("v", 1, loc); got != "a.corp" || !ok {
		t.Errorf("with the rule's Location ID: %q %v", got, ok)
	}
}

// TestBackwardsIsUndone: what Backwards says leads forwards to where it was asked for.
func TestBackwardsIsUndone(t *testing.T) {
	hosts := rapid.SampledFrom([]string{"a", "b", "a.x", "b.x", "ab.x", "*", "*.x", "a*", "a*.x", "b*x"})
	ports := rapid.SampledFrom([]string{"", ":1", ":2", ":1-3", ":2-4"})
	rapid.Check(t, func(t *rapid.T) {
		var rules Rules
		for range rapid.IntRange(1, 4).Draw(t, "rules") {
			one, err := Parse([]Text{text(hosts.Draw(t, "from")+ports.Draw(t, "from port"), hosts.Draw(t, "to")+ports.Draw(t, "to port"))})
			if err == nil {
				rules = append(rules, one...)
			}
		}
		virtual := rapid.SampledFrom([]string{"a", "b", "a.x", "b.x", "abc.x", "cx"}).Draw(t, "virtual")
		port := rapid.Uint16Range(1, 5).Draw(t, "port")
		name, ok := rules.Backwards(virtual, port, "")
		if !ok {
			return
		}
		for from := range uint16(6) {
			if to, ok := rules.Translate(-1, name, from); ok && to.Host == virtual && to.Port == port {
				return
			}
		}
		t.Fatalf("%s:%d comes from %q, but %q leads elsewhere", virtual, port, name, name)
	})
}
