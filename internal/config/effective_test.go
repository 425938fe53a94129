package config

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

const vcap = `VCAP_SERVICES={"connectivity":[{"name":"conn","label":"connectivity","credentials":{"clientid":"sb-x!b1|connectivity!b2",` +
	`"clientsecret":"s3cr3t!|","onpremise_proxy_host":"proxy.example.com","onpremise_socks5_proxy_port":"20004","token_service_url":"https://uaa.example.com"}}]}`

func TestResolveFillsInTheBinding(t *testing.T) {
	eff, err := Resolve(Input{Environ: []string{bootstrap, vcap}})
	if err != nil {
		t.Fatal(err)
	}
	if eff.NeedsBinding() || eff.Config.Connectivity.Proxy != "proxy.example.com:20004" ||
		eff.Config.Token != (Token{Issuer: IssuerAuto, URL: "https://uaa.example.com/oauth/token", ClientID: "sb-x!b1|connectivity!b2", ClientSecret: "s3cr3t!|"}) {
		t.Errorf("config = %+v", eff.Config)
	}
	for key, want := range map[string]string{
		"connectivity.proxy": "proxy.example.com:20004", "token.url": "https://uaa.example.com/oauth/token",
		"token.client_id": "sb-x!b1|connectivity!b2", "token.client_secret": "***",
	} {
		if got, source := eff.value(t, key); got != want || source != "binding conn" {
			t.Errorf("%s = %q (%s), want %q (binding conn)", key, got, source, want)
		}
	}
	encoded, err := json.Marshal(eff)
	if err != nil {
		t.Fatal(err)
	}
	if all := string(encoded) + fmt.Sprintf("%+v %#v %+v", eff, eff, *eff.Binding); strings.Contains(all, "s3cr3t") {
		t.Errorf("the secret is shown: %s", all)
	}
}

func TestConfigurationWinsOverTheBinding(t *testing.T) {
	token := []string{"KAFKA_TUNNEL_TOKEN_URL=https://own", "KAFKA_TUNNEL_TOKEN_CLIENT_ID=own", "KAFKA_TUNNEL_TOKEN_CLIENT_SECRET=own"}
	for _, test := range []struct {
		name       string
		env        []string
		proxy, url string
		bound      bool
	}{
		{"proxy", []string{"KAFKA_TUNNEL_CONNECTIVITY_PROXY=localhost:1"}, "localhost:1", "https://uaa.example.com/oauth/token", true},
		{"token", token, "proxy.example.com:20004", "https://own/oauth/token", true},
		{"both", append([]string{"KAFKA_TUNNEL_CONNECTIVITY_PROXY=localhost:1"}, token...), "localhost:1", "https://own/oauth/token", false},
		{"direct", []string{"KAFKA_TUNNEL_CONNECTIVITY_VIA=direct"}, "", "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			eff, err := Resolve(Input{Environ: append([]string{bootstrap, vcap}, test.env...)})
			if err != nil {
				t.Fatal(err)
			}
			if eff.Config.Connectivity.Proxy != test.proxy || eff.Config.Token.URL != test.url || (eff.Binding != nil) != test.bound {
				t.Errorf("config = %+v, binding %+v", eff.Config, eff.Binding)
			}
		})
	}
}

func TestResolveDoesNotChangeALoadedConfiguration(t *testing.T) {
	before := conf{env: []string{bootstrap}}.must(t)
	after, err := Resolve(Input{Environ: []string{bootstrap, vcap}})
	if err != nil || after.Binding == nil {
		t.Fatal(err)
	}
	if _, source := before.value(t, "token.url"); source != "default" || !before.NeedsBinding() {
		t.Errorf("the source of token.url is %s", source)
	}
}

func TestResolveFailures(t *testing.T) {
	eff, err := Resolve(Input{Environ: []string{bootstrap}})
	if !failure.Is(err, failure.BindingMissing) || eff == nil || eff.Config.Clusters == nil {
		t.Errorf("Resolve = %v, %v", eff, err)
	}
	_, err = Resolve(Input{Environ: []string{bootstrap, "KAFKA_TUNNEL_CONNECTIVITY_PROXY=a:1"}})
	if !failure.Is(err, failure.BindingMissing) || !strings.Contains(err.Error(), "connectivity.proxy is configured, but token.* is not") {
		t.Errorf("err = %v", err)
	}
	_, err = Resolve(Input{Environ: []string{
		bootstrap, "KAFKA_TUNNEL_TOKEN_URL=https://own", "KAFKA_TUNNEL_TOKEN_CLIENT_ID=own", "KAFKA_TUNNEL_TOKEN_CLIENT_SECRET=own",
	}})
	if !failure.Is(err, failure.BindingMissing) || !strings.Contains(err.Error(), "token.* is configured, but connectivity.proxy is not") {
		t.Errorf("err = %v", err)
	}
	_, err = Resolve(Input{Environ: []string{bootstrap, vcap, "KAFKA_TUNNEL_CONNECTIVITY_SERVICE=other"}})
	if !failure.Is(err, failure.BindingUnknown) || !strings.Contains(err.Error(), `none is named "other"; bound: conn`) {
		t.Errorf("err = %v", err)
	}
	if eff, err := Resolve(Input{Environ: []string{vcap}}); eff != nil || !failure.Is(err, failure.BootstrapMissing) {
		t.Errorf("Resolve = %v, %v", eff, err)
	}
}
