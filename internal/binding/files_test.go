package binding

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// tree writes files below a root. A name behind -> is what it links to.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if to, link := strings.CutPrefix(content, "-> "); link {
			err = os.Symlink(to, path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// keys are the credentials of a connectivity binding as files.
func keys(folder string, more map[string]string) map[string]string {
	files := map[string]string{
		"clientid": "sb-k8s!b1|connectivity!b5", "clientsecret": "s3cr3t!", "onpremise_proxy_host": "connectivity-proxy.kyma-system.svc.cluster.local",
		"onpremise_socks5_proxy_port": "20004", "token_service_url": "https://sub.authentication.example.com",
	}
	for key, value := range more {
		files[key] = value
	}
	out := map[string]string{}
	for key, value := range files {
		out[folder+"/"+key] = value
	}
	return out
}

const asJSON = `{"clientid":"sb-k8s!b1|connectivity!b5","clientsecret":"s3cr3t!","onpremise_proxy_host":"connectivity-proxy.kyma-system.svc.cluster.local",` +
	`"onpremise_socks5_proxy_port":"20004","token_service_url":"https://sub.authentication.example.com"`

func with(maps ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, m := range maps {
		for key, value := range m {
			all[key] = value
		}
	}
	return all
}

// TestFolders: every form in which a binding can be a folder with files.
func TestFolders(t *testing.T) {
	for name, test := range map[string]struct {
		files   map[string]string
		service string
	}{
		"Cloud Foundry, as its code has it": {keys("conn", map[string]string{
			"type": "connectivity", "provider": "connectivity", "label": "connectivity", "plan": "lite", "binding_guid": "g", "instance_name": "inst", "tags": `["conn"]`,
		}), "inst"},
		"Cloud Foundry, as its documentation has it": {keys("conn", map[string]string{
			"type": "connectivity", "provider": "connectivity", "binding-guid": "g", "instance-name": "inst",
		}), "inst"},
		"servicebinding.io":  {keys("conn", map[string]string{"type": "connectivity"}), ""},
		"with ends of lines": {keys("conn", map[string]string{"type": "connectivity\n", "clientsecret": "s3cr3t!\r\n"}), ""},
		"Kubernetes, where files are links": {with(
			keys("conn/..2026_11_20", map[string]string{"type": "connectivity"}),
			map[string]string{
				"conn/..data": "-> ..2026_11_20", "conn/type": "-> ..data/type", "conn/clientid": "-> ..data/clientid", "conn/clientsecret": "-> ..data/clientsecret",
				"conn/onpremise_proxy_host": "-> ..data/onpremise_proxy_host", "conn/onpremise_socks5_proxy_port": "-> ..data/onpremise_socks5_proxy_port",
				"conn/token_service_url": "-> ..data/token_service_url",
			}), ""},
		"the operator's metadata": {keys("conn", map[string]string{
			"type": "connectivity", "label": "connectivity", "plan": "connectivity_proxy", "tags": `["a"]`, "extra": `{"a": 1}`,
			".metadata": `{"metaDataProperties":[{"name":"type","format":"text"},{"name":"tags","format":"json"}],"credentialProperties":[{"name":"clientid","format":"text"},{"name":"extra","format":"json"}]}`,
		}), ""},
		"the operator's secretKey": {map[string]string{
			"conn/type": "connectivity", "conn/instance_name": "inst", "conn/credentials": asJSON + "}",
			"conn/.metadata": `{"metaDataProperties":[{"name":"type","format":"text"}],"credentialProperties":[{"name":"credentials","format":"json","container":true}]}`,
		}, "inst"},
		"the operator's secretRootKey": {map[string]string{"conn/root": asJSON + `,"type":"connectivity","label":"connectivity","instance_name":"inst"}`}, "inst"},
		"beside others": {with(keys("conn", map[string]string{"type": "connectivity"}), map[string]string{
			"dest/type": "destination", "dest/clientid": "s3cr3t", "empty/type": "xsuaa", ".hidden/type": "connectivity", "file": "x",
		}), ""},
		"user-provided": {keys("mine", map[string]string{"type": "user-provided"}), ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := tree(t, test.files)
			got, err := FindConnectivity([]string{"SERVICE_BINDING_ROOT=" + root}, Choice{Service: test.service})
			if err != nil {
				t.Fatal(err)
			}
			if got.ClientID != "sb-k8s!b1|connectivity!b5" || got.ClientSecret != "s3cr3t!" || got.ProxyPort != 20004 || got.Source != root ||
				got.ProxyHost != "connectivity-proxy.kyma-system.svc.cluster.local" || got.TokenURL != "https://sub.authentication.example.com/oauth/token" {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestTheOlderLayout(t *testing.T) {
	root := tree(t, keys("connectivity/inst", nil))
	got, err := FindConnectivity(nil, Choice{Service: "inst", Secrets: root})
	if err != nil || got.Name != "inst" || got.Source != root || got.ClientSecret != "s3cr3t!" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := FindConnectivity(nil, Choice{Secrets: root + "/nowhere"}); !failure.Is(err, failure.BindingMissing) {
		t.Errorf("without it: %v", err)
	}
}

func TestBadFolders(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		code  failure.Code
		want  string
	}{
		"empty":              {nil, failure.BindingMissing, "has no services"},
		"others only":        {map[string]string{"dest/type": "destination"}, failure.BindingMissing, "has only destination"},
		"broken metadata":    {keys("conn", map[string]string{".metadata": `{"a": s3cr3t}`}), failure.BindingMalformed, ".metadata is not valid JSON: line 1, column 7"},
		"a giant":            {keys("conn", map[string]string{"type": "connectivity", "x": strings.Repeat("s3cr3t", maxValue/6+1)}), failure.BindingMalformed, "too large"},
		"without a secret":   {map[string]string{"conn/type": "connectivity", "conn/clientid": "x"}, failure.BindingMalformed, "clientsecret is missing"},
		"two of them":        {with(keys("a", map[string]string{"type": "connectivity"}), keys("b", map[string]string{"type": "connectivity"})), failure.BindingAmbiguous, "a, b"},
		"a list for a label": {keys("conn", map[string]string{"type": `["connectivity"]`}), "", ""}, // then it looks like a user-provided one
	} {
		root := tree(t, test.files)
		_, err := FindConnectivity([]string{"SERVICE_BINDING_ROOT=" + root}, Choice{})
		switch {
		case test.code == "":
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case !failure.Is(err, test.code) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "s3cr3t"):
			t.Errorf("%s: %v, want %s with %q", name, err, test.code, test.want)
		}
	}
	if _, err := FindConnectivity([]string{"SERVICE_BINDING_ROOT=/nowhere"}, Choice{}); !failure.Is(err, failure.BindingMalformed) {
		t.Errorf("a root that is not there: %v", err)
	}
}
