package config

import (
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// fileFlag is the flag that names the file.
const fileFlag = "config"

// Flags registers a flag for every key that is no secret and no list of objects.
// Their values are checked by [Load], together with everything else.
func Flags(fs *pflag.FlagSet) {
	fs.String(fileFlag, "", "YAML file with the configuration")
	fs.String(defaultEnvFlag, "", "default-env.json with variables that are not set, on a laptop")
	for _, k := range schema() {
		if k.noFlag {
			continue
		}
		flag := fs.VarPF(&flagText{text: k.def, list: k.shape == isList, kind: k.flagKind()}, k.flagName(), "", k.help)
		if k.def == "false" {
			flag.NoOptDefVal = "true"
		}
	}
}

// flagKind is the word that the help shows for a value.
func (k key) flagKind() string {
	switch {
	case k.def == "false":
		return "bool"
	case k.shape == isList:
		return "list"
	case k.address:
		return "address"
	}
	if _, err := time.ParseDuration(k.def); err == nil && k.def != "0" {
		return "duration"
	}
	return "text"
}

// flagText takes any text, so that a wrong value is told together with all other
// problems. A list may be given in parts: --bootstrap a:9092 --bootstrap b:9092.
type flagText struct {
	text string
	kind string
	list bool
	set  bool
}

func (f *flagText) String() string { return f.text }
func (f *flagText) Type() string   { return f.kind }

func (f *flagText) Set(text string) error {
	if f.list && f.set {
		text = f.text + "," + text
	}
	f.text, f.set = text, true
	return nil
}

// flagSettings returns the flags that were set, by the names of keys.
func flagSettings(fs *pflag.FlagSet, keys []key) settings {
	out := settings{}
	if fs == nil {
		return out
	}
	for _, k := range keys {
		if k.noFlag {
			continue
		}
		flag := fs.Lookup(k.flagName())
		if flag == nil || !flag.Changed {
			continue
		}
		s := given(strings.TrimSpace(flag.Value.String()), "flag --"+flag.Name)
		if k.shape == isList {
			s.items = splitList(s.text)
		}
		out[k.name] = s
	}
	return out
}
