package admin

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
)

// The columns of frames. They come one at a time, so the widths are fixed: a longer value
// moves what is right of it.
const frameColumns = "%-12s  %-5s  %-9s  %-32s  %9s  %9s  %s"

// TapHeading stands above what RenderFrame writes.
func TapHeading(w io.Writer) error {
	_, err := fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf(frameColumns, "TIME", "CONN", "NODE", "FRAME", "BYTES", "LATENCY", "CLIENT, OR ERRORS"), " "))
	return err
}

// RenderFrame writes a line of /tap for people: a request with an arrow to the broker, a
// response with one from it. A body follows in a line of its own.
func RenderFrame(w io.Writer, e tap.Event) error {
	text := frameLine(e) + "\n"
	if len(e.Body) > 0 {
		text += "  " + string(e.Body) + "\n"
	}
	_, err := io.WriteString(w, text)
	return err
}

func frameLine(e tap.Event) string {
	switch {
	case e.Over != "":
		return "over: " + plain(e.Over)
	case e.Dropped > 0:
		return fmt.Sprintf("... %d frames were dropped: they came faster than they were read", e.Dropped)
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

func frameName(e tap.Event) string {
	name := fmt.Sprintf("%s:%d", e.API, e.Version)
	switch e.Kind {
	case tap.Token:
		return "- SASL token"
	case tap.Request:
		return "> " + name
	}
	return "< " + name
}

// remarks say what a frame is about: a request's client, a response's errors.
func remarks(e tap.Event) string {
	var all []string
	if e.Kind == tap.Request {
		all = append(all, plain(e.Software))
	}
	all = append(all, errorNames(e)...)
	if e.Local {
		all = append(all, "answered by the tunnel")
	}
	if e.Cut {
		all = append(all, "the connection ended inside it")
	} else if e.Unread != "" {
		all = append(all, "not decoded: "+plain(e.Unread))
	}
	return strings.Join(all, ", ")
}

// errorNames lists each error once, with how often it is there.
func errorNames(e tap.Event) (names []string) {
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

// tookText shows a time with three digits or so.
func tookText(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Microsecond).String()
}
