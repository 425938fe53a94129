package inspect

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/terminal"
)

// The columns of frames. Frames arrive one at a time, so the widths are fixed: a longer value
// moves the columns to its right.
const frameColumns = "%-12s  %-5s  %-9s  %-32s  %9s  %9s  %s"

// TapHeading writes the heading for the lines of [TapEvent.Render].
func TapHeading(w io.Writer) error {
	_, err := fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf(frameColumns, "TIME", "CONN", "NODE", "FRAME", "BYTES", "LATENCY", "CLIENT, OR ERRORS"), " "))
	return err
}

// Render writes an event as a line of text: an arrow to the broker for a request, one from it
// for a response. A body follows on a line of its own.
func (e TapEvent) Render(w io.Writer) error {
	text := frameLine(e) + "\n"
	if len(e.Body) > 0 {
		text += "  " + string(e.Body) + "\n"
	}
	_, err := io.WriteString(w, text)
	return err
}

func frameLine(e TapEvent) string {
	switch {
	case e.Over != "":
		return "over: " + terminal.Escape(e.Over)
	case e.Dropped > 0:
		return fmt.Sprintf("... %d frames were dropped: the viewer read too slowly", e.Dropped)
	}
	node, latency := e.Node, ""
	if node != "bootstrap" {
		node = "node " + node
	}
	if e.LatencySeconds != nil {
		latency = tookText(time.Duration(*e.LatencySeconds * float64(time.Second)))
	}
	line := fmt.Sprintf(frameColumns, e.Time.Local().Format("15:04:05.000"), fmt.Sprintf("#%d", e.Conn), node, frameName(e), strconv.Itoa(e.Size), latency, remarks(e))
	return strings.TrimRight(line, " ")
}

func frameName(e TapEvent) string {
	name := fmt.Sprintf("%s:%d", e.API, e.Version)
	switch e.Kind {
	case KindToken:
		return "- SASL token"
	case KindRequest:
		return "> " + name
	}
	return "< " + name
}

// remarks returns the last column: a request's client, a response's errors.
func remarks(e TapEvent) string {
	var all []string
	if e.Kind == KindRequest {
		all = append(all, terminal.Escape(e.Software))
	}
	all = append(all, errorNames(e)...)
	if e.Local {
		all = append(all, "answered by the tunnel")
	}
	if e.Cut {
		all = append(all, "incomplete: the connection ended")
	} else if e.Unread != "" {
		all = append(all, "not decoded: "+terminal.Escape(e.Unread))
	}
	return strings.Join(all, ", ")
}

// errorNames lists each error once, with its number of occurrences.
func errorNames(e TapEvent) (names []string) {
	count := map[string]int{}
	for _, one := range e.Errors {
		if count[one.Name]++; count[one.Name] == 1 {
			names = append(names, one.Name)
		}
	}
	for i, name := range names {
		if n := count[name]; n > 1 {
			names[i] = fmt.Sprintf("%s x%d", name, n)
		}
	}
	return names
}

// tookText formats a time with about three digits.
func tookText(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}
