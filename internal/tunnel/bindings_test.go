package tunnel

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
)

// A bound service is an entry of VCAP_SERVICES.
type bound struct {
	Name         string         `json:"name"`
	Label        string         `json:"label"`
	InstanceGUID string         `json:"instance_guid"`
	Credentials  map[string]any `json:"credentials"`
}

// split takes VCAP_SERVICES out of the environment that the lab provides.
func split(t *testing.T, l *lab.Landscape) (services map[string][]bound, text string, rest []string) {
	t.Helper()
	for _, v := range l.Env() {
		if value, ok := strings.CutPrefix(v, "VCAP_SERVICES="); ok {
			text = value
			continue
		}
		rest = append(rest, v)
	}
	if err := json.Unmarshal([]byte(text), &services); err != nil {
		t.Fatal(err)
	}
	return services, text, append(rest, "KAFKA_TUNNEL_LISTEN=127.0.0.1:0", "KAFKA_TUNNEL_BROKER_PORTS=0")
}

// each calls f for every credential of every service, as text.
func each(services map[string][]bound, f func(s bound, key, value string)) {
	for label, list := range services {
		for _, s := range list {
			s.Label = label
			for key, value := range s.Credentials {
				text, isText := value.(string)
				if !isText {
					encoded, _ := json.Marshal(value)
					text = string(encoded)
				}
				f(s, key, text)
			}
		}
	}
}

// TestEveryFormOfBinding: a record passes with every form of binding, with addresses
// from a destination and with a token of each kind.
func TestEveryFormOfBinding(t *testing.T) {
	write := func(t *testing.T, path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	forms := map[string]func(t *testing.T, l *lab.Landscape) config.Input{
		"VCAP_SERVICES": func(t *testing.T, l *lab.Landscape) config.Input {
			_, text, rest := split(t, l)
			return config.Input{Environ: append(rest, "VCAP_SERVICES="+text)}
		},
		"VCAP_SERVICES_FILE_PATH": func(t *testing.T, l *lab.Landscape) config.Input {
			_, text, rest := split(t, l)
			path := filepath.Join(t.TempDir(), "vcap")
			write(t, path, text)
			return config.Input{Environ: append(rest, "VCAP_SERVICES_FILE_PATH="+path)}
		},
		"SERVICE_BINDING_ROOT, Cloud Foundry": func(t *testing.T, l *lab.Landscape) config.Input {
			services, _, rest := split(t, l)
			root := t.TempDir()
			each(services, func(s bound, key, value string) {
				write(t, filepath.Join(root, s.Name, key), value)
				write(t, filepath.Join(root, s.Name, "type"), s.Label)
				write(t, filepath.Join(root, s.Name, "instance-guid"), s.InstanceGUID)
			})
			return config.Input{Environ: append(rest, "SERVICE_BINDING_ROOT="+root)}
		},
		"SAP BTP service operator, secretKey": func(t *testing.T, l *lab.Landscape) config.Input {
			services, _, rest := split(t, l)
			root := t.TempDir()
			for label, list := range services {
				for _, s := range list {
					credentials, _ := json.Marshal(s.Credentials)
					for key, value := range map[string]string{
						"credentials": string(credentials), "type": label, "instance_name": s.Name, "instance_guid": s.InstanceGUID,
						".metadata": `{"metaDataProperties":[{"name":"type","format":"text"}],"credentialProperties":[{"name":"credentials","format":"json","container":true}]}`,
					} {
						write(t, filepath.Join(root, s.Name, key), value)
					}
				}
			}
			return config.Input{Environ: append(rest, "SERVICE_BINDING_ROOT="+root)}
		},
		"/etc/secrets/sapbtp": func(t *testing.T, l *lab.Landscape) config.Input {
			services, _, rest := split(t, l)
			root := t.TempDir()
			each(services, func(s bound, key, value string) {
				write(t, filepath.Join(root, s.Label, s.Name, key), value)
				write(t, filepath.Join(root, s.Label, s.Name, "instance_guid"), s.InstanceGUID)
			})
			return config.Input{Environ: rest, Secrets: root}
		},
		"--default-env": func(t *testing.T, l *lab.Landscape) config.Input {
			_, text, rest := split(t, l)
			path := filepath.Join(t.TempDir(), "default-env.json")
			write(t, path, `{"VCAP_SERVICES": `+text+`}`)
			flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
			config.Flags(flags)
			if err := flags.Parse([]string{"--default-env", path}); err != nil {
				t.Fatal(err)
			}
			return config.Input{Environ: rest, Flags: flags}
		},
	}
	userProvided := func(t *testing.T, l *lab.Landscape) config.Input {
		services, _, rest := split(t, l)
		var list []bound
		for _, s := range slices.Concat(services["connectivity"], services["destination"]) {
			s.Name, s.Label = "my-"+s.Name, "user-provided"
			list = append(list, s)
		}
		text, _ := json.Marshal(map[string][]bound{"user-provided": list})
		return config.Input{Environ: append(rest, "VCAP_SERVICES="+string(text))}
	}
	plain := func(t *testing.T, l *lab.Landscape) config.Input {
		services, _, rest := split(t, l)
		c := services["connectivity"][0].Credentials
		return config.Input{Environ: append(rest,
			fmt.Sprintf("KAFKA_TUNNEL_CONNECTIVITY_PROXY=%s:%s", c["onpremise_proxy_host"], c["onpremise_socks5_proxy_port"]),
			fmt.Sprintf("KAFKA_TUNNEL_TOKEN_URL=%s", c["token_service_url"]),
			fmt.Sprintf("KAFKA_TUNNEL_TOKEN_CLIENT_ID=%s", c["clientid"]),
			fmt.Sprintf("KAFKA_TUNNEL_TOKEN_CLIENT_SECRET=%s", c["clientsecret"]))}
	}
	try := func(name string, o lab.Options, form func(*testing.T, *lab.Landscape) config.Input) {
		o.Brokers = 1
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bed := newTestbedFrom(t, o, func(l *lab.Landscape) config.Input { return form(t, l) })
			bed.roundTrip(t, "topic", 1)
		})
	}
	for name, form := range forms {
		try(name, lab.Options{Destination: true}, form)
		try(name+", X.509", lab.Options{Destination: true, X509: true}, form)
		try(name+", IAS", lab.Options{Destination: true, Identity: true}, form)
	}
	try("user-provided", lab.Options{Destination: true}, userProvided)
	try("plain configuration", lab.Options{}, plain)
}
