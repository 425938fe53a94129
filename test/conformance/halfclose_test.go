//go:build conformance

package conformance

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The size of one Fetch response, and when its client closes its side.
const (
	halfCloseRecords = 40
	halfCloseRecord  = 512 << 10
	halfCloseAfter   = 200 << 10
)

// TestHalfClose: a client that reads slowly closes its side in the middle of 20 MB of a real
// broker. Every byte arrives (R14), as without the tunnel, whether the response passes
// unchanged (v11) or its end is rewritten (v17), and nothing is logged above debug.
func TestHalfClose(t *testing.T) {
	c := cluster(t)
	tp := startTunnel(t, startLandscape(t, "--upstream", upstream(c)))
	topic := name(t, "topic")
	direct := clientOf(t, c.Internal()...)
	createOn(t, direct, topic, 1)
	value := make([]byte, halfCloseRecord)
	for i := range value {
		value[i] = byte(i >> 8)
	}
	for range halfCloseRecords {
		r := &kgo.Record{Topic: topic, Value: value}
		if err := direct.ProduceSync(deadline(t), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	through := clientOf(t, tp.bootstrap)
	for _, version := range []int16{11, 17} {
		past := halfClosed(t, direct, topic, version)
		for i := range 6 {
			got := halfClosed(t, through, topic, version)
			if !bytes.Equal(got, past) {
				t.Errorf("Fetch %d, run %d: %d bytes of records, without the tunnel %d", version, i, len(got), len(past))
			}
		}
	}
	log, err := os.ReadFile(tp.log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(log) {
		if bytes.Contains(line, []byte(`"level":"WARN"`)) || bytes.Contains(line, []byte(`"level":"ERROR"`)) {
			t.Errorf("logged: %s", line)
		}
	}
}

func clientOf(t *testing.T, seeds ...string) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// halfClosed fetches the whole topic from its leader and closes its own side when a part has
// arrived. It returns the record batches.
func halfClosed(t *testing.T, client *kgo.Client, topic string, version int16) []byte {
	t.Helper()
	address, id := leaderOf(t, client, topic)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.(*net.TCPConn).SetReadBuffer(32 << 10); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(fetchAll(topic, id, version)); err != nil {
		t.Fatal(err)
	}
	var size [4]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, binary.BigEndian.Uint32(size[:]))
	if n, err := io.ReadFull(conn, frame[:halfCloseAfter]); err != nil {
		t.Fatalf("Fetch %d: %d bytes: %v", version, n, err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for at := halfCloseAfter; at < len(frame); {
		n, err := conn.Read(frame[at:min(at+16<<10, len(frame))])
		if at += n; err != nil && at < len(frame) {
			t.Fatalf("Fetch %d: %d of %d bytes: %v", version, at, len(frame), err)
		}
	}
	response := kmsg.NewPtrFetchResponse()
	response.SetVersion(version)
	body := frame[4:]
	if response.IsFlexible() {
		body = body[1:]
	}
	if err := response.ReadFrom(body); err != nil {
		t.Fatal(err)
	}
	if len(response.Topics) != 1 || len(response.Topics[0].Partitions) != 1 {
		t.Fatalf("Fetch %d: code %d, %d topics", version, response.ErrorCode, len(response.Topics))
	}
	records := response.Topics[0].Partitions[0].RecordBatches
	if len(records) < halfCloseRecords*halfCloseRecord {
		t.Fatalf("Fetch %d: %d bytes of records", version, len(records))
	}
	return records
}

// leaderOf returns the address of the leader of partition 0, and the topic's id.
func leaderOf(t *testing.T, client *kgo.Client, topic string) (address string, id [16]byte) {
	t.Helper()
	request := kmsg.NewPtrMetadataRequest()
	wanted := kmsg.NewMetadataRequestTopic()
	wanted.Topic = kmsg.StringPtr(topic)
	request.Topics = append(request.Topics, wanted)
	response, err := request.RequestWith(deadline(t), client)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range response.Brokers {
		if b.NodeID == response.Topics[0].Partitions[0].Leader {
			return net.JoinHostPort(b.Host, fmt.Sprint(b.Port)), response.Topics[0].TopicID
		}
	}
	t.Fatal("no leader")
	return "", id
}

// fetchAll returns a Fetch request for all of partition 0.
func fetchAll(topic string, id [16]byte, version int16) []byte {
	request := kmsg.NewPtrFetchRequest()
	request.SetVersion(version)
	request.ReplicaID, request.MaxWaitMillis, request.MinBytes, request.MaxBytes = -1, 500, 1, 64<<20
	request.SessionEpoch = -1
	wanted, partition := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
	partition.PartitionMaxBytes, partition.CurrentLeaderEpoch = 64<<20, -1
	wanted.Topic, wanted.TopicID, wanted.Partitions = topic, id, append(wanted.Partitions, partition)
	request.Topics = append(request.Topics, wanted)
	return kmsg.NewRequestFormatter().AppendRequest(nil, request, 1)
}
