package config

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// props is a destination as the service answers it.
func props(more map[string]string) map[string]string {
	all := map[string]string{"Name": "kafka", "Type": "TCP", "ProxyType": "OnPremise", "Address": "kafka-1.corp:9092", "Password": "s3cr3t", "tcp.nodelay": "true"}
	maps.Copy(all, more)
	return all
}

func TestWith(t *testing.T) {
	first := []HostPort{{"kafka-1.corp", 9092}}
	for name, test := range map[string]struct {
		configured Cluster
		props      map[string]string
		want       Cluster
	}{
		"address": {Cluster{}, nil, Cluster{Bootstrap: first}},
		"scheme":  {Cluster{}, map[string]string{"Address": "tcp://kafka-1.corp:9092/"}, Cluster{Bootstrap: first}},
		"URL":     {Cluster{}, map[string]string{"Address": "", "URL": "tcp://kafka-1.corp:9092"}, Cluster{Bootstrap: first}},
		"letters": {Cluster{}, map[string]string{"Type": "tcp", "ProxyType": "onPremise"}, Cluster{Bootstrap: first}},
		"all": {
			Cluster{Name: "default"},
			map[string]string{
				"CloudConnectorLocationId": "PLANT1", "kafka-tunnel.bootstrap": "kafka-2.corp:9092, kafka-1.corp:9092", "kafka-tunnel.tenant": "acme",
				"kafka-tunnel.address_map": `[{from: "a", to: "b"}]`, "kafka-tunnel.tls.enabled": "true", "kafka-tunnel.tls.server_name": "kafka.corp",
			},
			Cluster{
				Name: "default", Bootstrap: []HostPort{{"kafka-1.corp", 9092}, {"kafka-2.corp", 9092}}, LocationID: "PLANT1", Tenant: "acme",
				AddressMap: []AddressRule{{From: "a", To: "b"}}, TLS: TLS{Enabled: true, ServerName: "kafka.corp"},
			},
		},
		"what is configured wins": {
			Cluster{Bootstrap: []HostPort{{"own", 1}}, LocationID: "OWN", Tenant: "own", AddressMap: []AddressRule{{From: "o", To: "p"}}, TLS: TLS{Enabled: true, ServerName: "own"}},
			map[string]string{
				"CloudConnectorLocationId": "PLANT1", "kafka-tunnel.bootstrap": "kafka-2.corp:9092", "kafka-tunnel.tenant": "acme",
				"kafka-tunnel.address_map": `[{from: "a", to: "b"}]`, "kafka-tunnel.tls.enabled": "false", "kafka-tunnel.tls.server_name": "kafka.corp",
			},
			Cluster{Bootstrap: []HostPort{{"own", 1}}, LocationID: "OWN", Tenant: "own", AddressMap: []AddressRule{{From: "o", To: "p"}}, TLS: TLS{Enabled: true, ServerName: "own"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := test.configured
			got, err := test.configured.With(props(test.props), AuthJWT)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(before, test.configured); diff != "" {
				t.Errorf("what was configured has changed: %s", diff)
			}
		})
	}
	for _, text := range []string{authorityPEM, strings.ReplaceAll(authorityPEM, "\n", `\n`)} {
		got, err := Cluster{}.With(props(map[string]string{"kafka-tunnel.tls.enabled": "true", "kafka-tunnel.tls.ca": text}), AuthJWT)
		if err != nil || got.TLS.Roots == nil {
			t.Errorf("an authority: %v", err)
		}
	}
}

// TestWithWhatCannotBeUsed: every problem names the property and what is allowed, and no
// value that may be a secret.
func TestWithWhatCannotBeUsed(t *testing.T) {
	for want, test := range map[string]struct {
		props map[string]string
		auth  string
		code  failure.Code
	}{
		`its Type is "HTTP"`:                                     {map[string]string{"Type": "HTTP"}, AuthJWT, failure.DestinationWrongType},
		`its Type is ""`:                                         {map[string]string{"Type": ""}, AuthJWT, failure.DestinationWrongType},
		`its ProxyType is "Internet"`:                            {map[string]string{"ProxyType": "Internet"}, AuthJWT, failure.DestinationWrongType},
		"Address is missing":                                     {map[string]string{"Address": ""}, AuthJWT, ""},
		"Address expected HOST:PORT":                             {map[string]string{"Address": "kafka-1.corp"}, AuthJWT, ""},
		`kafka-tunnel.bootstrap "b": expected HOST:PORT`:         {map[string]string{"kafka-tunnel.bootstrap": "a:1,b"}, AuthJWT, ""},
		"example kafka-tunnel.address_map":                       {map[string]string{"kafka-tunnel.adress_map": "s3cr3t"}, AuthJWT, ""},
		"kafka-tunnel.address_map":                               {map[string]string{"kafka-tunnel.address_map": "[{from: a}]"}, AuthJWT, ""},
		"kafka-tunnel.tenant expected":                           {map[string]string{"kafka-tunnel.tenant": "a b"}, AuthJWT, ""},
		"kafka-tunnel.tls.enabled expected true or false":        {map[string]string{"kafka-tunnel.tls.enabled": "s3cr3t"}, AuthJWT, ""},
		"kafka-tunnel.tls.ca":                                    {map[string]string{"kafka-tunnel.tls.enabled": "true", "kafka-tunnel.tls.ca": "s3cr3t"}, AuthJWT, ""},
		"no effect without kafka-tunnel.tls.enabled: true":       {map[string]string{"kafka-tunnel.tls.server_name": "a"}, AuthJWT, ""},
		"kafka-tunnel.sasl.username is not a property":           {map[string]string{"kafka-tunnel.sasl.username": "s3cr3t"}, AuthJWT, ""},
		"cannot be sent to a proxy with connectivity.auth: none": {map[string]string{"CloudConnectorLocationId": "X"}, AuthNone, ""},
	} {
		_, err := Cluster{Destination: "kafka"}.With(props(test.props), test.auth)
		code := test.code
		if code == "" {
			code = failure.DestinationProperty
		}
		if !failure.Is(err, code) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cr3t") || !strings.Contains(err.Error(), "destination kafka") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// TestADestinationNeedsNoBootstrap, but a bound destination service.
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

// TestIdentity: tokens from the Identity Authentication service, by binding and without.
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
		"both, nothing said": {[]string{"VCAP_SERVICES=" + services}, xsuaa},
		"both, ias":          {[]string{"VCAP_SERVICES=" + services, "KAFKA_TUNNEL_TOKEN_ISSUER=ias"}, identity},
		"ias alone":          {[]string{"VCAP_SERVICES=" + onlyIAS}, identity},
		"ias alone, xsuaa":   {[]string{"VCAP_SERVICES=" + onlyIAS, "KAFKA_TUNNEL_TOKEN_ISSUER=xsuaa"}, xsuaa},
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
		"cannot be asked for the tenant": {"VCAP_SERVICES=" + onlyIAS, "KAFKA_TUNNEL_TENANT=acme"},
		"cannot be sent to the Identity": {"VCAP_SERVICES=" + services, "KAFKA_TUNNEL_TOKEN_ISSUER=ias", "KAFKA_TUNNEL_TENANT=acme"},
		"no one instance of it is bound": {"VCAP_SERVICES=" + strings.Replace(onlyIAS, `"identity":`, `"other":`, 1)},
		"instance_guid is missing":       {"VCAP_SERVICES=" + strings.Replace(onlyIAS, `"instance_guid":"g-u-i-d",`, ``, 1)},
		"token.resource":                 {"VCAP_SERVICES=" + services, "KAFKA_TUNNEL_TOKEN_RESOURCE=urn:x"},
		`"ias": url is missing`:          {"VCAP_SERVICES=" + strings.Replace(onlyIAS, `,"url":"https://acme.accounts.example.com"`, ``, 1)},
		"expected auto or xsuaa or ias":  {"VCAP_SERVICES=" + services, "KAFKA_TUNNEL_TOKEN_ISSUER=uaa"},
	} {
		if _, err := Resolve(Input{Environ: append(environ, bootstrap)}); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("want %q: %v", want, err)
		}
	}
}
