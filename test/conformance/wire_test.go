//go:build conformance

package conformance

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

func uuidText(id []byte) string { return base64.RawURLEncoding.EncodeToString(id) }

// schemaReleases are the clients with whose schemas package wire is compared: the newest, and
// for messages that it does not have the last before Kafka 4.0.
var schemaReleases = []string{"4.4.0", "3.9.1"}

// notAsSchema are messages for which kmsg differs from the schema.
var notAsSchema = map[string]string{
	"StopReplica request 4":    "isKRaftController follows controllerEpoch",
	"ShareFetch response 1":    "records may be null",
	"ShareFetch response 2":    "records may be null",
	"UpdateMetadata request 8": "type, which is tagged, is one of the fields that are not known",
}

// TestSchemas: package wire encodes the same JSON byte for byte like generated messages that
// are encoded according to Kafka's own schemas, for every API and version; and it decodes the
// bytes to that JSON. So every name, type and version of a field is the schema's.
func TestSchemas(t *testing.T) {
	var codec wire.Codec
	seen := map[string]bool{}
	for _, release := range schemaReleases {
		t.Run(release, func(t *testing.T) {
			schemas, versions := readSchemas(t, release), 0
			for _, api := range wire.APIs() {
				for _, d := range []wire.Direction{wire.Request, wire.Response} {
					s := schemas[fmt.Sprintf("%d %s", api.Key, d)]
					for version := int16(0); version <= api.MaxVersion; version++ {
						what := fmt.Sprintf("%s %v %d", api.Name, d, version)
						if s == nil || !covers(s.ValidVersions, version) || seen[what] {
							continue
						}
						seen[what] = true
						err := errors.Join(sameFields(&codec, s, d, version), sameAsSchema(&codec, s, d, version))
						if reason := notAsSchema[what]; (err != nil) != (reason != "") {
							t.Errorf("%s: %v; expected %q", what, err, reason)
						}
						versions++
					}
				}
			}
			t.Logf("%d versions of messages", versions)
		})
	}
}

// TestErrorCodes: package wire has the error codes of the newest client, with their names, and
// the same codes are retriable.
func TestErrorCodes(t *testing.T) {
	jars := artifacts(t, "org.apache.kafka:kafka-clients:"+schemaReleases[0], "org.slf4j:slf4j-simple:1.7.36")
	said := runTool(t, exec.CommandContext(deadline(t), "java", "-cp", string(jars), "errorcodes/ErrorCodes.java"))
	codes := 0
	for line := range strings.Lines(string(said)) {
		var (
			want      wire.Error
			retriable bool
		)
		if _, err := fmt.Sscanf(line, "%d %s %t", &want.Code, &want.Name, &retriable); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if got := wire.ErrorOf(want.Code); got.Name != want.Name || got.Retriable != retriable {
			t.Errorf("%d is %s, retriable %v; Kafka says %s, %v", want.Code, got.Name, got.Retriable, want.Name, retriable)
		}
		codes++
	}
	if all := wire.Errors(); codes != len(all) {
		t.Errorf("%d codes, Kafka has %d", len(all), codes)
	}
}

// sameFields compares the descriptions of one version.
func sameFields(codec *wire.Codec, s *schema, d wire.Direction, version int16) error {
	fields, err := codec.Fields(d, s.APIKey, version)
	if err != nil {
		return err
	}
	return compareFields("", s, version, s.Fields, fields)
}

func compareFields(path string, s *schema, version int16, wanted []schemaField, fields []wire.Field) error {
	all := s.in(wanted, version)
	if len(all) != len(fields) {
		return fmt.Errorf("%s: the schema has %d fields, wire has %d", path, len(all), len(fields))
	}
	for _, want := range all {
		i := slices.IndexFunc(fields, func(f wire.Field) bool { return f.Name == camel(want.Name) })
		if i < 0 {
			return fmt.Errorf("%s: wire has no %s", path, want.Name)
		}
		f, at := fields[i], path+"."+fields[i].Name
		if kind := s.kind(want.Type); f.Type != kind || f.Nullable != covers(want.NullableVersions, version) {
			return fmt.Errorf("%s: the schema says %s, null in %q, wire says %s, null: %v", at, kind, want.NullableVersions, f.Type, f.Nullable)
		}
		if err := compareFields(at, s, version, s.structOf(want), f.Fields); err != nil {
			return err
		}
	}
	return nil
}

// sameAsSchema compares some messages of one version.
func sameAsSchema(codec *wire.Codec, s *schema, d wire.Direction, version int16) error {
	for seed := range uint64(10) {
		e := schemaEncoder{s, version, rand.New(rand.NewPCG(seed, uint64(s.APIKey)))}
		body, values := e.object(nil, s.Fields)
		document, err := json.Marshal(values)
		if err != nil {
			return err
		}
		m, err := codec.ParseJSON(d, s.APIKey, version, document)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, document)
		}
		if got := m.AppendTo(nil); !bytes.Equal(got, body) {
			return fmt.Errorf("the bytes differ\n%s\nschema %x\nwire   %x", document, body, got)
		}
		back, err := wire.New(d, s.APIKey, version)
		if err != nil {
			return err
		}
		if err := back.ReadFrom(body); err != nil {
			return err
		}
		text, err := codec.AppendJSON(nil, back)
		if err != nil {
			return err
		}
		again, err := codec.ParseJSON(d, s.APIKey, version, text)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, text)
		}
		if got := again.AppendTo(nil); !bytes.Equal(got, body) {
			return fmt.Errorf("after its way through JSON the bytes differ\n%s\nschema %x\nwire   %x", text, body, got)
		}
	}
	return nil
}
