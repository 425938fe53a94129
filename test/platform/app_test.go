//go:build linux

package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The application is this test binary itself: if appRole is set, [playApp] runs instead of
// the tests.
const (
	appRole      = "PLATFORM_TEST_APP"    // what it does
	appBootstrap = "PLATFORM_TEST_KAFKA"  // file with the address of Kafka; KAFKA_BOOTSTRAP_SERVERS if unset
	appReport    = "PLATFORM_TEST_REPORT" // where it writes its report
	appLinger    = "PLATFORM_TEST_LINGER" // how long it continues to produce after SIGTERM
	appStatus    = "PLATFORM_TEST_STATUS" // its exit status
	appTopic     = "apps"
	appGroup     = "apps"
)

// A report is the result of the application.
type report struct {
	Flowing  bool     // records came back: it works
	Sent     int      // acknowledged
	Consumed int      //
	Late     bool     // a producer that was opened after SIGTERM has delivered
	Errors   []string // of operations that must not fail
}

// playApp is the application; it returns its exit status.
func playApp(role string) int {
	switch role {
	case "exit":
		return status()
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		select {}
	case "idle":
		term := make(chan os.Signal, 1)
		signal.Notify(term, syscall.SIGTERM)
		<-term
		return status()
	case "kafka":
		return kafkaApp()
	}
	return 99
}

func status() int {
	n, _ := strconv.Atoi(os.Getenv(appStatus))
	return n
}

// kafkaApp produces and consumes until SIGTERM. Its shutdown hook continues for a
// while, opens one more producer, flushes, commits and leaves its group.
func kafkaApp() int {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	a := &app{bootstrap: bootstrap(), file: os.Getenv(appReport), progress: make(chan struct{}, 1)}
	linger, err := time.ParseDuration(os.Getenv(appLinger))
	a.check("linger", err)
	ctx := context.Background()
	consumer := a.client(kgo.ConsumeTopics(appTopic), kgo.ConsumerGroup(appGroup),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
	var work sync.WaitGroup
	consuming, stopConsuming := context.WithCancel(ctx)
	work.Go(func() { a.consume(consuming, consumer) })
	producing, stopProducing := context.WithCancel(ctx)
	var producers []*kgo.Client
	var senders sync.WaitGroup
	for id := range 2 {
		p := a.client(kgo.DefaultProduceTopic(appTopic), kgo.MaxBufferedRecords(200))
		producers = append(producers, p)
		senders.Go(func() { a.produce(producing, p, id) })
	}

	<-term
	hook, cancel := context.WithTimeout(ctx, linger)
	defer cancel()
	<-hook.Done()
	late := a.client(kgo.DefaultProduceTopic(appTopic))
	producers = append(producers, late)
	if err := late.ProduceSync(ctx, &kgo.Record{Value: []byte("99 0")}).FirstErr(); err == nil {
		a.late.Store(true)
		a.sent.Add(1)
	} else {
		a.check("a late producer", err)
	}
	stopProducing()
	senders.Wait()
	for _, p := range producers {
		a.check("flush", p.Flush(ctx))
		p.Close()
	}
	for a.consumed.Load() < a.sent.Load() {
		select {
		case <-a.progress:
		case <-time.After(20 * time.Second):
			a.check("consume", errors.New("the remaining records do not arrive"))
			stopConsuming()
			return a.end()
		}
	}
	stopConsuming()
	work.Wait()
	a.check("commit", consumer.CommitUncommittedOffsets(ctx))
	a.check("leave", consumer.LeaveGroupContext(ctx))
	consumer.Close()
	return a.end()
}

// bootstrap returns the address of Kafka when it is there.
func bootstrap() string {
	file := os.Getenv(appBootstrap)
	if file == "" {
		return os.Getenv("KAFKA_BOOTSTRAP_SERVERS")
	}
	for tick := time.Tick(10 * time.Millisecond); ; <-tick {
		if address, err := os.ReadFile(file); err == nil {
			return string(address)
		}
	}
}

// app is the state of the application.
type app struct {
	bootstrap, file string
	sent, consumed  atomic.Int64
	late            atomic.Bool
	progress        chan struct{}

	mu     sync.Mutex
	errors []string
}

func (a *app) client(opts ...kgo.Opt) *kgo.Client {
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(a.bootstrap), kgo.AllowAutoTopicCreation(),
		kgo.MetadataMinAge(100*time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }))...)
	if err != nil {
		panic(err)
	}
	return cl
}

func (a *app) check(what string, err error) {
	if err == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.errors = append(a.errors, what+": "+err.Error())
}

// produce sends numbered records until ctx ends.
func (a *app) produce(ctx context.Context, p *kgo.Client, id int) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		p.Produce(context.Background(), &kgo.Record{Key: []byte{byte(id)}, Value: fmt.Appendf(nil, "%d %d", id, i)}, func(_ *kgo.Record, err error) {
			if err == nil {
				a.sent.Add(1)
			}
			a.check("produce", err)
		})
	}
}

// consume counts, and writes the report when records flow.
func (a *app) consume(ctx context.Context, c *kgo.Client) {
	for ctx.Err() == nil {
		n := int64(c.PollFetches(ctx).NumRecords())
		before := a.consumed.Add(n) - n
		if n > 0 && before < 100 && before+n >= 100 {
			a.write(true)
		}
		select {
		case a.progress <- struct{}{}:
		default:
		}
	}
}

// write writes the report atomically.
func (a *app) write(flowing bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b, err := json.Marshal(report{flowing, int(a.sent.Load()), int(a.consumed.Load()), a.late.Load(), a.errors})
	if err == nil {
		err = os.WriteFile(a.file+".new", b, 0o600)
	}
	if err == nil {
		err = os.Rename(a.file+".new", a.file)
	}
	if err != nil {
		panic(err)
	}
}

func (a *app) end() int {
	a.write(false)
	if len(a.errors) > 0 {
		return 98
	}
	return status()
}
