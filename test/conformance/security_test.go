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
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

// securityReleases are those of the full run; the quick one uses only the last.
var securityReleases = []string{"2.8.2", "4.3.1"}

// quickSecurity are the clients of the quick run: those that start fastest.
var quickSecurity = []string{"franz-go", "sarama"}

// TestSecurity makes clients authenticate without the tunnel and through it. SASL passes
// through the tunnel; the tunnel does TLS.
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
	_, commands := prepareCompat(t, clients)
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
							return ctx.Err() // not evidence about the client
						}
						table.put(c.title(), release.Version, s.name, v)
						t.Logf("%s, %s: %s", c.title(), s.name, strings.TrimSpace(v.word(s)+" "+v.Why))
					}
					return nil
				})
			}
			if err := work.Wait(); err != nil {
				t.Errorf("not everything was tried: %v", err)
			}
			bed.guard.stop(t)
			bed.noSecrets(t)
		})
	}
	table.report(t)
}

// A securityBed is one running release, with tunnels in front of its doors.
type securityBed struct {
	release string
	cluster *realkafka.Cluster
	tunnels map[string]*tunnelProcess // by door; by client if sessions are counted
	guard   *guard
	log     func(format string, args ...any)
}

func startSecurityBed(t *testing.T, release realkafka.Release, clients []compatClient) *securityBed {
	t.Helper()
	c := ownCluster(t, realkafka.Options{
		Release: release, Brokers: 3, Settings: steady,
		Doors: securityDoors(), Users: []realkafka.User{{Name: securityUser, Password: securityPassword}},
	})
	bed := &securityBed{release: release.Version, cluster: c, tunnels: map[string]*tunnelProcess{}, log: t.Logf}
	var exposed, outer []string
	for _, b := range c.Brokers {
		for _, d := range securityDoors() {
			if door := b.Doors[d.Name]; !strings.HasSuffix(d.Name, twin) {
				exposed = append(exposed, door.Advertised+"="+door.Address)
				outer = append(outer, door.Address)
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
	var ports []uint16
	for _, tunnel := range bed.tunnels {
		admin := portOf(t, strings.TrimPrefix(tunnel.admin, "http://"))
		ports = append(ports, slices.DeleteFunc(listeningOn(t, tunnel.proc), func(p uint16) bool { return p == admin })...)
	}
	bed.guard = startGuard(t, outer, l.proc, ports)
	return bed
}

// bootstrap configures a tunnel for its door.
func (b *securityBed) bootstrap(door string) string {
	var all []string
	for _, broker := range b.cluster.Brokers {
		all = append(all, broker.Doors[door].Advertised)
	}
	return "KAFKA_TUNNEL_BOOTSTRAP=" + strings.Join(all, ",")
}

// compare makes a client authenticate on both routes; twice if that makes a difference or
// nothing works, because clients and brokers have races of their own.
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

// enter produces and consumes; if sessions count, both at the same time.
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

// speaksOfIt matches the errors of clients that are refused.
var speaksOfIt = regexp.MustCompile(`(?i)authenticat|credential|password`)

// refusal compares the errors of a refused client.
func refusal(errDirect, errTunnel error) verdict {
	if errDirect == nil || errTunnel == nil {
		return verdict{Works: true, Why: fmt.Sprintf("a wrong password was accepted: without the tunnel %v, through it %v", errDirect, errTunnel)}
	}
	spoke := func(err error) bool {
		said, ok := errors.AsType[*saidError](err)
		return ok && speaksOfIt.Match(said.said)
	}
	if spoke(errDirect) != spoke(errTunnel) || errors.Is(errDirect, errLate) != errors.Is(errTunnel, errLate) || errors.Is(errTunnel, errLeak) {
		return verdict{Works: true, Why: fmt.Sprintf("error without the tunnel: %v; through it: %v", errDirect, errTunnel)}
	}
	return verdict{Same: true, Works: spoke(errDirect), Late: errors.Is(errDirect, errLate), Why: firstLine(errDirect)}
}

var (
	handshakes  = regexp.MustCompile(`(?m)^kafka_tunnel_requests_total\{api="SaslHandshake",[^}]*\} (\S+)$`)
	connections = regexp.MustCompile(`(?m)^kafka_tunnel_connections(?:_total)?\{[^}]*\} (\S+)$`)
)

// renewals returns the number of SaslHandshakes that were not the first of their connection, as
// far as the metric shows: a connection without any hides one.
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

// noSecrets searches for the passwords in all output of the tunnels.
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
