package inspect

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

// A table aligns columns that are separated by tabs. All rows have all of them: a shorter one
// would begin another table for what is below it.
func table(out io.Writer, heading string, rows []string) error {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range append([]string{heading}, rows...) {
		fmt.Fprintln(w, row)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		fmt.Fprintln(out, strings.TrimRight(line, " \n"))
	}
	return nil
}

// APIs prints all APIs: the versions that are known here, those that a broker has if there is
// one, and what the tunnel does with the responses.
func APIs(out io.Writer, broker *wire.Conn) error {
	heading := "KEY\tAPI\tVERSIONS\tFLEXIBLE\t"
	if broker != nil {
		heading += "BROKER\t"
	}
	var rows []string
	for _, api := range wire.APIs() {
		row := fmt.Sprintf("%d\t%s\t0-%d\t%s\t", api.Key, api.Name, api.MaxVersion, flexible(api))
		if broker != nil {
			row += brokerHas(broker, api.Key) + "\t"
		}
		rows = append(rows, row+tunnelDoes(api.Key))
	}
	return table(out, heading+"TUNNEL", rows)
}

func flexible(api wire.API) string {
	if api.FirstFlexible < 0 {
		return "none"
	}
	return fmt.Sprintf("%d+", api.FirstFlexible)
}

func brokerHas(broker *wire.Conn, key int16) string {
	r, ok := broker.Versions(key)
	if !ok {
		return "-"
	}
	return fmt.Sprintf("%d-%d", r.Min, r.Max)
}

// tunnelDoes says what becomes of the responses on their way through the tunnel.
func tunnelDoes(key int16) string {
	api, ok := kafka.Lookup(key)
	switch {
	case !ok || !api.Rewritten():
		return "passes"
	case key == kafka.KeyApiVersions:
		return "capped to what can be rewritten"
	case api.Since == 0:
		return fmt.Sprintf("addresses rewritten; capped to %d", api.MaxVersion)
	}
	return fmt.Sprintf("addresses rewritten from %d on; capped to %d", api.Since, api.MaxVersion)
}

// Fields prints the fields of an API's requests and responses, with the versions that have
// them.
func Fields(out io.Writer, api wire.API, directions ...wire.Direction) error {
	codec := new(wire.Codec)
	for i, d := range directions {
		all, err := codec.Describe(d, api.Key)
		if err != nil {
			return err
		}
		if i > 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintf(out, "%s %v, versions 0 to %d\n\n", api.Name, d, api.MaxVersion)
		var rows []string
		for _, f := range all {
			name := strings.Repeat("  ", strings.Count(f.Path, ".")) + f.Path[strings.LastIndex(f.Path, ".")+1:]
			rows = append(rows, strings.Join([]string{name, f.Type, f.Versions, f.Nullable, f.Tag}, "\t"))
		}
		if len(rows) == 0 {
			fmt.Fprintln(out, "no fields")
			continue
		}
		if err := table(out, "FIELD\tTYPE\tVERSIONS\tNULL\tTAG", rows); err != nil {
			return err
		}
	}
	return nil
}

// Errors prints error codes.
func Errors(out io.Writer, all []wire.Error) error {
	var rows []string
	for _, e := range all {
		retriable := "no"
		if e.Retriable {
			retriable = "yes"
		}
		rows = append(rows, fmt.Sprintf("%d\t%s\t%s\t%s", e.Code, e.Name, retriable, e.Message))
	}
	return table(out, "CODE\tNAME\tRETRIABLE\tMEANING", rows)
}
