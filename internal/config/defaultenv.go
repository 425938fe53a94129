package config

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/boundedfile"
)

// The file of variables that SAP's tools use on a laptop: default-env.json.
const (
	defaultEnvFlag     = "default-env"
	defaultEnvVariable = prefix + "DEFAULT_ENV"
)

// withDefaultEnv adds the variables of a default-env.json, if one is named, that are
// not set:
//
//	{"VCAP_SERVICES": {"connectivity": [...]}, "KAFKA_TUNNEL_BOOTSTRAP": "kafka-1.corp:9092"}
//
// What is no text becomes the JSON that it is.
func (in Input) withDefaultEnv() (Input, *Problem) {
	path, source := environValue(in.Environ, defaultEnvVariable), variableSource(defaultEnvVariable)
	if in.Flags != nil {
		if flag := in.Flags.Lookup(defaultEnvFlag); flag != nil && flag.Changed {
			path, source = flag.Value.String(), "flag --"+defaultEnvFlag
		}
	}
	if path == "" {
		return in, nil
	}
	wrong := &Problem{Key: defaultEnvFlag, Source: source, Value: brief(path)}
	read := in.ReadFile
	if read == nil {
		read = readFile
	}
	text, err := read(path)
	if err != nil {
		wrong.Message = "cannot be read: " + boundedfile.Cause(err).Error()
		return in, wrong
	}
	var variables map[string]json.RawMessage
	if json.Unmarshal(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), &variables) != nil {
		wrong.Message = "is not a JSON object of variables, as in default-env.json"
		return in, wrong
	}
	in.Environ = slices.Clone(in.Environ)
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		if environValue(in.Environ, name) != "" || name == "" || strings.ContainsAny(name, "=\x00") {
			continue
		}
		var value string
		if json.Unmarshal(variables[name], &value) != nil {
			value = string(variables[name])
		}
		in.Environ = append(in.Environ, name+"="+value)
	}
	return in, nil
}
