package realkafka

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/authority"
	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/proc"
)

// A Door is one more listener of every broker, with TLS, SASL or both.
type Door struct {
	Name     string // of the listener, in capital letters
	Protocol string // SASL_PLAINTEXT, SSL or SASL_SSL
	// Advertise returns the host:port that broker id advertises there. With TLS its host is one
	// of the names in the broker's certificate.
	Advertise func(id, port int) string
	// Reauthenticate is how long a client may work without authenticating again (KIP-368);
	// zero: no limit.
	Reauthenticate time.Duration
}

// A User is a user of all SASL listeners, with all their mechanisms.
type User struct{ Name, Password string }

// A Listener is the address of a door at one broker.
type Listener struct {
	Advertised string // the address that the broker advertises
	Address    string // the real address of that listener
}

// mechanisms are those of a SASL listener: PLAIN, SCRAM and OAUTHBEARER, whose tokens have no
// signature. The only other one of Kafka is GSSAPI.
const mechanisms = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER"

// open opens the doors of broker b and returns their listeners.
func (o Options) open(b *Broker, own ports) (all []listener) {
	b.Doors = map[string]Listener{}
	for i, d := range o.Doors {
		l := Listener{Advertised: d.Advertise(b.ID, own.doors[i]), Address: fmt.Sprintf("127.0.0.1:%d", own.doors[i])}
		b.Doors[d.Name] = l
		all = append(all, listener{d.Name, d.Protocol, l.Address, l.Advertised})
	}
	return all
}

// doorSettings are the settings for the doors of a broker, except their entries in the list of
// listeners.
func (o Options) doorSettings(b *Broker) ([]string, error) {
	if len(o.Doors) == 0 {
		return nil, nil
	}
	names := []string{"localhost", "127.0.0.1"}
	for _, l := range b.Doors {
		host, _, err := net.SplitHostPort(l.Advertised)
		if err != nil {
			return nil, fmt.Errorf("realkafka: %w", err)
		}
		names = append(names, host)
	}
	cert, err := o.authority.Issue(authority.Request{Names: names})
	if err != nil {
		return nil, fmt.Errorf("realkafka: %w", err)
	}
	chain, key, err := authority.Encode(cert)
	if err != nil {
		return nil, fmt.Errorf("realkafka: %w", err)
	}
	// From a file 2.8 accepts only keys with a password.
	inline := strings.NewReplacer("\n", `\n`)
	all := []string{"ssl.keystore.type=PEM", "ssl.keystore.key=" + inline.Replace(key), "ssl.keystore.certificate.chain=" + inline.Replace(chain)}
	for _, d := range o.Doors {
		all = append(all, d.settings(o.Users)...)
	}
	return all, nil
}

// settings are those of one listener.
func (d Door) settings(users []User) []string {
	prefix := "listener.name." + strings.ToLower(d.Name) + "."
	// The default of three threads for each listener is meant for few listeners.
	all := []string{prefix + "num.network.threads=1"}
	if !strings.HasPrefix(d.Protocol, "SASL_") {
		return all
	}
	const security = ".sasl.jaas.config=org.apache.kafka.common.security."
	var known strings.Builder
	for _, u := range users {
		fmt.Fprintf(&known, " user_%s=%q", u.Name, u.Password)
	}
	all = append(all,
		prefix+"sasl.enabled.mechanisms="+mechanisms,
		prefix+"plain"+security+"plain.PlainLoginModule required"+known.String()+";",
		prefix+"scram-sha-256"+security+"scram.ScramLoginModule required;",
		prefix+"scram-sha-512"+security+"scram.ScramLoginModule required;",
		prefix+"oauthbearer"+security+`oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
	)
	if d.Reauthenticate > 0 {
		all = append(all, fmt.Sprintf("%sconnections.max.reauth.ms=%d", prefix, d.Reauthenticate.Milliseconds()))
	}
	return all
}

// scramUsers are arguments for the tool that formats a directory, which creates the users of
// SCRAM before a cluster runs.
func scramUsers(users []User) (args []string) {
	for _, u := range users {
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, u.Name, u.Password))
		}
	}
	return args
}

// addScramUsers adds users of SCRAM to ZooKeeper.
func (c *Cluster) addScramUsers(ctx context.Context, o Options) error {
	for _, u := range o.Users {
		p, err := proc.Start(proc.Options{
			Name: "config command", Log: filepath.Join(c.dir, "scram.log"),
			Args: o.Jars.Java("kafka.admin.ConfigCommand", "--zookeeper", fmt.Sprintf("127.0.0.1:%d", o.zookeeper),
				"--alter", "--entity-type", "users", "--entity-name", u.Name, "--add-config",
				fmt.Sprintf("SCRAM-SHA-256=[password=%s],SCRAM-SHA-512=[password=%s]", u.Password, u.Password)),
		})
		if err != nil {
			return err
		}
		if err := p.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}
