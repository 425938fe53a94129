package lab

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/tokenservice"
)

// call sends a request to the control port.
func call(t *testing.T, l *Landscape, method, path, body string, change ...func(*http.Request)) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, l.ControlURL()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(req)
	}
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

func TestFaultsOverHTTP(t *testing.T) {
	l := start(t, Options{Faults: []faults.Fault{{Kind: faults.TokenEmpty}}})
	status, body := call(t, l, "POST", "/faults", `{"kind": "latency", "delay": "1.5s", "direction": "down", "location_id": "", "for": "1h"}`)
	var f faults.Fault
	if err := json.Unmarshal([]byte(body), &f); err != nil || status != 201 || f.ID == "" || f.Delay.String() != "1.5s" || f.LocationID == nil {
		t.Fatalf("%d %s", status, body)
	}
	var list []faults.Active
	if status, body = call(t, l, "GET", "/faults", ""); status != 200 {
		t.Errorf("%d", status)
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list) != 2 || list[1].ID != f.ID {
		t.Errorf("%s", body)
	}
	if status, _ = call(t, l, "DELETE", "/faults/"+f.ID, ""); status != 204 {
		t.Errorf("%d", status)
	}
	if status, _ = call(t, l, "DELETE", "/faults/"+f.ID, ""); status != 404 {
		t.Errorf("%d", status)
	}
	if status, _ = call(t, l, "DELETE", "/faults", ""); status != 204 || len(l.Faults().List()) != 0 {
		t.Errorf("%d %v", status, l.Faults().List())
	}
	if _, err := l.Tokens().Issue(tokenservice.Mint{}); err != nil {
		t.Fatal(err)
	}
	if status, _ = call(t, l, "POST", "/faults", `{"kind": "token_revoked"}`); status != 201 {
		t.Errorf("%d", status)
	}
}

func TestControlErrors(t *testing.T) {
	l := start(t, Options{Brokers: 1})
	tests := []struct {
		body string
		want string
	}{
		{``, "not a fault"},
		{`{}`, `unknown fault \"\"; the kinds are token_down`},
		{`{"kind": "x"}`, "unknown fault"},
		{`{"kind": "stall", "dealy": "1s"}`, "unknown field"},
		{`{"kind": "stall", "delay": "1s"}`, `does not take \"delay\"`},
		{`{"kind": "latency"}`, `requires \"delay\"`},
		{`{"kind": "latency", "delay": 5}`, "a duration is a string"},
		{`{"kind": "latency", "delay": "soon"}`, "not a duration"},
		{`{"kind": "latency", "delay": "-1s"}`, "negative"},
		{`{"kind": "stall", "direction": "left"}`, "direction"},
		{`{"kind": "connect_reply", "reply": 256}`, "does not fit"},
		{`{"kind": "token_status", "status": 99}`, "not an HTTP status"},
		{`{"kind": "auth_refused", "mode": "x"}`, "modes are status, reply, eof, rst"},
		{`{"kind": "connection_limit"}`, `requires \"limit\"`},
		{`{"kind": "connection_limit", "limit": -1}`, "negative"},
		{`{"kind": "idle_cut", "delay": "1s", "mode": "eof"}`, "modes are fin, rst"},
		{`{"kind": "stall", "id": "f1"}`, "the lab assigns the id"},
		{`{"kind": "stall"} {"kind": "stall"}`, "more than one"},
		{`{"kind": "token_revoked", "for": "1s"}`, `does not take \"for\"`},
	}
	for _, tt := range tests {
		status, body := call(t, l, "POST", "/faults", tt.body)
		if status != 400 || !strings.Contains(body, tt.want) {
			t.Errorf("%s: %d %s", tt.body, status, body)
		}
	}
	for name, change := range map[string]func(*http.Request){
		"name":   func(r *http.Request) { r.Host = "attacker.example" },
		"origin": func(r *http.Request) { r.Header.Set("Origin", "http://attacker.example") },
	} {
		if status, _ := call(t, l, "POST", "/faults", `{"kind": "stall"}`, change); status != 403 {
			t.Errorf("%s: %d", name, status)
		}
	}
	if len(l.Faults().List()) != 0 {
		t.Errorf("%v", l.Faults().List())
	}
}

func TestStateAndKinds(t *testing.T) {
	l := start(t, Options{Brokers: 1, LocationID: "LOC1"})
	status, body := call(t, l, "GET", "/state", "")
	var s State
	if err := json.Unmarshal([]byte(body), &s); err != nil || status != 200 {
		t.Fatalf("%d %v", status, err)
	}
	if len(s.Connectors) != 1 || s.Connectors[0].LocationID != "LOC1" || !s.Connectors[0].Connected || len(s.Brokers) != 1 {
		t.Errorf("%s", body)
	}
	var kinds []faults.KindInfo
	_, body = call(t, l, "GET", "/kinds", "")
	if err := json.Unmarshal([]byte(body), &kinds); err != nil || len(kinds) != len(faults.Kinds()) {
		t.Errorf("%d kinds, %v", len(kinds), err)
	}
}
