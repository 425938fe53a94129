package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/proxy"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A Proof reports that a record passed through all hops and was consumed.
type Proof struct {
	Steps   []Step
	Dialled []string // addresses that the client connected to, sorted
}

// A Step is one hop, or one action of the client.
type Step struct {
	Name   string
	Detail string
	Took   time.Duration // 0 for hops, which are not measured
}

// Prove produces one record to a topic of its own through a bootstrap address and consumes it.
// It deletes the topic afterwards if the brokers allow that. Temporary failures are retried
// until ctx ends; the error names the step.
func Prove(ctx context.Context, bootstrap string) (*Proof, error) {
	return newProver(bootstrap, new(net.Dialer).DialContext).run(ctx)
}

// dialFunc opens a connection.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// prover is the client of one proof.
type prover struct {
	bootstrap string
	topic     string
	dialer    dialFunc
	client    *kgo.Client
	admin     *kadm.Client
	created   bool

	proof Proof
	mu    sync.Mutex // guards proof.Dialled
}

// newProver returns the client of a proof.
func newProver(bootstrap string, dial dialFunc) *prover {
	return &prover{bootstrap: bootstrap, topic: "kafka-tunnel-proof-" + strings.ToLower(rand.Text()[:10]), dialer: dial}
}

// run performs the steps.
func (p *prover) run(ctx context.Context) (*Proof, error) {
	cl, err := kgo.NewClient(
		kgo.SeedBrokers(p.bootstrap),
		kgo.ClientID("kafka-tunnel-lab"),
		kgo.Dialer(p.dial),
		kgo.DisableClientMetrics(),
		kgo.ConsumeTopics(p.topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.MetadataMinAge(50*time.Millisecond), // the topic is new
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }),
		kgo.UnknownTopicRetries(-1),
		kgo.RequestRetries(1<<30), // until ctx ends
		kgo.RetryTimeout(0),
	)
	if err != nil {
		return nil, fmt.Errorf("making the client: %w", err)
	}
	defer cl.Close()
	p.client, p.admin = cl, kadm.NewClient(cl)
	defer p.deleteTopic(ctx)
	for _, s := range []struct {
		name string
		do   func(context.Context) (string, error)
	}{
		{"find the brokers", p.findBrokers},
		{"create a topic", p.createTopic},
		{"produce a record", p.produce},
		{"consume it", p.consume},
	} {
		began := time.Now()
		detail, err := retry(ctx, s.do)
		if err != nil {
			return nil, fmt.Errorf("%s through %s: %w", s.name, p.bootstrap, err)
		}
		p.proof.Steps = append(p.proof.Steps, Step{s.name, detail, time.Since(began)})
	}
	return p.result(), nil
}

// retry repeats a step until it succeeds, ctx ends or Kafka returns a permanent error. The
// client alone gives up early if there is no response from the bootstrap address.
func retry(ctx context.Context, step func(context.Context) (string, error)) (detail string, err error) {
	const pause = 100 * time.Millisecond
	for {
		var last error
		if detail, last = step(ctx); last == nil {
			return detail, nil
		}
		if ctx.Err() == nil || err == nil {
			err = last // err itself only means that the time has passed
		}
		if _, said := errors.AsType[*kerr.Error](err); said && !kerr.IsRetriable(err) || errors.Is(err, errChanged) {
			return "", err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return "", err
		}
	}
}

// errChanged means that the record changed on its route.
var errChanged = errors.New("the record came back changed")

// dial connects and records the address.
func (p *prover) dial(ctx context.Context, network, address string) (net.Conn, error) {
	p.mu.Lock()
	if !slices.Contains(p.proof.Dialled, address) {
		p.proof.Dialled = append(p.proof.Dialled, address)
	}
	p.mu.Unlock()
	return p.dialer(ctx, network, address)
}

// result returns the proof.
func (p *prover) result() *Proof {
	p.mu.Lock()
	defer p.mu.Unlock()
	dialled := slices.Sorted(slices.Values(p.proof.Dialled))
	return &Proof{Steps: p.proof.Steps, Dialled: dialled}
}

// findBrokers requests the brokers until there is a response.
func (p *prover) findBrokers(ctx context.Context) (string, error) {
	brokers, err := p.admin.ListBrokers(ctx)
	if err != nil {
		return "", err
	}
	var list []string
	for _, b := range brokers {
		list = append(list, fmt.Sprintf("%d at %s:%d", b.NodeID, b.Host, b.Port))
	}
	slices.Sort(list)
	return strings.Join(list, ", "), nil
}

// createTopic creates the topic, with the brokers' default replication factor if they support
// it (Kafka 2.4).
func (p *prover) createTopic(ctx context.Context) (string, error) {
	_, err := p.admin.CreateTopic(ctx, 1, -1, nil, p.topic)
	if errors.Is(err, kerr.InvalidReplicationFactor) || errors.Is(err, kerr.UnsupportedVersion) {
		_, err = p.admin.CreateTopic(ctx, 1, 1, nil, p.topic)
	}
	if errors.Is(err, kerr.TopicAlreadyExists) {
		err = nil // an earlier attempt created it, and its response was lost
	}
	p.created = err == nil
	return p.topic, err
}

// produce sends the record.
func (p *prover) produce(ctx context.Context) (string, error) {
	r, err := p.client.ProduceSync(ctx, &kgo.Record{Topic: p.topic, Value: []byte("proof")}).First()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("partition %d, offset %d", r.Partition, r.Offset), nil
}

// consume reads the record.
func (p *prover) consume(ctx context.Context) (string, error) {
	for {
		fetches := p.client.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return "", err
		}
		for _, r := range fetches.Records() {
			if string(r.Value) == "proof" {
				return fmt.Sprintf("%d bytes, the same", len(r.Value)), nil
			}
			return "", errChanged
		}
	}
}

// deleteTopic deletes the topic, briefly even after ctx has ended.
func (p *prover) deleteTopic(ctx context.Context) {
	if !p.created {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_, _ = p.admin.DeleteTopic(ctx, p.topic) // brokers may refuse it
}

// Prove is Prove, with the hops of this lab before the client's steps.
func (l *Landscape) Prove(ctx context.Context, bootstrap string) (*Proof, error) {
	proof, err := Prove(ctx, bootstrap)
	if err != nil {
		return nil, err
	}
	proof.Steps = append(l.hops(), proof.Steps...)
	return proof, nil
}

// hops returns what the parts have counted so far.
func (l *Landscape) hops() []Step {
	granted := make(map[string]string) // virtual to internal
	for _, c := range l.proxy.Connects() {
		if c.Result == proxy.Granted {
			granted[c.Target] = c.Internal
		}
	}
	steps := []Step{
		{Name: "token service", Detail: fmt.Sprintf("%d tokens issued", l.tokens.Stats().Granted)},
		{Name: "connectivity proxy", Detail: fmt.Sprintf("%d connects granted", l.proxy.Counts()[proxy.Granted])},
	}
	for _, virtual := range slices.Sorted(maps.Keys(granted)) {
		steps = append(steps, Step{Name: "Cloud Connector", Detail: virtual + " leads to " + granted[virtual]})
	}
	return steps
}
