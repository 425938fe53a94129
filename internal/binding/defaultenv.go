package binding

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
)

// AddDefaultEnv adds variables of a default-env.json, the file of SAP's tools for development
// on a laptop, to an environment that does not have them:
//
//	{"VCAP_SERVICES": {"connectivity": [...]}, "KAFKA_TUNNEL_BOOTSTRAP": "kafka-1.corp:9092"}
//
// A value that is not a string becomes its JSON.
func AddDefaultEnv(environ []string, document []byte) ([]string, error) {
	var variables map[string]json.RawMessage
	if json.Unmarshal(bytes.TrimPrefix(document, []byte("\xef\xbb\xbf")), &variables) != nil {
		return environ, errors.New("is not a JSON object of variables like default-env.json")
	}
	environ = slices.Clone(environ)
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		set := slices.ContainsFunc(environ, func(entry string) bool { return strings.HasPrefix(entry, name+"=") && len(entry) > len(name)+1 })
		if set || name == "" || strings.ContainsAny(name, "=\x00") {
			continue
		}
		var value string
		if json.Unmarshal(variables[name], &value) != nil {
			value = string(variables[name])
		}
		environ = append(environ, name+"="+value)
	}
	return environ, nil
}
