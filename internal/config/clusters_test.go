package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const twoInFile = `clusters:
- {name: prod, bootstrap: [a:1], listen: "127.0.0.1:9092", broker_ports: 19100-19149}
- {name: my-test, bootstrap: [b:1], listen: "127.0.0.1:9093", broker_ports: 19150-19198}
`

func TestSeveralClusters(t *testing.T) {
	eff := conf{
		file: twoInFile,
		env: []string{
			"KAFKA_TUNNEL_CLUSTERS_PROD_LOCATION_ID=P", "KAFKA_TUNNEL_CLUSTERS_MY_TEST_BROKER_PORTS=0", "KAFKA_TUNNEL_CLUSTERS_MY_TEST_LISTEN=",
			`KAFKA_TUNNEL_CLUSTERS_MY_TEST_ADDRESS_MAP=[{from: "x", to: "y"}]`,
		},
	}.must(t)
	want := []Cluster{
		{
			Name: "prod", Bootstrap: []HostPort{{Host: "a", Port: 1}}, Listen: HostPort{Host: "127.0.0.1", Port: 9092}, Advertise: "localhost",
			BrokerPorts: PortRange{First: 19100, Last: 19149}, LocationID: "P",
		},
		{
			Name: "my-test", Bootstrap: []HostPort{{Host: "b", Port: 1}}, Listen: HostPort{Host: "127.0.0.1", Port: 9093}, Advertise: "localhost",
			AddressMap: []AddressRule{{From: "x", To: "y"}},
		},
	}
	if diff := cmp.Diff(want, eff.Config.Clusters); diff != "" {
		t.Error(diff)
	}
	if _, source := eff.value(t, "clusters.my-test.broker_ports"); source != "variable KAFKA_TUNNEL_CLUSTERS_MY_TEST_BROKER_PORTS" {
		t.Errorf("source = %q", source)
	}
}

func TestVariablesMakeClusters(t *testing.T) {
	eff := conf{env: []string{
		"KAFKA_TUNNEL_CLUSTERS_PROD_BOOTSTRAP=a:1", "KAFKA_TUNNEL_CLUSTERS_PROD_LISTEN=127.0.0.1:1", "KAFKA_TUNNEL_CLUSTERS_PROD_BROKER_PORTS=0",
		"KAFKA_TUNNEL_CLUSTERS_MY_TEST_BOOTSTRAP=b:1", "KAFKA_TUNNEL_CLUSTERS_MY_TEST_LISTEN=127.0.0.1:2", "KAFKA_TUNNEL_CLUSTERS_MY_TEST_BROKER_PORTS=5-6",
	}}.must(t)
	if c := eff.Config.Clusters; len(c) != 2 || c[0].Name != "my-test" || c[1].Name != "prod" || c[0].BrokerPorts.Size() != 2 {
		t.Errorf("clusters = %+v", c)
	}
	// A single cluster can also be addressed by the short form.
	eff = conf{env: []string{bootstrap, "KAFKA_TUNNEL_CLUSTERS_PROD_LISTEN=127.0.0.1:1"}, args: []string{"--location-id=X"}}.must(t)
	if c := eff.Config.Clusters; len(c) != 1 || c[0].Name != "prod" || c[0].Listen.Port != 1 || c[0].LocationID != "X" {
		t.Errorf("clusters = %+v", c)
	}
}

func TestTheOnlyClusterMayHaveAName(t *testing.T) {
	c := conf{
		file: "clusters:\n- {name: prod, bootstrap: [a:1, b:2], location_id: F}\n",
		env:  []string{"KAFKA_TUNNEL_LISTEN=127.0.0.1:5", "KAFKA_TUNNEL_CLUSTERS_PROD_ADVERTISE=x"},
		args: []string{"--broker-ports=0"},
	}
	got := c.must(t).Config.Clusters
	want := []Cluster{{
		Name: "prod", Bootstrap: []HostPort{{Host: "a", Port: 1}, {Host: "b", Port: 2}}, Listen: HostPort{Host: "127.0.0.1", Port: 5}, Advertise: "x", LocationID: "F",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestBadClusters(t *testing.T) {
	for _, test := range []struct {
		name string
		conf
		want []string // problems, whole lines or their beginnings
	}{
		{
			"short variable and flag", conf{file: twoInFile, env: []string{"KAFKA_TUNNEL_LISTEN=127.0.0.1:1"}, args: []string{"--bootstrap=x:1"}},
			[]string{
				`bootstrap = "x:1" (flag --bootstrap): names none of the clusters prod, my-test; with several clusters its form is KAFKA_TUNNEL_CLUSTERS_<NAME>_BOOTSTRAP; did you mean KAFKA_TUNNEL_CLUSTERS_PROD_BOOTSTRAP?`,
				`listen = "127.0.0.1:1" (variable KAFKA_TUNNEL_LISTEN): names none of the clusters prod, my-test; with several clusters its form is KAFKA_TUNNEL_CLUSTERS_<NAME>_LISTEN; did you mean KAFKA_TUNNEL_CLUSTERS_PROD_LISTEN?`,
			},
		},
		{
			"a flag is for no cluster", conf{file: strings.ReplaceAll(twoInFile, "bootstrap: [b:1], ", ""), args: []string{"--bootstrap=x:1"}},
			[]string{
				`bootstrap = "x:1" (flag --bootstrap): names none of the clusters prod, my-test`,
				"clusters.my-test.bootstrap (default): no bootstrap address is configured",
			},
		},
		{
			"no defaults", conf{file: "clusters:\n- {name: a, bootstrap: [a:1]}\n- {name: b, bootstrap: [b:1], listen: 'localhost:1', broker_ports: 0}\n"},
			[]string{
				"clusters.a.listen (default): has no default with several clusters; set KAFKA_TUNNEL_CLUSTERS_A_LISTEN",
				"clusters.a.broker_ports (default): has no default with several clusters; set KAFKA_TUNNEL_CLUSTERS_A_BROKER_PORTS",
			},
		},
		{
			"no names", conf{file: strings.ReplaceAll(twoInFile, "name: prod, ", "")},
			[]string{"clusters[0].name (default): every cluster needs a name when there are several"},
		},
		{
			"names that fold together", conf{file: strings.ReplaceAll(twoInFile, "name: prod", "name: MY_TEST")},
			[]string{`clusters.my-test.name = "my-test" (file tunnel.yaml:3): cannot be told from the cluster "MY_TEST" in the names of variables (KAFKA_TUNNEL_CLUSTERS_MY_TEST_...)`},
		},
		{
			"the same name", conf{file: strings.ReplaceAll(twoInFile, "name: prod", "name: my-test")},
			[]string{`clusters[1].name = "my-test" (file tunnel.yaml:3): cannot be told from the cluster "my-test"`},
		},
		{
			"bad name", conf{file: strings.ReplaceAll(twoInFile, "name: prod", "name: my prod")},
			[]string{`clusters[0].name = "my prod" (file tunnel.yaml:2): expected 1 to 63 letters`},
		},
		{
			"cluster unknown to the file", conf{file: twoInFile, env: []string{"KAFKA_TUNNEL_CLUSTERS_PRDO_LISTEN=127.0.0.1:1", "KAFKA_TUNNEL_CLUSTERS_OTHER_LISTEN=127.0.0.1:1"}},
			[]string{
				"KAFKA_TUNNEL_CLUSTERS_OTHER_LISTEN: the file lists no such cluster, only prod, my-test",
				"KAFKA_TUNNEL_CLUSTERS_PRDO_LISTEN: the file lists no such cluster, only prod, my-test; did you mean KAFKA_TUNNEL_CLUSTERS_PROD_LISTEN?",
			},
		},
		{
			"unknown key of a cluster", conf{file: twoInFile, env: []string{"KAFKA_TUNNEL_CLUSTERS_MY_TEST_LISTNE=x", "KAFKA_TUNNEL_CLUSTERS_PROD_NAME=x", "KAFKA_TUNNEL_CLUSTERS=x"}},
			[]string{
				"KAFKA_TUNNEL_CLUSTERS: unknown variable",
				"KAFKA_TUNNEL_CLUSTERS_MY_TEST_LISTNE: unknown variable; did you mean KAFKA_TUNNEL_CLUSTERS_MY_TEST_LISTEN?",
				"KAFKA_TUNNEL_CLUSTERS_PROD_NAME: unknown variable",
			},
		},
		{
			"both forms", conf{env: []string{bootstrap, "KAFKA_TUNNEL_CLUSTERS_DEFAULT_BOOTSTRAP=b:1"}},
			[]string{`clusters.default.bootstrap = "kafka-1.corp:9092" (variable KAFKA_TUNNEL_BOOTSTRAP): is also given by variable KAFKA_TUNNEL_CLUSTERS_DEFAULT_BOOTSTRAP`},
		},
		{
			"no bootstrap in one", conf{file: strings.ReplaceAll(twoInFile, "bootstrap: [b:1]", "bootstrap: []")},
			[]string{"clusters.my-test.bootstrap (file tunnel.yaml:3): no bootstrap address is configured: KAFKA_TUNNEL_CLUSTERS_MY_TEST_BOOTSTRAP needs HOST:PORT of at least one broker"},
		},
		{
			"ports of two clusters", conf{file: strings.NewReplacer("9093", "9092", "19150-", "19120-").Replace(twoInFile)},
			[]string{
				`clusters.my-test.listen = "127.0.0.1:9092" (file tunnel.yaml:3): overlaps with clusters.prod.listen 127.0.0.1:9092 (file tunnel.yaml:2)`,
				`clusters.my-test.broker_ports = "19120-19198" (file tunnel.yaml:3): overlaps with clusters.prod.broker_ports 19100-19149 (file tunnel.yaml:2)`,
			},
		},
		{
			"too many", conf{file: "clusters:" + strings.Repeat("\n- {}", 101)},
			[]string{"clusters (file tunnel.yaml:2): lists 101 clusters; at most 100 are possible"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.problems(t)
			if len(got) != len(test.want) {
				t.Fatalf("%d problems:%s", len(got), lines(got))
			}
			for i, p := range got {
				if !strings.HasPrefix(p.String(), test.want[i]) {
					t.Errorf("got\n%s\nwant\n%s", p, test.want[i])
				}
			}
		})
	}
}

// TestClusterVariablesAreTheInverse: whatever the names of the clusters, each variable
// reaches its own cluster.
func TestClusterVariablesAreTheInverse(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9][a-zA-Z0-9_-]{0,8}`), 2, 4, foldName).Draw(rt, "names")
		var c conf
		c.file = "clusters:\n"
		for i, name := range names {
			c.file += fmt.Sprintf("- {name: %q, bootstrap: ['x:1']}\n", name)
			variable := "KAFKA_TUNNEL_CLUSTERS_" + foldName(name)
			c.env = append(c.env, fmt.Sprintf("%s_LISTEN=127.0.0.1:%d", variable, i+1), variable+"_BROKER_PORTS=0", variable+"_LOCATION_ID="+name)
		}
		eff, err := c.load(t)
		if err != nil {
			rt.Fatal(err)
		}
		for i, cluster := range eff.Config.Clusters {
			if cluster.Name != names[i] || cluster.LocationID != names[i] || int(cluster.Listen.Port) != i+1 {
				rt.Fatalf("cluster %d is %+v", i, cluster)
			}
		}
	})
}

func TestVariablesOfKubernetesAreIgnored(t *testing.T) {
	eff := conf{env: []string{
		bootstrap,
		"KAFKA_TUNNEL_SERVICE_HOST=10.0.0.1", "KAFKA_TUNNEL_SERVICE_PORT=9092", "KAFKA_TUNNEL_SERVICE_PORT_KAFKA=9092",
		"KAFKA_TUNNEL_PORT=tcp://10.0.0.1:9092", "KAFKA_TUNNEL_PORT_9092_TCP=tcp://10.0.0.1:9092", "KAFKA_TUNNEL_PORT_9092_TCP_PROTO=tcp",
		"KAFKA_TUNNEL_PORT_9092_TCP_PORT=9092", "KAFKA_TUNNEL_PORT_9092_TCP_ADDR=10.0.0.1", "KAFKA_TUNNEL_PORT_53_UDP_ADDR=10.0.0.1",
		// From a Service named kafka-tunnel-admin.
		"KAFKA_TUNNEL_ADMIN_SERVICE_HOST=10.0.0.1", "KAFKA_TUNNEL_ADMIN_PORT=tcp://10.0.0.1:80", "KAFKA_TUNNEL_ADMIN_PORT_80_TCP_ADDR=10.0.0.1",
		"KAFKA_TUNNELS=x", "OTHER=x", "=C:=C:\\x",
	}}.must(t)
	if got, _ := eff.value(t, "clusters.default.bootstrap"); got != "kafka-1.corp:9092" {
		t.Errorf("bootstrap = %q", got)
	}
}

func TestWarnings(t *testing.T) {
	token := []string{bootstrap, "KAFKA_TUNNEL_TOKEN_CLIENT_ID=x"}
	for _, test := range []struct {
		name string
		conf
		want []string
	}{
		{"nothing", conf{env: []string{bootstrap, "PORT=9092"}}, nil},
		{
			"insecure", conf{env: []string{bootstrap, "KAFKA_TUNNEL_LISTEN=0.0.0.0:9092", "KAFKA_TUNNEL_ALLOW_REMOTE=true", "KAFKA_TUNNEL_INSECURE_REMOTE=true", "KAFKA_TUNNEL_ADVERTISE=kafka.apps.internal"}},
			[]string{"clusters.default.listen 0.0.0.0:9092 is open to other hosts without authentication"},
		},
		{"admin open", conf{env: []string{bootstrap, "KAFKA_TUNNEL_ADMIN_LISTEN=0.0.0.0:19099"}}, nil},
		{"the application's port", conf{env: []string{bootstrap, "PORT=9000", "KAFKA_TUNNEL_LISTEN=127.0.0.1:9000"}}, []string{"clusters.default.listen 127.0.0.1:9000 holds port 9000, which on Cloud Foundry belongs to the application ($PORT)"}},
		{"the application's default port", conf{env: []string{bootstrap, "VCAP_APP_PORT=8080", "KAFKA_TUNNEL_ADMIN_LISTEN=127.0.0.1:8080"}}, []string{"admin.listen 127.0.0.1:8080 holds port 8080"}},
		{"ports of the platform", conf{env: []string{bootstrap, "KAFKA_TUNNEL_BROKER_PORTS=8080-8081", "KAFKA_TUNNEL_ADMIN_LISTEN=127.0.0.1:2222"}}, []string{"holds port 8080", "holds port 8081", "admin.listen 127.0.0.1:2222 holds port 2222"}},
		{"ports of the platform's proxy", conf{args: []string{"--broker-ports=61000-61100"}, env: []string{bootstrap}}, []string{"broker_ports 61000-61100 holds port 61001"}},
		{"hold", conf{env: []string{bootstrap, "KAFKA_TUNNEL_CONNECTIVITY_HOLD=10s"}}, []string{"connectivity.hold 10s"}},
		{"drain", conf{env: []string{bootstrap, "KAFKA_TUNNEL_DRAIN_TIMEOUT=5m"}}, nil},
		{"http", conf{env: append(slices.Clone(token), "KAFKA_TUNNEL_TOKEN_CLIENT_SECRET=x", "KAFKA_TUNNEL_TOKEN_URL=http://uaa")}, []string{"unencrypted"}},
		{"http on this machine", conf{env: append(slices.Clone(token), "KAFKA_TUNNEL_TOKEN_CLIENT_SECRET=x", "KAFKA_TUNNEL_TOKEN_URL=http://127.0.0.1:1")}, nil},
		{"secret in the file", conf{env: append(slices.Clone(token), "KAFKA_TUNNEL_TOKEN_URL=https://uaa"), file: "token:\n  client_secret: s3cr3t\n"}, []string{"token.client_secret is in tunnel.yaml:2"}},
		{"direct", conf{env: []string{bootstrap, "KAFKA_TUNNEL_CONNECTIVITY_VIA=direct", "KAFKA_TUNNEL_LOCATION_ID=X"}}, []string{"clusters.default.location_id has no effect"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.must(t).Warnings
			if len(got) != len(test.want) {
				t.Fatalf("warnings: %q", got)
			}
			for i := range got {
				if !strings.Contains(got[i], test.want[i]) || strings.Contains(got[i], "s3cr3t") {
					t.Errorf("warning %q lacks %q", got[i], test.want[i])
				}
			}
		})
	}
}
