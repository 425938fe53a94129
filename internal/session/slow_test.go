package session

import (
	"encoding/binary"
	"hash/crc64"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
	"github.com/kafka-tunnel/kafka-tunnel/internal/testutil"
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

// TestAConsumerThatPausesForTenMinutes: a consumer that stops reading in the middle of
// a response of 50 MiB gets every byte when it continues, because only the reader is
// slow (R13).
func TestAConsumerThatPausesForTenMinutes(t *testing.T) {
	for name, version := range map[string]int16{"passed": 11, "walked": 17} {
		t.Run(name, func(t *testing.T) {
			response := fetched(version, 1, testutil.Rounds(50)<<20)
			synctest.Test(t, func(t *testing.T) {
				client, inner := net.Pipe()
				upstream, broker := net.Pipe()
				h := &Handler{Mapper: kafka.MapperFunc(toLocalhost), Stall: time.Minute}
				over := make(chan Summary, 1)
				go func() {
					h.Serve(t.Context(), inner, &owner{dial: to(upstream), over: over})
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
					t.Error("the client received other bytes than the broker sent")
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

// TestASourceThatResumesSlowly: after the client has read nothing for a while, the
// broker's kernel probes only at long intervals and notices late that the client reads
// again. The client caused this silence, so it is no stall. Silence after the broker
// has sent again is a stall.
func TestASourceThatResumesSlowly(t *testing.T) {
	const stall = time.Minute
	for name, test := range map[string]struct {
		pause, silence time.Duration // of the client, of the broker afterwards
		again          bool          // the broker is silent twice
		cut            bool
	}{
		"no pause, a short silence":            {silence: stall - time.Second},
		"no pause, a long silence":             {silence: stall + time.Second, cut: true},
		"a silence as long as the pause":       {pause: 50 * time.Second, silence: stall + 45*time.Second},
		"a longer silence":                     {pause: 50 * time.Second, silence: stall + 55*time.Second, cut: true},
		"ten minutes, the longest interval":    {pause: 10 * time.Minute, silence: stall + 119*time.Second},
		"ten minutes, longer than that":        {pause: 10 * time.Minute, silence: stall + 121*time.Second, cut: true},
		"a second silence is not the client's": {pause: 10 * time.Minute, silence: stall + time.Second, again: true, cut: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, inner := net.Pipe()
				upstream, broker := net.Pipe()
				h := &Handler{Stall: stall}
				over := make(chan Summary, 1)
				go func() {
					h.Serve(t.Context(), inner, &owner{dial: to(upstream), over: over})
				}()
				ask, answer := request(heartbeat, 0, 1, ""), response(1, string(make([]byte, 3992)))
				var sender sync.WaitGroup
				sender.Go(func() {
					_, _ = io.ReadFull(broker, make([]byte, len(ask)))
					_, _ = broker.Write(answer[:1000])
					for part := range 3 {
						if part > 0 && (part == 1 || test.again) {
							time.Sleep(test.silence) // synctest
						}
						_, _ = broker.Write(answer[1000*(part+1) : 1000*(part+2)])
					}
				})
				if _, err := client.Write(ask); err != nil {
					t.Fatal(err)
				}
				time.Sleep(test.pause) // synctest
				_, err := io.ReadFull(client, make([]byte, len(answer)))
				if (err != nil) != test.cut {
					t.Errorf("the client's end: %v", err)
				}
				_ = client.Close()
				_ = broker.Close()
				if s := <-over; failure.Is(s.Err, failure.BrokerStalled) != test.cut {
					t.Errorf("summary %+v", s)
				}
				sender.Wait()
			})
		})
	}
}
