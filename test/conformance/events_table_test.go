//go:build conformance

package conformance

import (
	"errors"
	"fmt"
	"strings"
)

// recordsColumn is the column about the records in the topics at the end.
const recordsColumn = "records"

// An eventTable has the results of the clients.
type eventTable struct {
	columns []string
	cells   map[[2]string]eventCell // by client and column
	exactly map[string]bool         // the client's producer writes exactly once
}

// An eventCell is why a client has not continued.
type eventCell struct{ direct, tunnel error }

// begin forgets the results of these clients.
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

// put records one column.
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

// word returns the text of a cell.
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

// different lists the clients that have continued only without the tunnel.
func (e *eventTable) different(clients []compatClient) (all []compatClient) {
	for _, c := range clients {
		if len(e.differences([]compatClient{c})) > 0 {
			all = append(all, c)
		}
	}
	return all
}

// differences lists what works only without the tunnel.
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

// lines lists everything that did not work.
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
