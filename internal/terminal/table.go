package terminal

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"
)

// gap is the space between two columns.
const gap = 2

// Table writes rows with aligned columns, in one Write. On a terminal it escapes cells; a pipe
// or a file receives their bytes, including line breaks.
func Table(w io.Writer, rows ...[]string) error {
	var widths []int
	lines := make([][]string, len(rows))
	for i, row := range rows {
		cells := make([]string, len(row))
		for j, cell := range row {
			if Is(w) {
				cell = Escape(cell)
			}
			if j == len(widths) {
				widths = append(widths, 0)
			}
			cells[j] = cell
			widths[j] = max(widths[j], utf8.RuneCountInString(cell))
		}
		for len(cells) > 0 && cells[len(cells)-1] == "" {
			cells = cells[:len(cells)-1] // no spaces after the last non-empty cell
		}
		lines[i] = cells
	}
	var b bytes.Buffer
	for _, cells := range lines {
		for j, cell := range cells {
			b.WriteString(cell)
			if j < len(cells)-1 {
				b.WriteString(strings.Repeat(" ", gap+widths[j]-utf8.RuneCountInString(cell)))
			}
		}
		b.WriteByte('\n')
	}
	_, err := w.Write(b.Bytes())
	return err
}
