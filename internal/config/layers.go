package config

import "github.com/spf13/viper"

// A setting is one value as it was given, with its source.
type setting struct {
	text     string        // of a scalar; of the others for display
	items    []string      // of a list
	rules    []AddressRule // of address_map
	forwards []Forward     // of forwards
	source   string        // for people: "variable KAFKA_TUNNEL_LISTEN"
	// chosen: somebody gave the value; it is not a default.
	chosen bool
}

// given returns a setting that somebody chose.
func given(text, source string) setting { return setting{text: text, source: source, chosen: true} }

// settings are the values of one place, by the id of their key: the path, for the
// keys of clusters with the number of the cluster ("clusters[0].listen").
type settings map[string]setting

// layers stacks the places a value can come from. viper holds the stack and
// answers which one wins.
//
// Only this is asked of viper. Values go in with their source and come out with
// it, and are understood afterwards: its own conversions turn "5x" into 0 s, its
// Unmarshal misses what exists only in the environment, its environment is that of
// the process, and it neither notices unknown variables nor tells where a value
// came from.
type layers struct {
	v *viper.Viper
}

// newLayers builds the stack. An id in a later argument hides the same id in the
// ones before.
func newLayers(defaults, file, variables, flags settings) layers {
	// Ids are used whole: viper must not split them at their dots.
	v := viper.NewWithOptions(viper.KeyDelimiter("\x00"))
	for id, s := range defaults {
		v.SetDefault(id, s)
	}
	for _, layer := range []settings{file, variables} {
		values := make(map[string]any, len(layer))
		for id, s := range layer {
			values[id] = s
		}
		// It returns an error by its signature only.
		_ = v.MergeConfigMap(values)
	}
	for id, s := range flags {
		v.Set(id, s)
	}
	return layers{v}
}

// get returns the winning setting.
func (l layers) get(id string) (setting, bool) {
	s, ok := l.v.Get(id).(setting)
	return s, ok
}
