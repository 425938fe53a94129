package realkafka

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/proc"
)

// A Door is one more listener of every broker, one that wants TLS, SASL or both.
type Door struct {
	Name     string // of the listener, in capital letters
	Protocol string // SASL_PLAINTEXT, SSL or SASL_SSL
	// Advertise makes up the host:port that broker id announces there. With TLS its
	// host is one of the names in the broker's certificate.
	Advertise func(id, port int) string
	// Reauthenticate is how long a client may go without authenticating again
	// (KIP-368); zero is for ever.
	Reauthenticate time.Duration
}

// A User is one that all doors with SASL know, with all their mechanisms.
type User struct{ Name, Password string }

// A Listener is where a door of a broker is.
type Listener struct {
	Advertised string // what the broker says its address is
	Address    string // where that listener really is
}

// mechanisms are those that a door with SASL offers. PLAIN, SCRAM and GSSAPI are all
// that Kafka has besides; OAUTHBEARER takes tokens without a signature.
const mechanisms = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER"

// openDoors gives broker b its doors and adds them to its settings.
func (o Options) openDoors(b *Broker, own ports, settings string) (string, error) {
	if len(o.Doors) == 0 {
		return settings, nil
	}
	b.Doors = map[string]Listener{}
	names := []string{"localhost", "127.0.0.1"}
	var listen, advertise, protocol strings.Builder
	for i, d := range o.Doors {
		l := Listener{Advertised: d.Advertise(b.ID, own.doors[i]), Address: fmt.Sprintf("127.0.0.1:%d", own.doors[i])}
		b.Doors[d.Name] = l
		fmt.Fprintf(&listen, ",%s://%s", d.Name, l.Address)
		fmt.Fprintf(&advertise, ",%s://%s", d.Name, l.Advertised)
		fmt.Fprintf(&protocol, ",%s:%s", d.Name, d.Protocol)
		host, _, err := net.SplitHostPort(l.Advertised)
		if err != nil {
			return "", fmt.Errorf("realkafka: door %s: %w", d.Name, err)
		}
		names = append(names, host)
	}
	all := strings.Split(strings.TrimSpace(settings), "\n")
	for i, line := range all {
		switch key, _, _ := strings.Cut(line, "="); key {
		case "listeners":
			all[i] += listen.String()
		case "advertised.listeners":
			all[i] += advertise.String()
		case "listener.security.protocol.map":
			all[i] += protocol.String()
		}
	}
	key, chain, err := o.authority.issue(names)
	if err != nil {
		return "", err
	}
	// From a file 2.8 takes only keys with a password.
	inline := strings.NewReplacer("\n", `\n`)
	all = append(all, "ssl.keystore.type=PEM", "ssl.keystore.key="+inline.Replace(key), "ssl.keystore.certificate.chain="+inline.Replace(chain))
	for _, d := range o.Doors {
		all = append(all, d.settings(o.Users)...)
	}
	return lines(all), nil
}

// settings are those of one listener.
func (d Door) settings(users []User) []string {
	prefix := "listener.name." + strings.ToLower(d.Name) + "."
	// The default of three threads for each listener is meant for few of them.
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

// scramUsers are arguments for the tool that formats a directory: it is where users of
// SCRAM come from before a cluster runs.
func scramUsers(users []User) (args []string) {
	for _, u := range users {
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, u.Name, u.Password))
		}
	}
	return args
}

// addScramUsers puts users of SCRAM into ZooKeeper.
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

// certified is how long certificates are good for.
const certified = 30 * 24 * time.Hour

// An authority issues the brokers' certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its certificate, in PEM form
}

// newAuthority makes one and writes its certificate.
func newAuthority(file string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("realkafka: %w", err)
	}
	template := certificate("test authority")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("realkafka: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("realkafka: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, fmt.Errorf("realkafka: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return nil, fmt.Errorf("realkafka: %w", err)
	}
	return &authority{cert, key, file}, nil
}

// issue makes a key and a certificate for names and addresses, in PEM form.
func (a *authority) issue(names []string) (key, chain string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("realkafka: %w", err)
	}
	template := certificate("kafka")
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	if err != nil {
		return "", "", fmt.Errorf("realkafka: %w", err)
	}
	wrapped, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", fmt.Errorf("realkafka: %w", err)
	}
	text := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return text("PRIVATE KEY", wrapped), text("CERTIFICATE", der), nil
}

// certificate is what all certificates have in common.
func certificate(name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), // no two of one authority are made at once
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour), NotAfter: now.Add(certified),
	}
}
