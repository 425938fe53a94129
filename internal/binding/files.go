package binding

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/boundedfile"
)

// sapRoot is where older installations of SAP on Kubernetes mount their secrets:
// SERVICE/INSTANCE/KEY below it.
const sapRoot = "/etc/secrets/sapbtp"

// Limits for reading below a root.
const (
	maxBindings = 200
	maxKeys     = 200
	maxValue    = 1 << 20
)

// rootEntries reads the bindings below SERVICE_BINDING_ROOT: a folder for each, with a file for
// each key (servicebinding.io; RFC-0030 of Cloud Foundry).
//
//	ROOT/my-connectivity/type        connectivity     metadata
//	                     clientid    sb-...           a credential
//	                     .metadata   {"credentialProperties": [...]}, if SAP BTP's operator has created it
func rootEntries(root string) ([]entry, error) {
	folders, err := folders(root)
	if err != nil {
		return nil, malformed(root, rootVariable+" names a folder that cannot be read: "+err.Error())
	}
	var all []entry
	for _, name := range folders {
		e, err := folderEntry(filepath.Join(root, name), name, "")
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// sapEntries reads the services of the older layout.
func sapEntries(root string) ([]entry, error) {
	var all []entry
	for _, k := range []kind{connectivity, destination, identity} {
		folder := filepath.Join(root, k.label)
		instances, err := folders(folder)
		if err != nil {
			continue // no binding in this form
		}
		for _, name := range instances {
			e, err := folderEntry(filepath.Join(folder, name), name, k.label)
			if err != nil {
				return nil, err
			}
			all = append(all, e)
		}
	}
	return all, nil
}

// folders lists the subfolders except those whose names begin with a dot: Kubernetes keeps the
// versions of a volume there (..data).
func folders(root string) ([]string, error) {
	list, err := os.ReadDir(root)
	if err != nil {
		return nil, boundedfile.Cause(err)
	}
	var names []string
	for _, one := range list {
		if strings.HasPrefix(one.Name(), ".") || len(names) == maxBindings {
			continue
		}
		if info, err := os.Stat(filepath.Join(root, one.Name())); err == nil && info.IsDir() {
			names = append(names, one.Name())
		}
	}
	return names, nil
}

// The keys that describe a binding and are not credentials, with the spellings of Cloud
// Foundry's documentation, of its code and of SAP's operator.
var metadata = map[string]string{
	"type": "type", "provider": "provider", "label": "label", "plan": "plan", "tags": "tags", "name": "name",
	"instance_name": "instance_name", "instance-name": "instance_name",
	"instance_guid": "instance_guid", "instance-guid": "instance_guid",
	"binding_name": "binding_name", "binding-name": "binding_name",
	"binding_guid": "binding_guid", "binding-guid": "binding_guid",
}

// folderEntry reads one binding. as is its label if the folder has none.
func folderEntry(folder, name, as string) (entry, error) {
	values, layout, err := readValues(folder)
	if err != nil {
		return entry{}, err
	}
	about, credentials := map[string]any{"name": name}, map[string]any{}
	for key, value := range layout.unfold(values) {
		if known, ok := metadata[key]; ok {
			about[known] = value
			continue
		}
		credentials[key] = value
	}
	if len(credentials) > 0 {
		about["credentials"] = credentials
	}
	for _, key := range []string{"label", "type", "provider"} {
		if text, ok := about[key].(string); ok && as == "" {
			as = text
		}
	}
	if as == "" {
		as = userProvided
	}
	delete(about, "type")
	delete(about, "provider")
	about["label"] = as
	if _, ok := about["tags"].([]any); !ok {
		delete(about, "tags")
	}
	one, err := json.Marshal(about)
	if err != nil {
		return entry{}, malformed(folder, "it cannot be used")
	}
	s, err := decode(as, one)
	if err != nil {
		return entry{}, malformed(folder, "it is not a service binding")
	}
	return entry{label: as, Service: s}, nil
}

// readValues reads the files of a binding.
func readValues(folder string) (map[string]string, layout, error) {
	list, err := os.ReadDir(folder)
	if err != nil {
		return nil, layout{}, malformed(folder, "it cannot be read: "+boundedfile.Cause(err).Error())
	}
	values := map[string]string{}
	var l layout
	for _, one := range list {
		key, path := one.Name(), filepath.Join(folder, one.Name())
		if strings.HasPrefix(key, ".") && key != layoutFile {
			continue
		}
		info, err := os.Stat(path) // in Kubernetes each file is a symbolic link
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		text, err := boundedfile.Read(path, maxDocument)
		switch {
		case err != nil:
			return nil, l, malformed(folder, fmt.Sprintf("%s cannot be read: %s", key, err))
		case len(text) > maxValue || len(values) >= maxKeys:
			return nil, l, malformed(folder, "it is too large for a service binding")
		case key == layoutFile:
			if err := json.Unmarshal(text, &l); err != nil {
				return nil, l, malformed(folder, layoutFile+" "+strings.TrimPrefix(position(text, err), "it "))
			}
		default:
			// Editors end the last line of a file; only one line end is removed.
			values[key] = strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
		}
	}
	return values, l, nil
}

// layoutFile describes how SAP BTP's operator has written a secret.
const layoutFile = ".metadata"

// A layout is the content of layoutFile.
type layout struct {
	Metadata    []property `json:"metaDataProperties"`
	Credentials []property `json:"credentialProperties"`
}

type property struct {
	Name      string `json:"name"`
	Format    string `json:"format"`    // "text" or "json"
	Container bool   `json:"container"` // its value is JSON with the credentials (secretKey)
}

// unfold returns the values by key: it decodes JSON, and replaces containers by the values in
// them.
func (l layout) unfold(values map[string]string) map[string]any {
	// secretRootKey: one file has everything, as one JSON object.
	if len(values) == 1 && len(l.Metadata)+len(l.Credentials) == 0 {
		for _, text := range values {
			if object, ok := decoded(text).(map[string]any); ok {
				return object
			}
		}
	}
	out := map[string]any{}
	for key, text := range values {
		p, described := l.property(key)
		if described && p.Format == "text" {
			out[key] = text
			continue
		}
		value := decoded(text)
		object, isObject := value.(map[string]any)
		if described && p.Container && isObject {
			for inner, v := range object {
				out[inner] = v
			}
			continue
		}
		out[key] = value
	}
	return out
}

func (l layout) property(key string) (property, bool) {
	for _, p := range slices.Concat(l.Credentials, l.Metadata) {
		if p.Name == key {
			return p, true
		}
	}
	return property{}, false
}

// decoded returns the decoded JSON if a string is an object or a list.
func decoded(text string) any {
	if trimmed := bytes.TrimSpace([]byte(text)); len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') {
		var value any
		if json.Unmarshal(trimmed, &value) == nil {
			return value
		}
	}
	return text
}
