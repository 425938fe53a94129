package upstream

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
)

// How a broker that is down responds.
const (
	refuses = 20 * time.Millisecond // reply 04 after the time of a handshake
	slow    = 5 * time.Second       // reply 04 after the Cloud Connector's own time-out
	silent  = time.Hour             // no reply
)

// brokers are several brokers that all go down at the same moment.
type brokers struct {
	d       *Dialer
	targets []hostport.Target
	shows   time.Duration

	mu       sync.Mutex
	down     bool
	broken   chan struct{} // closed when all connections break
	begun    map[hostport.Target][]time.Time
	granted  []time.Time
	watching bool // attempts and successes are recorded
}

type brokerConn struct{ net.Conn }

func (brokerConn) Close() error { return nil }

func (b *brokers) connect(ctx context.Context, at hostport.Target) (net.Conn, error) {
	b.mu.Lock()
	if b.watching {
		b.begun[at] = append(b.begun[at], time.Now())
	}
	takes, down := refuses, b.down
	if down {
		takes = b.shows
	}
	b.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return nil, failure.New(failure.ConnectSilent, ctx.Err())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if down || b.down {
		return nil, failure.New(failure.BrokerUnreachable, nil)
	}
	if b.watching {
		b.granted = append(b.granted, time.Now())
	}
	return brokerConn{}, nil
}

// client connects again and again until ctx ends, and keeps each connection until it
// breaks.
func (b *brokers) client(ctx context.Context, hold time.Duration, again func() time.Duration) {
	for ctx.Err() == nil {
		held, cancel := context.WithTimeout(ctx, hold)
		b.mu.Lock()
		broken := b.broken
		b.mu.Unlock()
		_, at, err := b.d.DialAny(held, b.targets)
		cancel()
		if err == nil {
			select {
			case <-broken:
				b.d.Broken(at)
			case <-ctx.Done():
			}
		}
		select {
		case <-time.After(again()):
		case <-ctx.Done():
		}
	}
}

// set changes whether the brokers are down.
func (b *brokers) set(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
	if down {
		b.watching = true
		close(b.broken)
		b.broken = make(chan struct{})
	}
}

// TestARecoveredBrokerIsUsedPromptly: however long the outage, and whatever the number
// and the retry pattern of the clients, the first success is soon after the recovery.
// No address is tried more than once a second.
func TestARecoveredBrokerIsUsedPromptly(t *testing.T) {
	every := func(d time.Duration) func() time.Duration { return func() time.Duration { return d } }
	between := func(low, high time.Duration) func() time.Duration {
		return func() time.Duration { return low + rand.N(high-low) }
	}
	type population struct {
		name    string
		clients int
		again   func() time.Duration
		shows   time.Duration
	}
	var populations []population
	for _, ms := range []int{100, 250, 333, 600, 900, 970} {
		d := time.Duration(ms) * time.Millisecond
		populations = append(populations, population{fmt.Sprint("one client each ", d), 1, every(d), refuses})
	}
	populations = append(populations,
		population{"one client at random", 1, between(50*time.Millisecond, 950*time.Millisecond), refuses},
		population{"many", 15, between(200*time.Millisecond, time.Second), refuses},
		population{"many at once", 5, every(200 * time.Millisecond), refuses},
		population{"many that back off", 50, between(time.Second, 10*time.Second), refuses},
		population{"many and a slow refusal", 30, between(200*time.Millisecond, time.Second), slow},
		population{"many and no reply", 30, between(200*time.Millisecond, time.Second), silent},
	)
	const bar, oldBar = 1200 * time.Millisecond, 3200 * time.Millisecond
	worst := map[time.Duration]time.Duration{}
	outages := []time.Duration{5 * time.Second, 30 * time.Second, 90 * time.Second, 240 * time.Second, 310 * time.Second}
	if testing.Short() {
		outages = outages[:2]
	}
	for _, lasts := range outages {
		for _, addresses := range []int{1, 3} {
			for _, p := range populations {
				t.Run(fmt.Sprintf("%v/%d addresses/%s", lasts, addresses, p.name), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						took, closest := recovery(t, p.clients, addresses, p.shows, lasts, p.again)
						limit := bar
						if lasts >= addressIsOld {
							limit = oldBar
						}
						if took > limit {
							t.Errorf("the first success was %v after the recovery", took)
						}
						if closest < addressYoung {
							t.Errorf("two attempts at an address began %v apart", closest)
						}
						worst[lasts] = max(worst[lasts], took)
					})
				})
			}
		}
	}
	t.Logf("worst: %v", worst)
}

// recovery returns how long after the outage the first success was, and the shortest
// time between the starts of two attempts at one address before that.
func recovery(t *testing.T, clients, addresses int, shows, lasts time.Duration, again func() time.Duration) (took, closest time.Duration) {
	t.Helper()
	b := &brokers{shows: shows, broken: make(chan struct{}), begun: map[hostport.Target][]time.Time{}}
	b.d = &Dialer{connect: b.connect}
	for i := range addresses {
		b.targets = append(b.targets, target(fmt.Sprint("kafka-", i)))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range clients {
		go b.client(ctx, 9*time.Second, again)
		time.Sleep(rand.N(100 * time.Millisecond)) // synctest: some clients are dialling when the outage begins
	}
	b.set(true)
	time.Sleep(lasts + rand.N(3*time.Second)) // synctest
	b.set(false)
	recovered := time.Now()
	time.Sleep(15 * time.Second) // synctest
	cancel()
	synctest.Wait()
	if len(b.granted) == 0 {
		t.Fatal("no success")
	}
	closest = time.Hour
	for _, begun := range b.begun {
		for i := 1; i < len(begun) && begun[i].Before(b.granted[0]); i++ {
			closest = min(closest, begun[i].Sub(begun[i-1]))
		}
	}
	return b.granted[0].Sub(recovered), closest
}
