package binding

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cloudfoundry-community/go-cfenv"

	"github.com/kafka-tunnel/kafka-tunnel/internal/boundedfile"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// maxDocument bounds a file of bindings. The platform's own limit is 1 000 000
// bytes (RFC-0030).
const maxDocument = 4 << 20

// A document is the JSON that lists all bound services by label.
type document struct {
	text   []byte
	source string
}

// read returns what is bound and where that stands. The file wins over the variable
// and that over folders; a platform has only one of them.
func read(environ []string, sapRoot string) (source string, entries []entry, err error) {
	env := cfenv.Env(environ)
	if path := env[fileVariable]; path != "" {
		text, err := boundedfile.Read(path, maxDocument)
		if err != nil {
			return path, nil, malformed(path, fmt.Sprintf("%s names a file that cannot be read: %s", fileVariable, err))
		}
		entries, err = document{text, path}.entries()
		return path, entries, err
	}
	if text := env[variable]; strings.TrimSpace(text) != "" {
		entries, err = document{[]byte(text), variable}.entries()
		return variable, entries, err
	}
	if root := env[rootVariable]; root != "" {
		entries, err = rootEntries(root)
		return root, entries, err
	}
	if entries, err = sapEntries(sapRoot); len(entries) > 0 || err != nil {
		return sapRoot, entries, err
	}
	return variable, nil, failure.New(failure.BindingMissing, nil).For(variable, "").
		With("none of " + variable + ", " + fileVariable + " and " + rootVariable + " is set")
}

// entries decodes the document, in the order of labels and then of the document.
//
// go-cfenv decodes a whole document or nothing, and its errors print values. So
// each entry is given to it alone: what is wrong with a service that the tunnel
// does not need does no harm, and its errors stay here.
func (d document) entries() ([]entry, error) {
	text := bytes.TrimPrefix(d.text, []byte("\xef\xbb\xbf"))
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, malformed(d.source, "it is empty")
	}
	var byLabel map[string]json.RawMessage
	if err := json.Unmarshal(text, &byLabel); err != nil {
		return nil, malformed(d.source, position(text, err))
	}
	labels := make([]string, 0, len(byLabel))
	for l := range byLabel {
		labels = append(labels, l)
	}
	needed := func(l string) bool {
		return strings.EqualFold(l, connectivity.label) || strings.EqualFold(l, destination.label)
	}
	slices.Sort(labels)
	var all []entry
	for _, l := range labels {
		var list []json.RawMessage
		if err := json.Unmarshal(byLabel[l], &list); err != nil {
			if needed(l) {
				return nil, malformed(d.source, fmt.Sprintf("%q is not a list", l))
			}
			continue
		}
		for i, one := range list {
			e, ok := decode(l, one)
			if !ok && needed(l) {
				return nil, malformed(d.source, fmt.Sprintf("entry %d of %q is not a service", i+1, l))
			}
			if ok {
				all = append(all, e)
			}
		}
	}
	return all, nil
}

// decode reads one entry of a label through go-cfenv.
func decode(l string, one json.RawMessage) (entry, bool) {
	if trimmed := bytes.TrimSpace(one); len(trimmed) == 0 || trimmed[0] != '{' {
		return entry{}, false
	}
	services, err := json.Marshal(map[string][]json.RawMessage{l: {one}})
	if err != nil {
		return entry{}, false
	}
	// On a laptop there is no VCAP_APPLICATION; go-cfenv wants one.
	app, err := cfenv.New(map[string]string{"VCAP_APPLICATION": "{}", variable: string(services)})
	if err != nil || len(app.Services[l]) != 1 {
		return entry{}, false
	}
	return entry{label: l, Service: app.Services[l][0]}, true
}

// position says where JSON breaks, without what stands there.
func position(text []byte, err error) string {
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	if !ok {
		return "it is not a JSON object"
	}
	// The offset counts the bytes read, with the offending one.
	at := min(max(int(syntax.Offset)-1, 0), len(text))
	line := 1 + bytes.Count(text[:at], []byte("\n"))
	column := at - bytes.LastIndexByte(text[:at], '\n')
	return fmt.Sprintf("it is not valid JSON: line %d, column %d", line, column)
}

func malformed(source, detail string) error {
	return failure.New(failure.BindingMalformed, nil).For(source, "").With(detail)
}
