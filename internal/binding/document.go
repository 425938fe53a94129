package binding

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cloudfoundry-community/go-cfenv"

	"github.com/kafka-tunnel/kafka-tunnel/internal/boundedfile"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// maxDocument limits a file of bindings. The platform's own limit is 1 000 000 bytes
// (RFC-0030).
const maxDocument = 4 << 20

// A document is the JSON that lists all bound services by label.
type document struct {
	text   []byte
	source string
}

// read returns what is bound and where it was found. The file has precedence over the variable,
// and the variable over folders; a platform has only one of them.
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
func (d document) entries() ([]entry, error) {
	text := bytes.TrimPrefix(d.text, []byte("\xef\xbb\xbf"))
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, malformed(d.source, "the file is empty")
	}
	var byLabel map[string]json.RawMessage
	if err := json.Unmarshal(text, &byLabel); err != nil {
		return nil, malformed(d.source, position(text, err))
	}
	var all []entry
	for _, l := range slices.Sorted(maps.Keys(byLabel)) {
		var list []json.RawMessage
		if err := json.Unmarshal(byLabel[l], &list); err != nil && needed(l) {
			return nil, malformed(d.source, fmt.Sprintf("%q is not a list", l))
		}
		for i, one := range list {
			s, err := decode(l, one)
			switch {
			case err == nil:
				all = append(all, entry{label: l, Service: s})
			case needed(l):
				return nil, malformed(d.source, fmt.Sprintf("entry %d of %q is not a service", i+1, l))
			}
		}
	}
	return all, nil
}

// needed reports whether a broken service under this label is an error.
func needed(label string) bool {
	return strings.EqualFold(label, connectivity.label) || strings.EqualFold(label, destination.label)
}

// decode decodes one service of a label through go-cfenv, whose errors contain values and must
// not be shown. It decodes each service alone: a malformed one that the tunnel does not need
// does no harm.
func decode(label string, one json.RawMessage) (cfenv.Service, error) {
	// go-cfenv would take a null or an empty list for a service without a name.
	if !bytes.HasPrefix(bytes.TrimSpace(one), []byte("{")) {
		return cfenv.Service{}, errors.New("is not an object")
	}
	text, err := json.Marshal(map[string][]json.RawMessage{label: {one}})
	if err != nil {
		return cfenv.Service{}, err
	}
	// On a laptop there is no VCAP_APPLICATION; go-cfenv requires one.
	app, err := cfenv.New(map[string]string{"VCAP_APPLICATION": "{}", variable: string(text)})
	if err != nil {
		return cfenv.Service{}, err
	}
	return app.Services[label][0], nil
}

// position returns where the JSON is invalid, without its content.
func position(text []byte, err error) string {
	syntax, ok := errors.AsType[*json.SyntaxError](err)
	if !ok {
		return "it is not a JSON object"
	}
	// The offset counts the bytes read, including the invalid one.
	at := min(max(int(syntax.Offset)-1, 0), len(text))
	line := 1 + bytes.Count(text[:at], []byte("\n"))
	column := at - bytes.LastIndexByte(text[:at], '\n')
	return fmt.Sprintf("it is not valid JSON: line %d, column %d", line, column)
}

func malformed(source, detail string) error {
	return failure.New(failure.BindingMalformed, nil).For(source, "").With(detail)
}
