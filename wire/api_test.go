package wire

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestAPIs: APIs lists every key of kmsg with its versions, and Lookup finds each by
// key and by name.
func TestAPIs(t *testing.T) {
	all := APIs()
	if len(all) != int(kmsg.MaxKey)+1 {
		t.Errorf("%d APIs, kmsg has %d", len(all), kmsg.MaxKey+1)
	}
	versions := 0
	for _, api := range all {
		request := kmsg.RequestForKey(api.Key)
		if request.MaxVersion() != api.MaxVersion || !strings.EqualFold(kmsg.NameForKey(api.Key), api.Name) && api.Name != "AlterPartitionReassignments" {
			t.Errorf("%+v; kmsg has %s up to version %d", api, kmsg.NameForKey(api.Key), request.MaxVersion())
		}
		versions += int(api.MaxVersion) + 1
		if found, err := Lookup(strings.ToLower(api.Name)); err != nil || found != api {
			t.Errorf("%+v %v", found, err)
		}
	}
	for key, want := range map[string]API{
		"3":  {3, "Metadata", 13, 9},
		"17": {17, "SaslHandshake", 1, -1},
		"45": {45, "AlterPartitionReassignments", 1, 0},
	} {
		if api, err := Lookup(key); err != nil || api != want {
			t.Errorf("%+v %v, want %+v", api, err, want)
		}
	}
	for _, nothing := range []string{"", "95", "-1", "Meta"} {
		if api, err := Lookup(nothing); err == nil {
			t.Errorf("Lookup(%q) = %+v", nothing, api)
		}
	}
	t.Logf("%d APIs, %d versions", len(all), versions)
}

// TestNew: New returns nil for keys and versions that do not exist.
func TestNew(t *testing.T) {
	for _, tt := range []struct{ key, version int16 }{{95, 0}, {-1, 0}, {3, -1}, {3, 14}} {
		if m, err := New(Request, tt.key, tt.version); err == nil {
			t.Errorf("%+v: %+v", tt, m)
		}
	}
}

// TestErrors: Errors lists all of Kafka's error codes, and LookupError finds each by
// code and by name.
func TestErrors(t *testing.T) {
	all := Errors()
	retriable := 0
	for i, e := range all {
		if want := int16(i - 1); e.Code != want {
			t.Fatalf("code %d at the index of %d", e.Code, want)
		}
		if found, err := LookupError(strings.ToLower(e.Name)); err != nil || found != e {
			t.Errorf("%+v %v", found, err)
		}
		if e.Retriable {
			retriable++
		}
	}
	if len(all) < 138 || retriable < 30 {
		t.Errorf("%d codes, %d of them retriable", len(all), retriable)
	}
	if e, err := LookupError("6"); err != nil || e.Name != "NOT_LEADER_OR_FOLLOWER" || !e.Retriable {
		t.Errorf("%+v %v", e, err)
	}
	if e := ErrorOf(9999); e.Name != "UNKNOWN" || e.Code != 9999 {
		t.Errorf("%+v", e)
	}
	if _, err := LookupError("UNKNOWN"); err == nil {
		t.Error("UNKNOWN is not the name of an error")
	}
	t.Logf("%d codes, %d retriable", len(all), retriable)
}
