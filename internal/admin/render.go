package admin

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/terminal"
)

// Render writes s as a table for people. It returns w's error.
func Render(w io.Writer, s Status) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "kafka-tunnel %s   %s   up %s   %s\n", plain(s.Version), s.state(), age(s.UptimeSeconds), s.connections())
	if s.Tap == "watched" {
		fmt.Fprintln(&b, "a viewer is watching frames (kafka-tunnel tap)")
	}
	for _, warning := range s.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", plain(warning))
	}
	for _, c := range s.Clusters {
		b.WriteByte('\n')
		c.render(&b)
	}
	if len(s.Forwards) > 0 {
		b.WriteByte('\n')
	}
	for _, f := range s.Forwards {
		f.render(&b)
	}
	if len(s.Tokens) > 0 {
		b.WriteByte('\n')
	}
	for _, t := range s.Tokens {
		t.render(&b)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (s Status) state() string {
	switch {
	case s.Draining:
		return "STOPPING"
	case !s.Bound:
		return "STARTING"
	default:
		return stateWord(s.State, s.Ready)
	}
}

func (s Status) connections() string {
	text := countOf(s.Connections, "connection")
	if s.MaxConnections > 0 {
		text += fmt.Sprintf(" of %d", s.MaxConnections)
	}
	return text
}

func (c ClusterStatus) render(b *bytes.Buffer) {
	fmt.Fprintf(b, "cluster %s   %s", plain(c.Name), stateWord(c.State, c.Ready))
	if c.StateSeconds > 0 {
		fmt.Fprintf(b, " for %s", age(c.StateSeconds))
	}
	fmt.Fprintf(b, "   %s\n", countOf(c.Connections, "connection"))
	c.renderReasons(b)
	var t table
	t.row("listens", strings.Join(c.Listen, ", "))
	t.row("bootstrap", strings.Join(c.Bootstrap, ", "))
	if d := c.Destination; d != nil {
		t.row("destination", d.text())
	}
	if c.Via != "" || c.Proxy != "" {
		t.row("via", strings.TrimSpace(c.Via+" "+c.Proxy))
	}
	if c.LocationID != "" {
		t.row("location id", c.LocationID)
	}
	if c.TLS {
		t.row("tls", "on")
	}
	if c.EvidenceAgeSeconds != nil {
		t.row("last success", age(*c.EvidenceAgeSeconds)+" ago")
	}
	t.write(b)
	c.renderNodes(b)
	for _, g := range c.Gates {
		g.render(b)
	}
	for _, p := range c.Paused {
		p.render(b)
	}
	for _, v := range c.Capped {
		v.render(b)
	}
	if f := c.LastFailure; f != nil && f.Code != "" && (f.RecoveredSeconds != nil || len(c.Reasons) == 0 && c.Ready) {
		b.WriteString("  last failure: ")
		writeFailure(b, *f, "    ")
		b.WriteByte('\n')
	}
}

// shownReasons limits the reasons that are written for a cluster.
const shownReasons = 3

// renderReasons writes the current failures.
func (c ClusterStatus) renderReasons(b *bytes.Buffer) {
	reasons := c.Reasons
	if f := c.LastFailure; len(reasons) == 0 && !c.Ready && f != nil && f.Code != "" && f.RecoveredSeconds == nil {
		reasons = []Reason{{Failure: *f}} // from an earlier version
	}
	for _, r := range reasons[:min(len(reasons), shownReasons)] {
		fmt.Fprintf(b, "  failing at: %s: ", plain(string(r.Hop)))
		if r.Node != "" {
			fmt.Fprintf(b, "node %s: ", plain(r.Node))
		}
		writeFailure(b, r.Failure, "    ")
		b.WriteByte('\n')
	}
	if more := len(reasons) - shownReasons; more > 0 {
		fmt.Fprintf(b, "  and %s more\n", countOf(more, "failure"))
	}
}

func (d DestinationStatus) text() string {
	text := d.Name + ", not read yet"
	if d.ReadAgeSeconds != nil {
		text = d.Name + ", read " + age(*d.ReadAgeSeconds) + " ago"
	}
	if d.LastFailure != nil {
		text += " [" + string(d.LastFailure.Code) + "]"
	}
	return text
}

// renderNodes writes one line per node: the address that the broker advertises, the one in the
// CONNECT request, and the one for clients.
func (c ClusterStatus) renderNodes(b *bytes.Buffer) {
	if len(c.Nodes) == 0 {
		defer b.WriteString("  no broker is known yet: the first metadata response names them\n")
		if c.BootstrapTraffic == nil {
			return
		}
	}
	var t table
	t.row("NODE", "ADVERTISED", "VIRTUAL", "LOCAL", "CONNECTIONS", "REQ/S", "P50", "P99", "IN FLIGHT", "OLDEST", "RESETS/MIN")
	var atBootstrap TrafficStatus
	if c.BootstrapTraffic != nil {
		atBootstrap = *c.BootstrapTraffic
	}
	t.row(append([]string{"bootstrap", "-", "-", dash(first(c.Listen)), strconv.Itoa(c.BootstrapConnections)}, atBootstrap.cells()...)...)
	for _, n := range c.Nodes {
		virtual := n.Virtual
		if n.LocationID != "" {
			virtual += " (" + n.LocationID + ")"
		}
		t.row(append([]string{strconv.Itoa(int(n.ID)), dash(n.Advertised), dash(virtual), dash(n.Local), strconv.Itoa(n.Connections)}, n.cells()...)...)
	}
	t.write(b)
}

// cells returns the columns of a node's traffic.
func (t TrafficStatus) cells() []string {
	latency := func(seconds float64) string {
		if seconds == 0 {
			return "-"
		}
		return short(seconds)
	}
	return []string{
		strconv.FormatFloat(t.RequestsPerSecond, 'f', 1, 64), latency(t.P50Seconds), latency(t.P99Seconds),
		strconv.Itoa(t.InFlight), latency(t.OldestRequestSeconds), strconv.Itoa(t.ResetsLastMinute),
	}
}

// short formats a latency with two digits: 240µs, 1.5ms, 12s.
func short(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	for unit := time.Microsecond; unit <= time.Second; unit *= 10 {
		if d < 100*unit {
			return fmt.Sprint(d.Round(unit))
		}
	}
	return age(seconds)
}

func (g GateStatus) render(b *bytes.Buffer) {
	if !g.Shut {
		return
	}
	route := ""
	if g.LocationID != "" {
		route = " through " + plain(g.LocationID)
	}
	next := "an attempt is in progress"
	if !g.Trying {
		next = "next attempt in " + age(g.NextAttemptSeconds)
	}
	fmt.Fprintf(b, "  no new connections%s for %s: %s, %s held\n", route, age(g.ShutSeconds), next, countOf(g.Waiting, "client"))
}

func (p PausedStatus) render(b *bytes.Buffer) {
	fmt.Fprintf(b, "  %s has been failing for %s [%s]: next attempt in %s\n",
		plain(p.Target), age(p.SinceSeconds), plain(string(p.Failure.Code)), age(p.NextAttemptSeconds))
}

func (v CappedStatus) render(b *bytes.Buffer) {
	fmt.Fprintf(b, "  %s: the brokers support version %d, clients are offered ", plain(v.API), v.Broker)
	if v.Offered < 0 {
		b.WriteString("none\n")
		return
	}
	fmt.Fprintf(b, "up to %d\n", v.Offered)
}

// RenderConnections writes the open connections of s as a table for people. It
// returns w's error.
func RenderConnections(w io.Writer, s Status) error {
	var b bytes.Buffer
	var t table
	t.row("CONN", "CLUSTER", "NODE", "CLIENT", "TARGET", "OPEN FOR")
	for _, c := range s.OpenConnections {
		target := c.Target
		if target == "" {
			target = "held"
		}
		t.row(strconv.FormatUint(c.Conn, 10), c.Cluster, c.Node, c.Client, target, age(c.AgeSeconds))
	}
	t.write(&b)
	if more := s.Connections - len(s.OpenConnections); more > 0 {
		fmt.Fprintf(&b, "and %d more\n", more)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (f ForwardStatus) render(b *bytes.Buffer) {
	to := f.To
	if f.LocationID != "" {
		to += " (" + f.LocationID + ")"
	}
	fmt.Fprintf(b, "forward %s   %s to %s   %s\n", plain(f.Name), plain(f.Listen), plain(to), countOf(f.Connections, "connection"))
	if f.LastFailure != nil && f.LastFailure.Code != "" {
		b.WriteString("  last failure: ")
		writeFailure(b, *f.LastFailure, "    ")
		b.WriteByte('\n')
	}
}

func (t TokenStatus) render(b *bytes.Buffer) {
	fmt.Fprintf(b, "token of %s   ", plain(t.Source))
	switch {
	case t.UsableUntil == nil:
		b.WriteString("none yet")
	case t.UsableSeconds > 0:
		fmt.Fprintf(b, "usable for %s", age(t.UsableSeconds))
	default:
		b.WriteString("EXPIRED")
	}
	fmt.Fprintf(b, "   %s", countOf(int(t.Fetches), "request"))
	if t.CertificateUntil != nil {
		fmt.Fprintf(b, "   certificate expires %s", t.CertificateUntil.UTC().Format(time.RFC3339))
	}
	b.WriteByte('\n')
	if t.LastFailure != nil && t.LastFailure.Code != "" {
		b.WriteString("  last failure: ")
		writeFailure(b, *t.LastFailure, "    ")
		b.WriteByte('\n')
	}
}

// writeFailure writes a failure on one line and its advice, indented, on the next, without the
// last line end.
func writeFailure(w io.Writer, f Failure, indent string) {
	if f.Code == "" {
		fmt.Fprint(w, unknownFailure)
		return
	}
	summary := f.Summary
	if summary == "" { // a listener beyond loopback sends only the code
		summary = "failure at the hop " + string(f.Hop)
	}
	fmt.Fprintf(w, "%s [%s]", plain(summary), plain(string(f.Code)))
	if f.Detail != "" {
		fmt.Fprintf(w, " (%s)", plain(f.Detail))
	}
	if f.RecoveredSeconds != nil {
		fmt.Fprintf(w, ", recovered %s ago", age(*f.RecoveredSeconds))
		return
	}
	fmt.Fprintf(w, ", %s ago", age(f.AgeSeconds))
	if f.Count > 1 {
		fmt.Fprintf(w, ", %d times", f.Count)
		if f.SinceSeconds > f.AgeSeconds {
			fmt.Fprintf(w, " in %s", age(f.SinceSeconds-f.AgeSeconds))
		}
	}
	if f.Advice != "" {
		fmt.Fprintf(w, "\n%s%s", indent, plain(f.Advice))
	}
}

// A table collects rows, which are escaped, for one table.
type table [][]string

func (t *table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = plain(c)
	}
	cells[0] = "  " + cells[0]
	*t = append(*t, cells)
}

func (t table) write(b *bytes.Buffer) { _ = terminal.Table(b, t...) } // a Buffer returns no error

// stateWord formats a state. Earlier versions of the tunnel have none.
func stateWord(s State, ready bool) string {
	switch {
	case s != "":
		return strings.ToUpper(plain(string(s)))
	case ready:
		return "READY"
	}
	return "NOT READY"
}

func countOf(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// age formats seconds for people: 0.4s, 12s, 3m20s, 5h12m, 3d4h.
func age(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < 0:
		return "0s"
	case d < 10*time.Second:
		return fmt.Sprint(d.Round(100 * time.Millisecond))
	case d < time.Hour:
		return fmt.Sprint(d.Round(time.Second))
	case d < 24*time.Hour:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	}
}

// plain escapes text for a terminal. Brokers, which send the addresses, may put anything into
// them.
func plain(s string) string { return terminal.Escape(s) }
