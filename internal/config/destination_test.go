package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// TestADestinationNeedsNoBootstrap: a cluster with a destination needs no bootstrap
// address, but it needs a bound destination service.
func TestADestinationNeedsNoBootstrap(t *testing.T) {
	const bound = `,"destination":[{"name":"dest","label":"destination","credentials":{"clientid":"sb-d","clientsecret":"s3cr3t!|","url":"https://uaa.example.com","uri":"https://dest.example.com/"}}]}`
	both := strings.TrimSuffix(vcap, "}") + bound
	eff, err := Resolve(Input{Environ: []string{"KAFKA_TUNNEL_DESTINATION=kafka", both}})
	if err != nil {
		t.Fatal(err)
	}
	want := Destinations{Name: "dest", URI: "https://dest.example.com", Token: Token{Issuer: IssuerAuto, URL: "https://uaa.example.com/oauth/token", ClientID: "sb-d", ClientSecret: "s3cr3t!|"}}
	if diff := cmp.Diff(want, eff.Config.Destinations); diff != "" {
		t.Error(diff)
	}
	if eff.Destinations == nil || eff.Destinations.URI != want.URI || eff.Binding == nil {
		t.Errorf("bindings: %+v, %+v", eff.Destinations, eff.Binding)
	}
	for name, env := range map[string][]string{
		"not bound":   {vcap},
		"two of them": {strings.Replace(both, `"destination":[`, `"destination":[{"name":"other","label":"destination","credentials":{"clientid":"x"}},`, 1)},
		"no bindings": nil,
	} {
		_, err := Resolve(Input{Environ: append(env, "KAFKA_TUNNEL_DESTINATION=kafka")})
		if f, ok := failure.As(err); !ok || f.Code != failure.DestinationUnbound || !strings.Contains(f.Advice(), "cf bind-service APP my-destination") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, env := range map[string]string{
		"contradicts connectivity.via: direct": "KAFKA_TUNNEL_CONNECTIVITY_VIA=direct",
		"letters, digits":                      "KAFKA_TUNNEL_DESTINATION=a/b",
	} {
		if _, err := Resolve(Input{Environ: []string{"KAFKA_TUNNEL_DESTINATION=kafka", both, env}}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestIdentity: tokens are fetched from the Identity Authentication service, with a
// binding and without.
func TestIdentity(t *testing.T) {
	const services = `{"connectivity":[{"name":"conn","label":"connectivity","instance_guid":"g-u-i-d","credentials":{"clientid":"sb-x","clientsecret":"xsuaa-s3cr3t",
		"token-type":["xsuaa","ias"],"onpremise_proxy_host":"proxy.example.com","onpremise_socks5_proxy_port":"20004","token_service_url":"https://uaa.example.com"}}],
		"identity":[{"name":"ias","label":"identity","credentials":{"clientid":"ias-client","clientsecret":"ias-s3cr3t","url":"https://acme.accounts.example.com"}}]}`
	onlyIAS := strings.Replace(services, `["xsuaa","ias"]`, `["ias"]`, 1)
	identity := Token{URL: "https://acme.accounts.example.com/oauth2/token", ClientID: "ias-client", ClientSecret: "ias-s3cr3t", Resource: "urn:sap:identity:application:service:id:g-u-i-d"}
	xsuaa := Token{URL: "https://uaa.example.com/oauth/token", ClientID: "sb-x", ClientSecret: "xsuaa-s3cr3t"}
	for name, test := range map[string]struct {
		environ []string
		want    Token
	}{
		"both, no issuer configured": {[]string{"VCAP_SERVICES=" + services}, xsuaa},
		"both, ias":                  {[]string{"VCAP_SERVICES=" + services, "KAFKA_TUNNEL_TOKEN_ISSUER=ias"}, identity},
		"ias alone":                  {[]string{"VCAP_SERVICES=" + onlyIAS}, identity},
		"ias alone, xsuaa":           {[]string{"VCAP_SERVICES=" + onlyIAS, "KAFKA_TUNNEL_TOKEN_ISSUER=xsuaa"}, xsuaa},
		"configured": {[]string{
			"KAFKA_TUNNEL_CONNECTIVITY_PROXY=proxy.example.com:20004", "KAFKA_TUNNEL_TOKEN_URL=https://acme.accounts.example.com", "KAFKA_TUNNEL_TOKEN_CLIENT_ID=ias-client",
			"KAFKA_TUNNEL_TOKEN_CLIENT_SECRET=ias-s3cr3t", "KAFKA_TUNNEL_TOKEN_RESOURCE=urn:sap:identity:application:service:id:g-u-i-d",
		}, identity},
	} {
		eff, err := Resolve(Input{Environ: append(test.environ, bootstrap)})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := eff.Config.Token
		got.Issuer = ""
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	_, err := Resolve(Input{Environ: []string{bootstrap, "VCAP_SERVICES=" + strings.Replace(onlyIAS, `"identity":`, `"other":`, 1)}})
	if f, ok := failure.As(err); !ok || f.Code != failure.IdentityUnbound || !strings.Contains(f.Advice(), "cf bind-service APP my-identity") {
		t.Errorf("without an identity service: %v", err)
	}
	for want, environ := range map[string][]string{
		"cannot be asked for the tenant":  {"VCAP_SERVICES=" + onlyIAS, "KAFKA_TUNNEL_TENANT=acme"},
		"cannot be sent to the Identity":  {"VCAP_SERVICES=" + services, "KAFKA_TUNNEL_TOKEN_ISSUER=ias", "KAFKA_TUNNEL_TENANT=acme"},
		"no single instance of it to use": {"VCAP_SERVICES=" + strings.Replace(onlyIAS, `"identity":`, `"other":`, 1)},
		"instance_guid is missing":        {"VCAP_SERVICES=" + strings.Replace(onlyIAS, `"instance_guid":"g-u-i-d",`, ``, 1)},
		"token.resource":                  {"VCAP_SERVICES=" + services, "KAFKA_TUNNEL_TOKEN_RESOURCE=urn:x"},
		`"ias": url is missing`:           {"VCAP_SERVICES=" + strings.Replace(onlyIAS, `,"url":"https://acme.accounts.example.com"`, ``, 1)},
		"expected auto or xsuaa or ias":   {"VCAP_SERVICES=" + services, "KAFKA_TUNNEL_TOKEN_ISSUER=uaa"},
	} {
		if _, err := Resolve(Input{Environ: append(environ, bootstrap)}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("want %q: %v", want, err)
		}
	}
}
