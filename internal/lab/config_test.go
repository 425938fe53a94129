package lab_test

import (
	"net"
	"slices"
	"strconv"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/addressmap"
	"github.com/kafka-tunnel/kafka-tunnel/internal/config"
	"github.com/kafka-tunnel/kafka-tunnel/internal/lab"
)

// TestConfigUnderstandsEnv: the environment configures a tunnel, and its address
// map leads from what each broker advertises to what the Cloud Connector exposes.
func TestConfigUnderstandsEnv(t *testing.T) {
	for _, opts := range []lab.Options{
		{LocationID: "LOC1"},
		{Brokers: 12, VirtualHost: "k-*.cloud.example"},
		{Advertise: lab.AdvertiseVirtual},
		{Advertise: lab.AdvertiseLocalhost},
		{Brokers: 1, Advertise: lab.AdvertiseLocalhost},
	} {
		l, err := lab.Start(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		eff, err := config.Resolve(config.Input{Environ: l.Env()})
		if err != nil {
			t.Fatal(err)
		}
		c := eff.Config.Clusters[0]
		var bootstrap []string
		for _, b := range c.Bootstrap {
			bootstrap = append(bootstrap, b.String())
		}
		if !slices.Equal(bootstrap, l.Bootstrap()) || c.LocationID != opts.LocationID {
			t.Errorf("bootstrap %v, Location ID %q", bootstrap, c.LocationID)
		}
		rules, err := addressmap.Parse(c.AddressMap)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range l.Brokers() {
			host, p, _ := net.SplitHostPort(b.Advertised)
			port, _ := strconv.Atoi(p)
			to, ok := rules.Translate(b.ID, host, uint16(port))
			want := b.Virtual
			if len(bootstrap) == 1 {
				continue // the tunnel implies the rule
			}
			if got := net.JoinHostPort(to.Host, strconv.Itoa(int(to.Port))); ok && got != want || !ok && b.Advertised != want {
				t.Errorf("%s leads to %s, not %s", b.Advertised, got, want)
			}
		}
	}
}
