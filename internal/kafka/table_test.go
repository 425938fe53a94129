package kafka

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Each row agrees with kmsg. After an update of kmsg the test fails with a to-do list.
func TestTableAgreesWithKmsg(t *testing.T) {
	var todo []string
	for key := int16(0); key <= kmsg.MaxKey; key++ {
		r := kmsg.ResponseForKey(key)
		a, ok := Lookup(key)
		if !ok {
			todo = append(todo, fmt.Sprintf("add a row for key %d, %s: newest version %d, first flexible %d", key, kmsg.NameForKey(key), r.MaxVersion(), firstFlexible(r)))
			continue
		}
		if a.Key != key {
			t.Errorf("row %d has key %d", key, a.Key)
		}
		// Names are Kafka's own; kmsg spells acronyms as Go does.
		if want := kmsg.NameForKey(key); !strings.EqualFold(a.Name, want) && a.Name != "AlterPartitionReassignments" {
			todo = append(todo, fmt.Sprintf("key %d is called %s, not %s", key, want, a.Name))
		}
		if want := r.MaxVersion(); a.MaxVersion != want {
			what := "raise MaxVersion"
			if a.Rewritten() {
				what = "read the new layout, teach it to the rewriter, then raise MaxVersion"
			}
			todo = append(todo, fmt.Sprintf("%s: kmsg knows version %d, the table %d: %s", a.Name, want, a.MaxVersion, what))
		}
		if want := firstFlexible(r); a.FirstFlexible != want {
			todo = append(todo, fmt.Sprintf("%s: first flexible version is %d, not %d", a.Name, want, a.FirstFlexible))
		}
		if q := firstFlexible(kmsg.RequestForKey(key)); q != firstFlexible(r) {
			todo = append(todo, fmt.Sprintf("%s: requests are flexible from %d, responses from %d: Flexible cannot say that", a.Name, q, firstFlexible(r)))
		}
	}
	if len(APIs()) != kmsg.MaxKey+1 {
		todo = append(todo, fmt.Sprintf("the table has %d rows, kmsg %d keys", len(APIs()), kmsg.MaxKey+1))
	}
	if todo != nil {
		t.Errorf("to do:\n- %s", strings.Join(todo, "\n- "))
	}
}

func firstFlexible(m interface {
	SetVersion(int16)
	MaxVersion() int16
	IsFlexible() bool
}) int16 {
	for v := int16(0); v <= m.MaxVersion(); v++ {
		if m.SetVersion(v); m.IsFlexible() {
			return v
		}
	}
	return -1
}

// The versions that are served of ApiVersions and the seven APIs with addresses. The
// list changes with the relay.
func TestServedVersions(t *testing.T) {
	got := map[string]int16{}
	for _, a := range APIs() {
		if a.Rewritten() {
			got[a.Name] = a.MaxVersion
		}
	}
	want := map[string]int16{
		"Produce": 13, "Fetch": 18, "Metadata": 13, "FindCoordinator": 6, "ApiVersions": 5,
		"DescribeCluster": 2, "ShareFetch": 2, "ShareAcknowledge": 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("highest versions (-want +got):\n%s", diff)
	}
}

func TestTreatmentOf(t *testing.T) {
	for _, tc := range []struct {
		key, version int16
		want         Treatment
	}{
		{KeyProduce, 9, Pass}, {KeyProduce, 10, Whole}, {KeyProduce, 13, Whole}, {KeyProduce, 14, Refuse}, {KeyProduce, -1, Refuse},
		{KeyFetch, 4, Pass}, {KeyFetch, 15, Pass}, {KeyFetch, 16, Tail}, {KeyFetch, 18, Tail}, {KeyFetch, 19, Refuse},
		{KeyMetadata, 0, Head}, {KeyMetadata, 13, Head}, {KeyMetadata, 14, Refuse},
		{KeyFindCoordinator, 0, Whole}, {KeyFindCoordinator, 7, Refuse},
		{KeyApiVersions, 0, Whole}, {KeyApiVersions, 5, Whole},
		{KeyDescribeCluster, 0, Whole}, {KeyDescribeCluster, 2, Whole}, {KeyDescribeCluster, 3, Refuse},
		{KeyShareFetch, 0, Tail}, {KeyShareFetch, 2, Tail}, {KeyShareFetch, 3, Refuse},
		{KeyShareAcknowledge, 2, Whole}, {KeyShareAcknowledge, 3, Refuse},
		{55, 2, Pass}, {55, 99, Pass}, {2, -1, Pass}, {95, 0, Pass}, {-1, 0, Pass}, {32767, 0, Pass},
	} {
		if got := TreatmentOf(tc.key, tc.version); got != tc.want {
			t.Errorf("%s (%d) v%d: %v, want %v", Name(tc.key), tc.key, tc.version, got, tc.want)
		}
	}
	for _, tc := range []struct {
		key, version int16
		want         bool
	}{
		{KeyProduce, 9, false}, {KeyProduce, 10, true}, {KeyProduce, 13, true}, {KeyProduce, 14, false},
		{KeyFetch, 15, false}, {KeyFetch, 16, true}, {KeyFetch, 18, true}, {KeyFetch, 19, false},
		{KeyShareFetch, 0, true}, {KeyShareFetch, 3, false}, {KeyShareAcknowledge, 0, true}, {KeyShareAcknowledge, 2, true},
		{KeyShareAcknowledge, -1, false}, {KeyMetadata, 12, false}, {KeyFindCoordinator, 6, false}, {KeyApiVersions, 3, false}, {200, 0, false},
	} {
		if got := Streams(tc.key, tc.version); got != tc.want {
			t.Errorf("%s v%d streams: %v", Name(tc.key), tc.version, got)
		}
	}
	if s := fmt.Sprint(Pass, Head, Whole, Tail, Refuse); s != "pass head whole tail refuse" {
		t.Error(s)
	}
	if Name(95) != "unknown" || Name(-1) != "unknown" || Name(3) != "Metadata" {
		t.Error("names")
	}
	if !Known(3, 13) || Known(3, 14) || Known(3, -1) || Known(95, 0) || Known(-1, 0) {
		t.Error("known versions")
	}
	APIs()[0].Name = "changed"
	if Name(0) != "Produce" {
		t.Error("the table can be changed from outside")
	}
}

// Response fields that look like an address and were reviewed (reference: which are
// rewritten, which are for display or for brokers only).
var judged = map[string]string{
	"Metadata.Brokers.Host":               "rewritten",
	"FindCoordinator.Host":                "rewritten",
	"FindCoordinator.Coordinators.Host":   "rewritten",
	"DescribeCluster.Brokers.Host":        "rewritten",
	"Produce.Brokers.Host":                "rewritten",
	"Fetch.Brokers.Host":                  "rewritten",
	"ShareFetch.NodeEndpoints.Host":       "rewritten",
	"ShareAcknowledge.NodeEndpoints.Host": "rewritten",

	"DescribeQuorum.Nodes.Listeners.Host":                              "controllers, for display",
	"StreamsGroupHeartbeat.PartitionsByUserEndpoint.UserEndpoint.Host": "another client",
	"StreamsGroupDescribe.Groups.Members.UserEndpoint.Host":            "another client",
	"DescribeGroups.Groups.Members.ClientHost":                         "another client",
	"ConsumerGroupDescribe.Groups.Members.ClientHost":                  "another client",
	"ShareGroupDescribe.Groups.Members.ClientHost":                     "another client",
	"StreamsGroupDescribe.Groups.Members.ClientHost":                   "another client",
	"DescribeACLs.Resources.ACLs.Host":                                 "a pattern",
	"DeleteACLs.Results.MatchingACLs.Host":                             "a pattern",
	"Vote.NodeEndpoints.Host":                                          "between controllers",
	"BeginQuorumEpoch.NodeEndpoints.Host":                              "between controllers",
	"EndQuorumEpoch.NodeEndpoints.Host":                                "between controllers",
	"FetchSnapshot.NodeEndpoints.Host":                                 "between controllers",
	"UpdateRaftVoter.CurrentLeader.Host":                               "between controllers",
}

var addressLike = regexp.MustCompile(`(?i)host|listener|endpoint|address|url|uri`)

// A new response field that looks like an address and was not reviewed fails here.
func TestEveryAddressFieldIsReviewed(t *testing.T) {
	found := map[string]bool{}
	for key := int16(0); key <= kmsg.MaxKey; key++ {
		addressFields(reflect.TypeOf(kmsg.ResponseForKey(key)).Elem(), kmsg.NameForKey(key), func(path string) { found[path] = true })
	}
	var todo []string
	for path := range found {
		if judged[path] == "" {
			todo = append(todo, "judge "+path+": does a client connect to it? Then rewrite it")
		}
	}
	for path := range judged {
		if !found[path] {
			todo = append(todo, path+" is judged but not in kmsg")
		}
	}
	if slices.Sort(todo); todo != nil {
		t.Errorf("to do:\n- %s", strings.Join(todo, "\n- "))
	}
}

func addressFields(t reflect.Type, path string, report func(string)) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		addressFields(t.Elem(), path, report)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			isString := f.Type.Kind() == reflect.String || f.Type == reflect.TypeFor[*string]()
			if isString && addressLike.MatchString(f.Name) {
				report(path + "." + f.Name)
			}
			addressFields(f.Type, path+"."+f.Name, report)
		}
	}
}
