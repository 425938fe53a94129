//go:build conformance

package conformance

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/proc"
	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

var (
	compatFull = flag.Bool("compat.full", false, "all releases and clients instead of the quick part")
	compatScen = flag.String("compat.scenarios", "", "scenarios whose names contain one of these, separated by commas")
	compatOnly = flag.String("compat.only", "", "releases and clients whose titles contain one of these, separated by commas")
)

// quickReleases are part of `make conformance`: the newest complete one, with all quick
// clients, and one with ZooKeeper, with the clients that start immediately.
var quickReleases = map[string][]string{
	"2.8.2": {"confluent-kafka (Python)", "kafkajs", "franz-go", "sarama"},
	"4.3.1": nil,
}

// tried reports whether a client is run with a release.
func tried(c compatClient, release string) bool {
	only, quick := quickReleases[release]
	return *compatFull || quick && (len(only) == 0 || slices.Contains(only, c.name))
}

// companyIDs are broker ids as companies use them.
var companyIDs = []int{1, 1001, 70000}

// clientTime limits one run of one client.
const clientTime = time.Minute

// clientsAtATime is how many clients work concurrently, in addition to those that mostly wait.
const clientsAtATime = 4

// TestCompatibility runs every client with every release, without the tunnel and through it.
// What works without it must work through it.
func TestCompatibility(t *testing.T) {
	if *compatOut != "" && (!*compatFull || *compatOnly != "" || *compatScen != "") {
		t.Fatal("-compat.out requires -compat.full and everything")
	}
	table := &compatTable{began: time.Now()}
	var clients []compatClient
	for _, c := range compatClients() {
		if (*compatFull || c.quick) && chosenCompat(c.title(), "Kafka") {
			clients = append(clients, c)
		}
	}
	clients, commands := prepareCompat(t, clients)
	table.clients = clients
	for _, release := range realkafka.Releases() {
		_, quick := quickReleases[release.Version]
		if !*compatFull && !quick || !chosenCompat("Kafka "+release.Version, "") {
			continue
		}
		table.releases = append(table.releases, release.Version)
		t.Run(release.Version, func(t *testing.T) {
			name, began := "release "+release.Version, time.Now()
			p, ok := keptPart(t, name)
			if !ok {
				p = part{Began: began, Cells: compatRelease(t, release, clients, commands)}
				if !t.Failed() && len(differences(p.Cells)) == 0 {
					keepPart(t, name, p)
				}
			}
			table.cells = append(table.cells, p.Cells...)
		})
	}
	for _, line := range differences(table.cells) {
		t.Error(line)
	}
	t.Logf("does not work without the tunnel either:\n%s", table.reasons())
	t.Logf("\n%s\n%s", table.byRelease(), table.byScenario())
	table.sections(t)
	if whole := !*compatFull && *compatOnly == "" && *compatScen == ""; whole && !t.Failed() {
		table.quick(t)
	}
}

// compatRelease runs the clients with one release.
func compatRelease(t *testing.T, release realkafka.Release, clients []compatClient, commands [][2][]string) []compatCell {
	t.Helper()
	cluster := ownCluster(t, realkafka.Options{Release: release, IDs: companyIDs, Racks: true, Settings: compatSettings(release)})
	lab := startLab(t, "--upstream", upstream(cluster))
	watch := guardLab(t, cluster, lab)
	bed := &compatBed{release: release.Version, cluster: cluster, tunnel: lab.bootstrap, direct: cluster.Brokers[0].Internal, log: t.Logf, slots: make(chan struct{}, clientsAtATime)}
	var (
		work  sync.WaitGroup
		mu    sync.Mutex
		cells []compatCell
	)
	for i, c := range clients {
		if !tried(c, release.Version) {
			continue
		}
		work.Go(func() {
			bed.all(deadline(t), c, commands[i], func(s compatScenario, v verdict) {
				mu.Lock()
				defer mu.Unlock()
				cells = append(cells, compatCell{c.title(), release.Version, s.name, v})
			})
		})
	}
	work.Wait()
	watch.stop(t)
	return cells
}

// chosenCompat reports whether -compat.only selects a title. Words for another kind of title
// exclude none of this one.
func chosenCompat(title, other string) bool {
	if *compatOnly == "" {
		return true
	}
	mine := false
	for word := range strings.SplitSeq(*compatOnly, ",") {
		if (other == "") != strings.HasPrefix(word, "Kafka") {
			continue
		}
		if mine = true; strings.Contains(title, word) {
			return true
		}
	}
	return !mine
}

func chosenScenario(name string) bool {
	return *compatScen == "" || slices.ContainsFunc(strings.Split(*compatScen, ","), func(word string) bool { return strings.Contains(name, word) })
}

// A compatBed is one running release, with the tunnel in front.
type compatBed struct {
	release        string
	cluster        *realkafka.Cluster
	tunnel, direct string
	log            func(format string, args ...any)
	slots          chan struct{} // nil: unlimited
}

// slot waits for a slot, if the scenario works hard, and returns a function that releases it.
func (b *compatBed) slot(s compatScenario) (release func()) {
	if b.slots == nil || s.waits {
		return func() {}
	}
	b.slots <- struct{}{}
	return func() { <-b.slots }
}

// A verdict is the result of one scenario.
type verdict struct {
	Same        bool
	Works       bool   // without the tunnel
	Unsupported bool   // by the client itself
	Late        bool   // without the tunnel it was still trying at the end of its time
	Why         string // reason why it does not work, or differs
}

// all runs all scenarios, unless the client cannot work with this release: if the first three
// have failed without the tunnel, or two have run out of time.
func (b *compatBed) all(ctx context.Context, c compatClient, command [2][]string, put func(compatScenario, verdict)) {
	failed, late, worked := 0, 0, false
	for _, s := range compatScenarios() {
		if s.full && !*compatFull || !s.in(b.release) || !s.suits(c) || !chosenScenario(s.name) {
			continue
		}
		if c.since != "" && older(b.release, c.since) {
			put(s, verdict{Same: true, Why: "not tried: the client is for releases from " + c.since + " on"})
			continue
		}
		if late >= 2 || failed >= 3 && !worked {
			put(s, verdict{Same: true, Why: "not tried: the previous ones have not worked"})
			continue
		}
		v := b.compare(ctx, c, command, s, "")
		if !v.Same {
			// Clients and brokers have races of their own, also without the tunnel: a random
			// difference occurs only once. The log keeps it.
			b.log("%s, Kafka %s, %s differed once: %s", c.title(), b.release, s.name, v.Why)
			v = b.compare(ctx, c, command, s, "-again")
		}
		put(s, v)
		switch {
		case v.Late:
			late++
		case v.Works:
			worked = true
		case !v.Unsupported:
			failed++
		}
	}
}

// compare runs one scenario without the tunnel and through it.
func (b *compatBed) compare(ctx context.Context, c compatClient, command [2][]string, s compatScenario, try string) verdict {
	errDirect := b.run(ctx, "direct"+try, b.direct, c, command, s)
	if errors.Is(errDirect, errUnsupported) {
		return verdict{Same: true, Unsupported: true}
	}
	return judge(errDirect, b.run(ctx, "tunnel"+try, b.tunnel, c, command, s))
}

// judge compares the results of a scenario without the tunnel and through it.
func judge(errDirect, errTunnel error) verdict {
	switch {
	case (errDirect == nil) == (errTunnel == nil) && !errors.Is(errTunnel, errLeak):
		return verdict{Same: true, Works: errDirect == nil, Late: errors.Is(errDirect, errLate), Why: firstLine(errDirect)}
	case errTunnel != nil:
		return verdict{Works: true, Why: errTunnel.Error()}
	}
	return verdict{Why: "only without the tunnel: " + errDirect.Error()}
}

var (
	errUnsupported = errors.New("the client does not support it")
	errLeak        = errors.New("a real name was seen")
	errLate        = errors.New("still trying at the end of its time")
)

// run runs one scenario once.
func (b *compatBed) run(ctx context.Context, way, bootstrap string, c compatClient, command [2][]string, s compatScenario) error {
	defer b.slot(s)()
	ctx, cancel := context.WithTimeout(ctx, clientTime)
	defer cancel()
	topic := plainName(c.title(), s.name, way)
	if err := newTopic(ctx, b.cluster, topic); err != nil {
		return fmt.Errorf("the topic: %w", err)
	}
	var feeding errgroup.Group
	if s.feeds {
		feeding.Go(func() error { return feedCompat(ctx, b.cluster, s, topic) })
	}
	if s.over == 0 {
		if err := feeding.Wait(); err != nil {
			return fmt.Errorf("filling the topic: %w", err)
		}
	}
	args := append(slices.Clone(command[0]), s.task...)
	if s.prepare != nil {
		more, err := s.prepare(ctx, b.cluster, topic)
		if err != nil {
			return fmt.Errorf("preparing it: %w", err)
		}
		args = append(args, more...)
	}
	args = append(args, "bootstrap="+bootstrap, "topic="+topic, fmt.Sprintf("count=%d", s.count), "group=group-"+topic, "kafka="+b.release)
	if slices.Contains(s.task, "do=transact") || slices.Contains(s.task, "do=fence") {
		args = append(args, "transactional=tx-"+topic)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(clean(os.Environ()), command[1]...)
	proc.DieWithParent(cmd)
	cmd.WaitDelay = 5 * time.Second
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	began := time.Now()
	err := cmd.Run()
	if took := time.Since(began); took > clientTime/4 {
		b.log("%s, Kafka %s, %s, %s took %v", c.title(), b.release, s.name, way, took.Round(time.Second))
	}
	if err := feeding.Wait(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("filling the topic: %w", err)
	}
	if strings.HasPrefix(way, "tunnel") && bytes.Contains(append(out.Bytes(), said.Bytes()...), []byte(realDomain)) {
		return fmt.Errorf("%w: %s", errLeak, tail(said.Bytes()))
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 3 {
		return errUnsupported
	}
	if ctx.Err() != nil {
		return &saidError{errLate, said.Bytes()}
	}
	if err != nil {
		return &saidError{err, said.Bytes()}
	}
	result, err := parseCompat(out.Bytes())
	if err != nil || s.check == nil {
		return err
	}
	return s.check(ctx, b.cluster, s, topic, result)
}

// A saidError is the error of a client with the last lines of its output.
type saidError struct {
	error
	said []byte
}

func (e *saidError) Error() string { return e.error.Error() + ": " + lastLines(e.said) }
func (e *saidError) Unwrap() error { return e.error }

// lastLines returns the end of a client's output, on one line.
func lastLines(said []byte) string {
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	text := strings.Join(lines[max(0, len(lines)-6):], " / ")
	return text[max(0, len(text)-600):]
}

func firstLine(err error) string {
	if err == nil {
		return ""
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text[:min(len(text), 300)]
}
