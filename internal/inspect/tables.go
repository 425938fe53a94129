package inspect

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/internal/terminal"
	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

// oneLine returns text as a part of a line: on a terminal it cannot break or overwrite the
// line.
func oneLine(out io.Writer, text string) string {
	if terminal.Is(out) {
		return terminal.Escape(text)
	}
	return text
}

// APIs prints all APIs: the versions that the tools know, those that the broker supports if one
// is given, and what the tunnel does with the responses.
func APIs(out io.Writer, broker *wire.Conn) error {
	heading := []string{"KEY", "API", "VERSIONS", "FLEXIBLE"}
	if broker != nil {
		heading = append(heading, "BROKER")
	}
	rows := [][]string{append(heading, "TUNNEL")}
	for _, api := range wire.APIs() {
		row := []string{strconv.Itoa(int(api.Key)), api.Name, fmt.Sprintf("0-%d", api.MaxVersion), flexible(api)}
		if broker != nil {
			row = append(row, brokerHas(broker, api.Key))
		}
		rows = append(rows, append(row, treatment(api.Key)))
	}
	return terminal.Table(out, rows...)
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

// treatment returns what the tunnel does with the responses.
func treatment(key int16) string {
	api, ok := kafka.Lookup(key)
	switch {
	case !ok || !api.Rewritten():
		return "passes"
	case key == kafka.KeyApiVersions:
		return "capped to the versions that can be rewritten"
	case api.Since == 0:
		return fmt.Sprintf("addresses rewritten; capped to %d", api.MaxVersion)
	}
	return fmt.Sprintf("addresses rewritten from version %d; capped to %d", api.Since, api.MaxVersion)
}

// Fields prints the fields of an API's requests and responses, with their versions.
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
		rows := [][]string{{"FIELD", "TYPE", "VERSIONS", "NULL", "TAG"}}
		for _, f := range all {
			name := strings.Repeat("  ", strings.Count(f.Path, ".")) + f.Path[strings.LastIndex(f.Path, ".")+1:]
			rows = append(rows, []string{name, f.Type, f.Versions, f.Nullable, f.Tag})
		}
		if len(all) == 0 {
			fmt.Fprintln(out, "no fields")
			continue
		}
		if err := terminal.Table(out, rows...); err != nil {
			return err
		}
	}
	return nil
}

// Errors prints error codes.
func Errors(out io.Writer, all []wire.Error) error {
	rows := [][]string{{"CODE", "NAME", "RETRIABLE", "MEANING"}}
	for _, e := range all {
		retriable := "no"
		if e.Retriable {
			retriable = "yes"
		}
		rows = append(rows, []string{strconv.Itoa(int(e.Code)), e.Name, retriable, e.Message})
	}
	return terminal.Table(out, rows...)
}
