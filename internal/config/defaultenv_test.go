package config

import (
	"strings"
	"testing"
)

func TestDefaultEnv(t *testing.T) {
	const content = `{
		"VCAP_SERVICES": {"connectivity": [{"name": "conn", "credentials": {"clientid": "x", "clientsecret": "s3cr3t", "onpremise_proxy_host": "p",
			"onpremise_socks5_proxy_port": "20004", "token_service_url": "https://uaa.corp"}}]},
		"KAFKA_TUNNEL_BOOTSTRAP": "kafka-1.corp:9092", "KAFKA_TUNNEL_LOCATION_ID": "FILE", "KAFKA_TUNNEL_LIMITS_MAX_CONNECTIONS": 7, "OTHER": null
	}`
	for name, c := range map[string]conf{
		"by flag":     {args: []string{"--default-env", "default-env.json"}},
		"by variable": {env: []string{"KAFKA_TUNNEL_DEFAULT_ENV=default-env.json"}},
	} {
		c.env = append(c.env, "KAFKA_TUNNEL_LOCATION_ID=SET")
		c.files = map[string]string{"default-env.json": content}
		eff, err := Resolve(c.input(t))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		cluster := eff.Config.Clusters[0]
		if eff.Binding == nil || eff.Binding.Name != "conn" || cluster.Bootstrap[0].Host != "kafka-1.corp" || cluster.LocationID != "SET" || eff.Config.Limits.MaxConnections != 7 {
			t.Errorf("%s: %+v", name, eff.Config)
		}
	}
}

func TestBadDefaultEnv(t *testing.T) {
	for content, want := range map[string]string{"": "cannot be read", "[]": "is not a JSON object", `{"A": s3cr3t}`: "is not a JSON object"} {
		c := conf{env: []string{bootstrap}, args: []string{"--default-env", "e.json"}, files: map[string]string{"e.json": content}}
		if content == "" {
			c.files = nil
		}
		got := c.problems(t)
		if len(got) != 1 || got[0].Key != "default-env" || !strings.Contains(got[0].Message, want) || strings.Contains(got[0].String(), "s3cr3t") {
			t.Errorf("%q: %s", content, lines(got))
		}
	}
}
