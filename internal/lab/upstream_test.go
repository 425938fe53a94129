package lab

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseUpstream(t *testing.T) {
	tests := []struct {
		text string
		want []UpstreamSpec
		err  string // part of the message
	}{
		{"h:1", []UpstreamSpec{{"h:1", "h:1"}}, ""},
		{"v:9092=127.0.0.1:1", []UpstreamSpec{{"v:9092", "127.0.0.1:1"}}, ""},
		{"v:9092=127.0.0.1:1, w:9093=[::1]:2", []UpstreamSpec{{"v:9092", "127.0.0.1:1"}, {"w:9093", "[::1]:2"}}, ""},
		{"", nil, "an address is missing"},
		{"a:1,", nil, "an address is missing"},
		{"a", nil, "missing port in address"},
		{"a:", nil, "the port is not a number from 1 to 65535"},
		{"a:0", nil, "the port is not a number"},
		{"a:65536", nil, "the port is not a number"},
		{":1", nil, "the host is not a host name"},
		{"http://a:1", nil, "too many colons"},
		{"a:1=b", nil, "missing port in address"},
		{"a:1=b:2=c:3", nil, "too many colons"},
		{"[::1]:1", nil, "does not support IPv6 addresses"},
		{"a:1,A:1", nil, "duplicate address"},
		{"a:1=x:1,a:1=x:2", nil, "duplicate address"},
	}
	for _, tt := range tests {
		got, err := ParseUpstream(tt.text)
		switch {
		case tt.err == "" && err != nil, tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%q: %v, want %q", tt.text, err, tt.err)
		case !slices.Equal(got, tt.want):
			t.Errorf("%q: %v", tt.text, got)
		}
	}
}

// TestParseUpstreamAnything: what is taken can be written and read again, and a
// landscape can be planned with it.
func TestParseUpstreamAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`([a-z0-9.\-\[\]:=,/ ]{0,40})|(([a-z]{1,5}:[0-9]{1,5}=)?[a-z]{1,5}:[0-9]{1,5},?){1,3}`).Draw(t, "text")
		specs, err := ParseUpstream(text)
		if err != nil {
			return
		}
		parts := make([]string, len(specs))
		for i, s := range specs {
			parts[i] = s.String()
		}
		again, err := ParseUpstream(strings.Join(parts, ","))
		if err != nil || !slices.Equal(again, specs) {
			t.Fatalf("%q: %v, %v", parts, again, err)
		}
		if _, err := newPlan(Options{Upstream: specs}); err != nil {
			t.Fatalf("%q: %v", parts, err)
		}
	})
}

func TestContradictions(t *testing.T) {
	up := []UpstreamSpec{{"a:1", "a:1"}}
	for name, opts := range map[string]Options{
		"too many":               {Brokers: 201},
		"negative":               {Brokers: -1},
		"unknown advertise":      {Advertise: "x"},
		"upstream and brokers":   {Upstream: up, Brokers: 3},
		"upstream and advertise": {Upstream: up, Advertise: AdvertiseVirtual},
		"upstream and data dir":  {Upstream: up, DataDir: "x"},
		"upstream twice":         {Upstream: append(up, UpstreamSpec{"A:1", "b:1"})},
		"upstream malformed":     {Upstream: []UpstreamSpec{{"a", "b:1"}}},
		"pattern without star":   {VirtualHost: "kafka.cloud"},
		"pattern with port":      {VirtualHost: "kafka-*.cloud:9092"},
		"pattern and localhost":  {VirtualHost: "kafka-*.cloud", Advertise: AdvertiseLocalhost},
	} {
		if l, err := Start(t.Context(), opts); err == nil {
			l.Close()
			t.Errorf("%s was taken", name)
		}
	}
}
