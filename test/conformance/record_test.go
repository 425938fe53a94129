//go:build conformance

package conformance

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// keptBytes limits the frames that are kept: larger ones are of no use.
const keptBytes = 4 << 10

// captures keeps the first exchange of every API and version.
type captures struct {
	mu   sync.Mutex
	kept map[[2]int16][2][]byte
}

func (r *captures) keep(key, version int16, request, response []byte) {
	if key == int16(kmsg.DescribeConfigs) || key == int16(kmsg.DescribeLogDirs) {
		return // they contain directories of this machine
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	id := [2]int16{key, version}
	old, have := r.kept[id]
	// An exchange with an address is more useful than one without.
	better := bytes.Contains(response, []byte(realDomain)) && !bytes.Contains(old[1], []byte(realDomain))
	if (!have || better) && len(request) <= keptBytes && len(response) <= keptBytes {
		r.kept[id] = [2][]byte{bytes.Clone(request), bytes.Clone(response)}
	}
}

// TestRecord writes the frames between real brokers and real clients, one file per API, for the
// tests of internal/kafka. It runs only on request:
//
//	KAFKA_TUNNEL_RECORD=$PWD/internal/kafka/testdata/captured \
//	    go test -tags conformance -count=1 -v ./test/conformance -run TestRecord
func TestRecord(t *testing.T) {
	dir := os.Getenv("KAFKA_TUNNEL_RECORD")
	if dir == "" {
		t.Skip("KAFKA_TUNNEL_RECORD does not name a directory")
	}
	c := cluster(t)
	rec := &captures{kept: map[[2]int16][2][]byte{}}
	w := newWatch()
	w.keep = rec.keep
	var upstreams []string
	for _, b := range c.Brokers {
		r := startRelay(t, int32(b.ID), b.Client, w)
		upstreams = append(upstreams, b.Advertised+"="+r.l.Addr().String())
	}
	l := startLab(t, "--upstream", strings.Join(upstreams, ","))
	direct, err := kgo.NewClient(kgo.SeedBrokers(c.Internal()...))
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()

	for i, versions := range []*kversion.Versions{kversion.V2_1_0(), kversion.V2_4_0(), kversion.V2_8_0(), kversion.V3_3_0(), kversion.V3_7_0(), kversion.V4_0_0(), kversion.Stable()} {
		recordFranz(t, l.bootstrap, fmt.Sprintf("captured-%d", i), versions)
	}
	kafkajs(t, l.bootstrap, "produce", "captured-js", "100")
	kafkajs(t, l.bootstrap, "consume", "captured-js", "100", "captured-js-group")
	for i, loop := range []struct {
		mode  string
		key   kmsg.Key
		start func(t *testing.T, mode, bootstrap, topic string) *processLoop
	}{
		{"produce", kmsg.Produce, javaLoop}, {"consume", kmsg.Fetch, javaLoop}, {"share", kmsg.ShareFetch, javaLoop},
		{"produce", kmsg.Produce, rdkafkaLoop}, {"consume", kmsg.Fetch, rdkafkaLoop},
	} {
		topic := fmt.Sprintf("captured-loop-%d", i)
		createOn(t, direct, topic, 1, 2, 3)
		shareFromStart(t, direct, "share-"+topic)
		feed(t, c, topic)
		recordMove(t, direct, w, topic, int16(loop.key), func() looper { return loop.start(t, loop.mode, l.bootstrap, topic) })
	}
	jars, ctx := classpath(t), deadline(t)
	for _, args := range [][]string{
		{"TopicCommand", "--describe"}, {"consumer.group.ConsumerGroupCommand", "--describe", "--all-groups"},
		{"ClusterTool", "list-endpoints"}, {"MetadataQuorumCommand", "describe", "--status"}, {"BrokerApiVersionsCommand"},
		{"FeatureCommand", "describe"}, {"consumer.group.ShareGroupCommand", "--list"},
	} {
		main, rest := "org.apache.kafka.tools."+args[0], append([]string{"--bootstrap-server", l.bootstrap}, args[1:]...)
		if args[0] == "ClusterTool" {
			rest = append(args[1:], "--bootstrap-server", l.bootstrap)
		}
		if out, err := tool(ctx, jars, main, rest...).CombinedOutput(); err != nil {
			t.Logf("%s: %v\n%s", args[0], err, tail(out))
		}
	}
	rec.write(t, dir)
}

// recordMove makes a client work during two changes of the leader.
func recordMove(t *testing.T, direct *kgo.Client, w *watch, topic string, key int16, start func() looper) {
	t.Helper()
	at := func(broker int32) int {
		n, _ := w.count(broker, key)
		return n
	}
	first, second, third := at(1), at(2), at(3)
	client := start()
	w.reaches(t, 1, key, first+3)
	moveLeader(t, direct, topic, 2, 3, 1)
	w.reaches(t, 2, key, second+3)
	moveLeader(t, direct, topic, 3, 1, 2)
	w.reaches(t, 3, key, third+3)
	client.stop(t)
}

// recordFranz uses franz-go at the versions of one Kafka release.
func recordFranz(t *testing.T, bootstrap, topic string, versions *kversion.Versions) {
	t.Helper()
	ctx := deadline(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.MaxVersions(versions), kgo.DefaultProduceTopic(topic),
		kgo.ConsumerGroup(topic+"-group"), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.AllowAutoTopicCreation())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(ctx, kgo.StringRecord("record")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for client.PollFetches(ctx).NumRecords() == 0 && ctx.Err() == nil {
		continue
	}
	_ = client.CommitUncommittedOffsets(ctx)
	tx, err := kgo.NewClient(kgo.SeedBrokers(bootstrap), kgo.MaxVersions(versions), kgo.TransactionalID(topic+"-tx"), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Close()
	if err := tx.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	_ = tx.ProduceSync(ctx, kgo.StringRecord("record")).FirstErr()
	_ = tx.EndTransaction(ctx, kgo.TryCommit)
	admin := kadm.NewClient(client)
	recordAdmin(ctx, admin, topic)
}

// recordAdmin requests everything that an administrator may view; a request that a release does
// not support is an error that does not matter.
func recordAdmin(ctx context.Context, admin *kadm.Client, topic string) {
	_, _ = admin.BrokerMetadata(ctx)
	_, _ = admin.ListTopics(ctx)
	_, _ = admin.DescribeTopicConfigs(ctx, topic)
	_, _ = admin.DescribeBrokerConfigs(ctx, 1)
	_, _ = admin.ListGroups(ctx)
	_, _ = admin.DescribeGroups(ctx, topic+"-group")
	_, _ = admin.FetchOffsets(ctx, topic+"-group")
	_, _ = admin.ListEndOffsets(ctx, topic)
	_, _ = admin.DescribeAllLogDirs(ctx, nil)
	_, _ = admin.ListTransactions(ctx, nil, nil)
	_, _ = admin.DescribeTransactions(ctx, topic+"-tx")
	_, _ = admin.FindGroupCoordinators(ctx, topic+"-group"), admin.FindTxnCoordinators(ctx, topic+"-tx")
	_, _ = admin.CreatePartitions(ctx, 1, topic)
	_, _ = admin.DeleteGroups(ctx, "no-such-group")
	_, _ = admin.DeleteTopics(ctx, "no-such-topic")
}

// write writes one file per API, in the order of the versions.
func (r *captures) write(t *testing.T, dir string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	files := map[int16]*strings.Builder{}
	for _, id := range slices.SortedFunc(maps.Keys(r.kept), func(a, b [2]int16) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	}) {
		b := files[id[0]]
		if b == nil {
			b = &strings.Builder{}
			files[id[0]] = b
		}
		for i, what := range []string{"request", "response"} {
			fmt.Fprintf(b, "v%d %s %s\n", id[1], what, hex.EncodeToString(r.kept[id][i]))
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for key, b := range files {
		file := filepath.Join(dir, fmt.Sprintf("%02d-%s.txt", key, kmsg.NameForKey(key)))
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d APIs, %d versions", len(files), len(r.kept))
}
