package session

import (
	"context"
	"encoding/binary"
	"hash/crc64"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// fetched is a Fetch response with this many bytes of records in one partition.
func fetched(version int16, correlation int32, records int) []byte {
	r := kmsg.NewPtrFetchResponse()
	r.SetVersion(version)
	topic, partition := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
	topic.Topic = "t"
	partition.RecordBatches = make([]byte, records)
	for i := range partition.RecordBatches {
		partition.RecordBatches[i] = byte(i * 7)
	}
	topic.Partitions = append(topic.Partitions, partition)
	r.Topics = append(r.Topics, topic)
	frame := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(correlation))
	if version >= 12 {
		frame = append(frame, 0)
	}
	frame = r.AppendTo(frame)
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
	return frame
}

// TestAConsumerThatPausesForTenMinutes stops in the middle of a response of 50 MiB
// and gets every byte when it goes on: only the reader is slow (R13).
func TestAConsumerThatPausesForTenMinutes(t *testing.T) {
	for name, version := range map[string]int16{"passed": 11, "walked": 17} {
		t.Run(name, func(t *testing.T) {
			response := fetched(version, 1, 50<<20)
			synctest.Test(t, func(t *testing.T) {
				client, inner := net.Pipe()
				upstream, broker := net.Pipe()
				h := &Handler{Mapper: kafka.MapperFunc(toLocalhost), Stall: time.Minute}
				over := make(chan Summary, 1)
				go func() {
					over <- h.Serve(t.Context(), inner, func(context.Context) (net.Conn, string, error) {
						return upstream, "kafka-1.corp:9092", nil
					})
				}()
				go func() {
					_, _ = io.ReadFull(broker, make([]byte, len(request(kafka.KeyFetch, version, 1, ""))))
					_, _ = broker.Write(response)
				}()
				if _, err := client.Write(request(kafka.KeyFetch, version, 1, "")); err != nil {
					t.Fatal(err)
				}
				sum := crc64.New(crc64.MakeTable(crc64.ECMA))
				begin := time.Now()
				if _, err := io.CopyN(sum, client, int64(len(response)/2)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Minute) // synctest
				if _, err := io.CopyN(sum, client, int64(len(response)-len(response)/2)); err != nil {
					t.Fatalf("after %v: %v", time.Since(begin), err)
				}
				if want := crc64.Checksum(response, crc64.MakeTable(crc64.ECMA)); sum.Sum64() != want {
					t.Error("what came is not what was sent")
				}
				_ = client.Close()
				_ = broker.Close()
				if s := <-over; s.ToClient != int64(len(response)) {
					t.Errorf("summary %+v", s)
				}
			})
		})
	}
}
