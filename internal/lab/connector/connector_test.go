package connector

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

func TestEntry(t *testing.T) {
	tests := []struct {
		entry Entry
		text  string
		ok    bool
	}{
		{Entry{Host: "v", First: 9092, Last: 9092, Internal: "i", InternalFirst: 1}, "v:9092 -> i:1", true},
		{Entry{Host: "v", First: 9092, Last: 9094, Internal: "i", InternalFirst: 9092}, "v:9092-9094 -> i:9092-9094", true},
		{Entry{Host: "v", First: 9092, Last: 9094, Internal: "i", InternalFirst: 9093}, "v:9092-9094 -> i:9093-9095", false},
		{Entry{Host: "v", First: 0, Internal: "i", InternalFirst: 1}, "v:0 -> i:1", false},
		{Entry{Host: "", First: 1, Last: 1, Internal: "i", InternalFirst: 1}, ":1 -> i:1", false},
		{Entry{Host: "v", First: 2, Last: 1, Internal: "i", InternalFirst: 2}, "v:2 -> i:2", false},
	}
	for _, tt := range tests {
		if got := tt.entry.String(); got != tt.text {
			t.Errorf("%q, want %q", got, tt.text)
		}
		if err := tt.entry.check(); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.entry, err)
		}
	}
}

func TestAccessControl(t *testing.T) {
	r := New(Options{})
	defer r.Close()
	c, err := r.Add("zone", "", Entry{Host: "Kafka.virtual", First: 9092, Last: 9094, Internal: "kafka.corp", InternalFirst: 9092},
		Entry{Host: "other", First: 1, Internal: "other.corp", InternalFirst: 7})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		host string
		port uint16
		want string
	}{
		{"kafka.VIRTUAL", 9092, "kafka.corp:9092"},
		{"kafka.virtual", 9094, "kafka.corp:9094"},
		{"kafka.virtual", 9095, ""},
		{"kafka.virtual", 9091, ""},
		{"other", 1, "other.corp:7"},
		{"kafka.corp", 9092, ""},
	}
	for _, tt := range tests {
		if got, _ := c.resolve(tt.host, tt.port); got != tt.want {
			t.Errorf("%s:%d is %q, want %q", tt.host, tt.port, got, tt.want)
		}
	}
	if err := c.Allow(Entry{Host: "KAFKA.virtual", First: 9094, Internal: "x", InternalFirst: 1}); err == nil {
		t.Error("an overlapping entry was taken")
	}
	if _, err := r.Add("zone", ""); err == nil {
		t.Error("two connectors with one Location ID")
	}
	if !c.Revoke("other", 1) || c.Revoke("other", 1) || len(c.Entries()) != 1 {
		t.Error("revoke")
	}
}

func TestConnectErrors(t *testing.T) {
	set := &faults.Set{}
	defer set.Close()
	closedPort := closedAddress(t)
	r, c := landscape(t, set, nil)
	if err := c.Allow(Entry{Host: "dead", First: 1, Internal: closedPort.IP.String(), InternalFirst: uint16(closedPort.Port)}); err != nil {
		t.Fatal(err)
	}
	good := Target{Tenant: "zone", LocationID: "LOC1", Host: "kafka", Port: 9092}
	tests := []struct {
		name   string
		change func(*Target)
		fault  *faults.Fault
		want   error
	}{
		{"granted", func(*Target) {}, nil, nil},
		{"other tenant", func(to *Target) { to.Tenant = "x" }, nil, ErrAway},
		{"other location", func(to *Target) { to.LocationID = "LOC2" }, nil, ErrAway},
		{"no location", func(to *Target) { to.LocationID = "" }, nil, ErrAway},
		{"no entry", func(to *Target) { to.Port++ }, nil, ErrNotAllowed},
		{"dead backend", func(to *Target) { to.Host, to.Port = "dead", 1 }, nil, ErrUnreachable},
		{"away", func(*Target) {}, &faults.Fault{Kind: faults.ConnectorAway}, ErrAway},
		{"failover", func(*Target) {}, &faults.Fault{Kind: faults.ConnectorFailover}, ErrAway},
		{"away elsewhere", func(*Target) {}, &faults.Fault{Kind: faults.ConnectorAway, LocationID: new(string)}, nil},
		{"entry removed", func(*Target) {}, &faults.Fault{Kind: faults.AccessRemoved, Target: "KAFKA:9092"}, ErrNotAllowed},
		{"other entry removed", func(*Target) {}, &faults.Fault{Kind: faults.AccessRemoved, Target: "kafka:9093"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.fault != nil {
				f, err := set.Add(*tt.fault)
				if err != nil {
					t.Fatal(err)
				}
				defer set.Remove(f.ID)
			}
			to := good
			tt.change(&to)
			l, err := r.Connect(t.Context(), to)
			if err == nil {
				l.Close()
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
			if n := r.Open(); n != 0 {
				t.Errorf("%d links open", n)
			}
		})
	}
	c.SetConnected(false)
	if _, err := r.Connect(t.Context(), good); !errors.Is(err, ErrAway) {
		t.Errorf("disconnected: %v", err)
	}
}

func TestDialerMustBeTCP(t *testing.T) {
	a, b := net.Pipe()
	defer b.Close()
	r := New(Options{Dial: func(context.Context, string, string) (net.Conn, error) { return a, nil }})
	if _, err := r.Add("", "", Entry{Host: "h", First: 1, Internal: "i", InternalFirst: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Connect(t.Context(), Target{Host: "h", Port: 1}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("%v", err)
	}
}

// closedAddress returns an address at which nothing listens, and keeps it so.
func closedAddress(t *testing.T) *net.TCPAddr {
	t.Helper()
	p := listen(t)
	if err := p.SetDown(true); err != nil {
		t.Fatal(err)
	}
	return p.Addr().(*net.TCPAddr)
}
