//go:build conformance

package conformance

import (
	"errors"
	"fmt"
	"strings"
)

// recordsColumn is about what stands in the topics when all is over.
const recordsColumn = "records"

// An eventTable is what became of the clients.
type eventTable struct {
	columns []string
	cells   map[[2]string]eventCell // by client and column
	exactly map[string]bool         // the client's producer writes exactly once
}

// An eventCell says why a client has not gone on.
type eventCell struct{ direct, tunnel error }

// begin forgets what is known of these clients.
func (e *eventTable) begin(clients []compatClient) {
	if e.cells == nil {
		e.cells, e.exactly = map[[2]string]eventCell{}, map[string]bool{}
	}
	e.columns = nil
	for _, c := range clients {
		for key := range e.cells {
			if key[0] == c.title() {
				delete(e.cells, key)
			}
		}
	}
}

// put takes down one column.
func (e *eventTable) put(column string, parties []*party, found map[*party]error) {
	e.columns = append(e.columns, column)
	for _, p := range parties {
		key := [2]string{p.client.title(), column}
		cell := e.cells[key]
		if p.way == ways[0] {
			cell.direct = found[p]
		} else {
			cell.tunnel = found[p]
		}
		e.cells[key] = cell
	}
}

func (c eventCell) differs() bool { return c.tunnel != nil && c.direct == nil }

// word is what stands in the table.
func (e *eventTable) word(client, column string) string {
	c := e.cells[[2]string{client, column}]
	switch {
	case c.differs():
		return "**differs**"
	case errors.Is(c.tunnel, errUnsupported):
		return "–"
	case c.tunnel != nil:
		return "not, as direct"
	case c.direct != nil:
		return "not direct"
	case column == recordsColumn && e.exactly[client]:
		return "exactly once, in order"
	case column == recordsColumn:
		return "at least once"
	}
	return "same"
}

// different lists the clients that have gone on past the tunnel only.
func (e *eventTable) different(clients []compatClient) (all []compatClient) {
	for _, c := range clients {
		if len(e.differences([]compatClient{c})) > 0 {
			all = append(all, c)
		}
	}
	return all
}

// differences says what works past the tunnel alone.
func (e *eventTable) differences(clients []compatClient) (all []string) {
	for _, c := range clients {
		for _, column := range e.columns {
			if cell := e.cells[[2]string{c.title(), column}]; cell.differs() {
				all = append(all, fmt.Sprintf("%s, %s: %v", c.title(), column, cell.tunnel))
			}
		}
	}
	return all
}

// lines says all that did not work.
func (e *eventTable) lines(clients []compatClient) (all []string) {
	for _, c := range clients {
		for _, column := range e.columns {
			cell := e.cells[[2]string{c.title(), column}]
			for i, err := range []error{cell.direct, cell.tunnel} {
				if err != nil && !errors.Is(err, errUnsupported) {
					all = append(all, fmt.Sprintf("%s, %s, %s: %v", c.title(), column, ways[i], err))
				}
			}
		}
	}
	return all
}

func (e *eventTable) markdown(clients []compatClient) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| client | %s |\n|---|%s\n", strings.Join(e.columns, " | "), strings.Repeat("---|", len(e.columns)))
	for _, c := range clients {
		fmt.Fprintf(&b, "| %s |", c.title())
		for _, column := range e.columns {
			fmt.Fprintf(&b, " %s |", e.word(c.title(), column))
		}
		b.WriteByte('\n')
	}
	return b.String()
}
