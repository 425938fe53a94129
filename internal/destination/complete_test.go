package destination

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
)

// props is a destination as the service answers it.
func props(more map[string]string) map[string]string {
	all := map[string]string{"Name": "kafka", "Type": "TCP", "ProxyType": "OnPremise", "Address": "kafka-1.corp:9092", "Password": "s3cr3t", "tcp.nodelay": "true"}
	maps.Copy(all, more)
	return all
}

func TestComplete(t *testing.T) {
	first := []config.HostPort{{Host: "kafka-1.corp", Port: 9092}}
	for name, test := range map[string]struct {
		configured config.Cluster
		props      map[string]string
		want       config.Cluster
	}{
		"address": {config.Cluster{}, nil, config.Cluster{Bootstrap: first}},
		"scheme":  {config.Cluster{}, map[string]string{"Address": "tcp://kafka-1.corp:9092/"}, config.Cluster{Bootstrap: first}},
		"URL":     {config.Cluster{}, map[string]string{"Address": "", "URL": "tcp://kafka-1.corp:9092"}, config.Cluster{Bootstrap: first}},
		"letters": {config.Cluster{}, map[string]string{"Type": "tcp", "ProxyType": "onPremise"}, config.Cluster{Bootstrap: first}},
		"all": {
			config.Cluster{Name: "default"},
			map[string]string{
				"CloudConnectorLocationId": "PLANT1", "kafka-tunnel.bootstrap": "kafka-2.corp:9092, kafka-1.corp:9092", "kafka-tunnel.tenant": "acme",
				"kafka-tunnel.address_map": `[{from: "a", to: "b"}]`, "kafka-tunnel.tls.enabled": "true", "kafka-tunnel.tls.server_name": "kafka.corp",
			},
			config.Cluster{
				Name: "default", Bootstrap: []config.HostPort{{Host: "kafka-1.corp", Port: 9092}, {Host: "kafka-2.corp", Port: 9092}}, LocationID: "PLANT1", Tenant: "acme",
				AddressMap: []config.AddressRule{{From: "a", To: "b"}}, TLS: config.TLS{Enabled: true, ServerName: "kafka.corp"},
			},
		},
		"what is configured wins": {
			config.Cluster{Bootstrap: []config.HostPort{{Host: "own", Port: 1}}, LocationID: "OWN", Tenant: "own", AddressMap: []config.AddressRule{{From: "o", To: "p"}}, TLS: config.TLS{Enabled: true, ServerName: "own"}},
			map[string]string{
				"CloudConnectorLocationId": "PLANT1", "kafka-tunnel.bootstrap": "kafka-2.corp:9092", "kafka-tunnel.tenant": "acme",
				"kafka-tunnel.address_map": `[{from: "a", to: "b"}]`, "kafka-tunnel.tls.enabled": "false", "kafka-tunnel.tls.server_name": "kafka.corp",
			},
			config.Cluster{Bootstrap: []config.HostPort{{Host: "own", Port: 1}}, LocationID: "OWN", Tenant: "own", AddressMap: []config.AddressRule{{From: "o", To: "p"}}, TLS: config.TLS{Enabled: true, ServerName: "own"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := test.configured
			got, err := Complete(test.configured, props(test.props), config.AuthJWT)
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
	for _, text := range []string{testutil.AuthorityPEM, strings.ReplaceAll(testutil.AuthorityPEM, "\n", `\n`)} {
		got, err := Complete(config.Cluster{}, props(map[string]string{"kafka-tunnel.tls.enabled": "true", "kafka-tunnel.tls.ca": text}), config.AuthJWT)
		if err != nil || got.TLS.Roots == nil {
			t.Errorf("an authority: %v", err)
		}
	}
}

// TestCompleteWithWhatCannotBeUsed: every problem names the property and what is allowed, and no
// value that may be a secret.
func TestCompleteWithWhatCannotBeUsed(t *testing.T) {
	for want, test := range map[string]struct {
		props map[string]string
		auth  string
		code  failure.Code
	}{
		`its Type is "HTTP"`:                                     {map[string]string{"Type": "HTTP"}, config.AuthJWT, failure.DestinationWrongType},
		`its Type is ""`:                                         {map[string]string{"Type": ""}, config.AuthJWT, failure.DestinationWrongType},
		`its ProxyType is "Internet"`:                            {map[string]string{"ProxyType": "Internet"}, config.AuthJWT, failure.DestinationWrongType},
		"Address: is missing":                                    {map[string]string{"Address": ""}, config.AuthJWT, ""},
		"Address: expected HOST:PORT":                            {map[string]string{"Address": "kafka-1.corp"}, config.AuthJWT, ""},
		`kafka-tunnel.bootstrap: "b": expected HOST:PORT`:        {map[string]string{"kafka-tunnel.bootstrap": "a:1,b"}, config.AuthJWT, ""},
		"example kafka-tunnel.address_map":                       {map[string]string{"kafka-tunnel.adress_map": "s3cr3t"}, config.AuthJWT, ""},
		"kafka-tunnel.address_map":                               {map[string]string{"kafka-tunnel.address_map": "[{from: a}]"}, config.AuthJWT, ""},
		"kafka-tunnel.tenant: expected":                          {map[string]string{"kafka-tunnel.tenant": "a b"}, config.AuthJWT, ""},
		"kafka-tunnel.tls.enabled: expected true or false":       {map[string]string{"kafka-tunnel.tls.enabled": "s3cr3t"}, config.AuthJWT, ""},
		"kafka-tunnel.tls.ca":                                    {map[string]string{"kafka-tunnel.tls.enabled": "true", "kafka-tunnel.tls.ca": "s3cr3t"}, config.AuthJWT, ""},
		"no effect without kafka-tunnel.tls.enabled: true":       {map[string]string{"kafka-tunnel.tls.server_name": "a"}, config.AuthJWT, ""},
		"kafka-tunnel.sasl.username: is not a property":          {map[string]string{"kafka-tunnel.sasl.username": "s3cr3t"}, config.AuthJWT, ""},
		"cannot be sent to a proxy with connectivity.auth: none": {map[string]string{"CloudConnectorLocationId": "X"}, config.AuthNone, ""},
	} {
		_, err := Complete(config.Cluster{Destination: "kafka"}, props(test.props), test.auth)
		code := test.code
		if code == "" {
			code = failure.DestinationProperty
		}
		if !failure.Is(err, code) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cr3t") || !strings.Contains(err.Error(), "destination kafka") {
			t.Errorf("%s: %v", want, err)
		}
	}
}
