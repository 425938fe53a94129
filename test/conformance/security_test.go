//go:build conformance

package conformance

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

// Who comes in, with a password that stands nowhere else.
const (
	securityUser     = "alice"
	securityPassword = "open-sesame-4711"
	wrongPassword    = "open-barley-4712"
)

// session is how long the brokers trust a client that should authenticate again, and
// sessions how long such a client is kept working: for more than two of them.
const (
	session  = 3 * time.Second
	sessions = 8 * time.Second
)

// securityReleases are those of the full run, and the last is that of the quick one.
var securityReleases = []string{"2.8.2", "4.3.1"}

// quickSecurity are the clients of the quick run: those that start fastest.
var quickSecurity = []string{"franz-go", "sarama"}

// The doors of the brokers. Each has a twin that announces where it really is, which is
// the way past the tunnel.
const (
	doorSASL    = "SASL"
	doorRenew   = "RENEW" // where clients have to authenticate again
	doorTLS     = "TLS"
	doorTLSSASL = "TLSSASL"
	twin        = "DIRECT"
)

// securityDoors are those of all brokers.
func securityDoors() (all []realkafka.Door) {
	for i, d := range []realkafka.Door{
		{Name: doorSASL, Protocol: "SASL_PLAINTEXT"},
		{Name: doorRenew, Protocol: "SASL_PLAINTEXT", Reauthenticate: session},
		{Name: doorTLS, Protocol: "SSL"},
		{Name: doorTLSSASL, Protocol: "SASL_SSL"},
	} {
		const firstPort = 9093
		d.Advertise = func(id, _ int) string { return fmt.Sprintf("kafka-%d.%s:%d", id, realDomain, firstPort+i) }
		past := d
		past.Name += twin
		past.Advertise = func(_, port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
		all = append(all, d, past)
	}
	return all
}

// A securityScenario is one way of coming in.
type securityScenario struct {
	name, door       string
	protocol         string // of the brokers
	mechanism        string // empty: no SASL
	handshake        string // version of SaslHandshake; empty: the client chooses
	refused, renewed bool   // with a wrong password; with more than one session
}

func securityScenarios() []securityScenario {
	const sasl = "SASL_PLAINTEXT"
	return []securityScenario{
		{name: "PLAIN", door: doorSASL, protocol: sasl, mechanism: "PLAIN"},
		{name: "SCRAM-SHA-256", door: doorSASL, protocol: sasl, mechanism: "SCRAM-SHA-256"},
		{name: "SCRAM-SHA-512", door: doorSASL, protocol: sasl, mechanism: "SCRAM-SHA-512"},
		{name: "OAUTHBEARER", door: doorSASL, protocol: sasl, mechanism: "OAUTHBEARER"},
		{name: "SaslHandshake v0, PLAIN", door: doorSASL, protocol: sasl, mechanism: "PLAIN", handshake: "0"},
		{name: "SaslHandshake v0, SCRAM-SHA-512", door: doorSASL, protocol: sasl, mechanism: "SCRAM-SHA-512", handshake: "0"},
		{name: "re-authentication", door: doorRenew, protocol: sasl, mechanism: "SCRAM-SHA-256", renewed: true},
		{name: "wrong password", door: doorSASL, protocol: sasl, mechanism: "PLAIN", refused: true},
		{name: "TLS", door: doorTLS, protocol: "SSL"},
		{name: "SASL over TLS", door: doorTLSSASL, protocol: "SASL_SSL", mechanism: "SCRAM-SHA-512"},
	}
}

// words are what a client is told. Through the tunnel TLS is none of its business.
func (s securityScenario) words(direct bool, ca string) (words []string) {
	protocol := s.protocol
	if !direct {
		protocol = map[string]string{"SSL": "PLAINTEXT", "SASL_SSL": "SASL_PLAINTEXT"}[protocol]
		if protocol == "" {
			protocol = s.protocol
		}
	}
	words = append(words, "security="+protocol)
	if strings.HasSuffix(protocol, "SSL") {
		words = append(words, "ca="+ca)
	}
	if s.mechanism != "" {
		password := securityPassword
		if s.refused {
			password = wrongPassword
		}
		words = append(words, "mechanism="+s.mechanism, "username="+securityUser, "password="+password)
	}
	if s.handshake != "" {
		words = append(words, "handshake="+s.handshake)
	}
	return words
}

// tasks are what a client does when it is in. It says nothing to the brokers before that
// would differ.
func (s securityScenario) tasks(words []string) (produce, consume compatScenario) {
	produce = compatScenario{name: s.name + " produce", count: 100, task: append([]string{"do=produce"}, words...), check: checkProduced}
	consume = compatScenario{name: s.name + " consume", count: 100, task: append([]string{"do=consume"}, words...), check: checkConsumed, feeds: true}
	if s.refused {
		produce.count = 1 // some wait anew with each record
	}
	if s.renewed {
		produce.count, consume.count, consume.over = 40, 40, sessions
		over := fmt.Sprintf("over=%d", int(sessions.Seconds()))
		produce.task, consume.task = append(produce.task, over), append(consume.task, over)
	}
	return produce, consume
}

// TestSecurity lets clients in past the tunnel and through it. SASL passes through the
// tunnel; TLS is the tunnel's.
func TestSecurity(t *testing.T) {
	var clients []compatClient
	for _, c := range libraryClients() {
		if (*compatFull || slices.Contains(quickSecurity, c.name)) && chosenCompat(c.title(), "Kafka") {
			clients = append(clients, c)
		}
	}
	if _, ok := keptPart(t, "security"); ok {
		return
	}
	table := &securityTable{clients: clients, began: time.Now()}
	commands := make([][2][]string, len(clients))
	for i, c := range clients {
		commands[i][0], commands[i][1] = c.prepare(t)
	}
	wanted := securityReleases
	if !*compatFull {
		wanted = wanted[len(wanted)-1:]
	}
	for _, release := range realkafka.Releases() {
		if !slices.Contains(wanted, release.Version) || !chosenCompat("Kafka "+release.Version, "") {
			continue
		}
		t.Run(release.Version, func(t *testing.T) {
			bed := startSecurityBed(t, release, clients)
			table.releases = append(table.releases, release.Version)
			ctx := deadline(t)
			var work errgroup.Group
			work.SetLimit(clientsAtATime)
			for i, c := range clients {
				work.Go(func() error {
					for _, s := range securityScenarios() {
						v := bed.compare(ctx, c, commands[i], s)
						if ctx.Err() != nil {
							return ctx.Err() // it says nothing about the client
						}
						table.put(c.title(), release.Version, s.name, v)
						t.Logf("%s, %s: %s", c.title(), s.name, strings.TrimSpace(v.word(s)+" "+v.Why))
					}
					return nil
				})
			}
			if err := work.Wait(); err != nil {
				t.Errorf("not all was tried: %v", err)
			}
			bed.noSecrets(t)
		})
	}
	table.report(t)
}

// A securityBed is one release at work, with tunnels before its doors.
type securityBed struct {
	release string
	cluster *realkafka.Cluster
	tunnels map[string]*tunnelProcess // by door; by client where sessions are counted
	log     func(format string, args ...any)
}

func startSecurityBed(t *testing.T, release realkafka.Release, clients []compatClient) *securityBed {
	t.Helper()
	jars, err := release.Jars(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	c, err := realkafka.Start(deadline(t), realkafka.Options{
		Jars: jars, Release: release, Brokers: 3, Dir: filepath.Join(workDir(t), "kafka"),
		Advertise: func(id, _ int) string { return realName(id) },
		Settings:  steady,
		Doors:     securityDoors(), Users: []realkafka.User{{Name: securityUser, Password: securityPassword}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	bed := &securityBed{release: release.Version, cluster: c, tunnels: map[string]*tunnelProcess{}, log: t.Logf}
	var exposed []string
	for _, b := range c.Brokers {
		for _, d := range securityDoors() {
			if door := b.Doors[d.Name]; !strings.HasSuffix(d.Name, twin) {
				exposed = append(exposed, door.Advertised+"="+door.Address)
			}
		}
	}
	l := startLandscape(t, "--upstream", strings.Join(exposed, ","))
	tls := []string{"KAFKA_TUNNEL_TLS_ENABLED=true", "KAFKA_TUNNEL_TLS_CA_FILE=" + c.CA}
	bed.tunnels[doorSASL] = startTunnel(t, l, bed.bootstrap(doorSASL))
	bed.tunnels[doorTLS] = startTunnel(t, l, append(tls, bed.bootstrap(doorTLS))...)
	bed.tunnels[doorTLSSASL] = startTunnel(t, l, append(tls, bed.bootstrap(doorTLSSASL))...)
	for _, client := range clients {
		bed.tunnels[client.title()] = startTunnel(t, l, bed.bootstrap(doorRenew))
	}
	return bed
}

// bootstrap tells a tunnel which door it is for.
func (b *securityBed) bootstrap(door string) string {
	var all []string
	for _, broker := range b.cluster.Brokers {
		all = append(all, broker.Doors[door].Advertised)
	}
	return "KAFKA_TUNNEL_BOOTSTRAP=" + strings.Join(all, ",")
}

// A securityVerdict says besides how often a client authenticated again on a connection
// that it had.
type securityVerdict struct {
	verdict
	renewed int
}

// compare lets a client in both ways; twice if that makes a difference or nothing works,
// for clients and brokers have races of their own.
func (b *securityBed) compare(ctx context.Context, c compatClient, command [2][]string, s securityScenario) securityVerdict {
	v := b.once(ctx, c, command, s, "")
	if !v.Same || !v.Works && !v.Unsupported {
		b.log("%s, Kafka %s, %s did not work, or differed: %s", c.title(), b.release, s.name, v.Why)
		v = b.once(ctx, c, command, s, "-again")
	}
	return v
}

func (b *securityBed) once(ctx context.Context, c compatClient, command [2][]string, s securityScenario, try string) (v securityVerdict) {
	tunnel := b.tunnels[s.door]
	if s.renewed {
		tunnel = b.tunnels[c.title()]
	}
	way := &compatBed{release: b.release, cluster: b.cluster, direct: b.cluster.Brokers[0].Doors[s.door+twin].Address, tunnel: tunnel.bootstrap, log: b.log}
	errDirect := way.enter(ctx, "direct"+try, way.direct, c, command, s, s.words(true, b.cluster.CA))
	if errors.Is(errDirect, errUnsupported) {
		return securityVerdict{verdict: verdict{Same: true, Unsupported: true}}
	}
	errTunnel := way.enter(ctx, "tunnel"+try, way.tunnel, c, command, s, s.words(false, ""))
	switch {
	case s.refused:
		v.verdict = refusal(errDirect, errTunnel)
	case s.renewed:
		v.verdict = judge(errDirect, errTunnel)
		var err error
		if v.renewed, err = tunnel.renewals(ctx); err != nil {
			v.Same, v.Why = false, err.Error()
		}
	default:
		v.verdict = judge(errDirect, errTunnel)
	}
	return v
}

// enter produces and consumes; where sessions count, both at once.
func (b *compatBed) enter(ctx context.Context, way, bootstrap string, c compatClient, command [2][]string, s securityScenario, words []string) error {
	produce, consume := s.tasks(words)
	if s.renewed {
		var both errgroup.Group
		both.Go(func() error { return b.run(ctx, way, bootstrap, c, command, produce) })
		both.Go(func() error { return b.run(ctx, way, bootstrap, c, command, consume) })
		return both.Wait()
	}
	if err := b.run(ctx, way, bootstrap, c, command, produce); err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	if err := b.run(ctx, way, bootstrap, c, command, consume); err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	return nil
}

// speaksOfIt finds what clients call it when they are not let in.
var speaksOfIt = regexp.MustCompile(`(?i)authenticat|credential|password`)

// refusal compares what a client says that is not let in.
func refusal(errDirect, errTunnel error) verdict {
	if errDirect == nil || errTunnel == nil {
		return verdict{Works: true, Why: fmt.Sprintf("a wrong password was taken: past the tunnel %v, through it %v", errDirect, errTunnel)}
	}
	spoke := func(err error) bool {
		said, ok := errors.AsType[*saidError](err)
		return ok && speaksOfIt.Match(said.said)
	}
	if spoke(errDirect) != spoke(errTunnel) || errors.Is(errDirect, errLate) != errors.Is(errTunnel, errLate) || errors.Is(errTunnel, errLeak) {
		return verdict{Works: true, Why: fmt.Sprintf("past the tunnel it says: %v; through it: %v", errDirect, errTunnel)}
	}
	return verdict{Same: true, Works: spoke(errDirect), Late: errors.Is(errDirect, errLate), Why: firstLine(errDirect)}
}

var (
	handshakes  = regexp.MustCompile(`(?m)^kafka_tunnel_requests_total\{api="SaslHandshake",[^}]*\} (\S+)$`)
	connections = regexp.MustCompile(`(?m)^kafka_tunnel_connections(?:_total)?\{[^}]*\} (\S+)$`)
)

// renewals counts the SaslHandshakes that were not the first of their connection, as
// far as a metric can tell: a connection without any hides one.
func (tp *tunnelProcess) renewals(ctx context.Context) (int, error) {
	body, status, err := tp.get(ctx, "/metrics")
	if err != nil || status != http.StatusOK {
		return 0, fmt.Errorf("metrics: %d %w", status, err)
	}
	sum := func(line *regexp.Regexp) (total int) {
		for _, found := range line.FindAllSubmatch(body, -1) {
			n, _ := strconv.ParseFloat(string(found[1]), 64)
			total += int(n)
		}
		return total
	}
	return max(0, sum(handshakes)-sum(connections)), nil
}

// noSecrets looks for the passwords in all that the tunnels have written and show.
func (b *securityBed) noSecrets(t *testing.T) {
	t.Helper()
	for name, tunnel := range b.tunnels {
		logged, err := os.ReadFile(tunnel.log)
		if err != nil {
			t.Fatal(err)
		}
		status, code, err := tunnel.get(deadline(t), "/status")
		if err != nil || code != http.StatusOK {
			t.Fatalf("/status: %d %v", code, err)
		}
		if !bytes.Contains(logged, []byte(`"level":"DEBUG"`)) {
			t.Errorf("the log of the tunnel for %s has nothing at debug level", name)
		}
		for _, password := range []string{securityPassword, wrongPassword} {
			for _, form := range []string{password, base64.StdEncoding.EncodeToString([]byte("\x00" + securityUser + "\x00" + password))} {
				if bytes.Contains(logged, []byte(form)) || bytes.Contains(status, []byte(form)) {
					t.Errorf("the tunnel for %s shows the password %s of a client", name, password)
				}
			}
		}
	}
}

// A securityTable collects the verdicts of a run.
type securityTable struct {
	clients  []compatClient
	releases []string
	began    time.Time

	mu    sync.Mutex
	cells map[[3]string]securityVerdict // by client, release, scenario
}

func (st *securityTable) put(client, release, scenario string, v securityVerdict) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.cells == nil {
		st.cells = map[[3]string]securityVerdict{}
	}
	st.cells[[3]string{client, release, scenario}] = v
}

// word is what stands in the table.
func (v securityVerdict) word(s securityScenario) string {
	switch {
	case !v.Same:
		return "**differs**"
	case v.Unsupported:
		return "not supported"
	case !v.Works:
		return "fails, as direct"
	case s.renewed && v.renewed == 0:
		return "same, on new connections"
	}
	return "same"
}

// report puts the table into the log and into docs/compatibility.md, and fails the test
// where something differs.
func (st *securityTable) report(t *testing.T) {
	t.Helper()
	st.mu.Lock()
	defer st.mu.Unlock()
	var text, reasons strings.Builder
	text.WriteString(`## Security

SASL passes through the tunnel; TLS begins in it, and its clients speak plaintext. Each client was let in both ways, past the tunnel with TLS of its own: it produced, and consumed in a group, and what it had done was compared as above. With a wrong password both runs have to end with an error that speaks of authentication. For re-authentication (KIP-368) the brokers ended sessions after ` + session.String() + ` while the client worked for ` + sessions.String() + `: "same" says that the tunnel saw SaslHandshake again on a connection that had authenticated before, "on new connections" that the client let its connections be closed instead.
`)
	for _, release := range st.releases {
		fmt.Fprintf(&text, "\nKafka %s:\n\n| client |", release)
		for _, s := range securityScenarios() {
			fmt.Fprintf(&text, " %s |", s.name)
		}
		text.WriteString("\n|---" + strings.Repeat("|---", len(securityScenarios())) + "|\n")
		for _, c := range st.clients {
			fmt.Fprintf(&text, "| %s |", c.title())
			for _, s := range securityScenarios() {
				v, ok := st.cells[[3]string{c.title(), release, s.name}]
				if !ok {
					text.WriteString(" |")
					continue // the test has failed
				}
				fmt.Fprintf(&text, " %s |", v.word(s))
				if line := fmt.Sprintf("%s, Kafka %s, %s: %s", c.title(), release, s.name, v.Why); !v.Same {
					t.Error(line)
				} else if !v.Works && !v.Unsupported {
					reasons.WriteString(line + "\n")
				}
			}
			text.WriteByte('\n')
		}
	}
	t.Logf("does not work past the tunnel either:\n%s", reasons.String())
	section(t, "security", st.began, text.String())
}
