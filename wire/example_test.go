package wire_test

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

// Decode a frame, here a request from a hex dump.
func ExampleCodec_ParseRequest() {
	const dump = "00000018 000c 0000 00000007 0003 617070 0001 67 00000002 0002 6d31"
	input, _, err := wire.ReadDump([]byte(dump), "auto")
	if err != nil {
		fmt.Println(err)
		return
	}
	var frames wire.Frames
	if _, err := frames.Write(input); err != nil {
		fmt.Println(err)
		return
	}
	frame, err := frames.Next()
	if err != nil {
		fmt.Println(err)
		return
	}
	var codec wire.Codec
	header, request, err := codec.ParseRequest(frame)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := codec.AppendJSON(nil, request)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(header.Key, header.Version, header.CorrelationID, *header.ClientID)
	fmt.Println(string(text))
	// Output:
	// 12 0 7 app
	// {"groupId":"g","generationId":2,"memberId":"m1"}
}

// Encode a request without sending it.
func ExampleAppendRequest() {
	api, err := wire.Lookup("Heartbeat")
	if err != nil {
		fmt.Println(err)
		return
	}
	var codec wire.Codec
	request, err := codec.ParseJSON(wire.Request, api.Key, 0, []byte(`{"groupId": "g", "generationId": 2, "memberId": "m1"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	clientID := "app"
	frame := wire.AppendRequest(nil, request, 7, &clientID)
	fmt.Printf("% x\n", frame)
	// Output: 00 00 00 18 00 0c 00 00 00 00 00 07 00 03 61 70 70 00 01 67 00 00 00 02 00 02 6d 31
}

// An error names the field and what the version has in its place.
func ExampleCodec_ParseJSON_error() {
	var codec wire.Codec
	_, err := codec.ParseJSON(wire.Request, 12, 0, []byte(`{"group": "g"}`))
	fmt.Println(err)
	// Output: group: no such field; version 0 has groupId, generationId, memberId
}

// Encode the records of a Produce request, and decode them.
func ExampleEncodeRecords() {
	encoded, err := wire.EncodeRecords([]wire.Batch{{
		Magic: 2, Compression: wire.Zstd, ProducerID: -1,
		Records: []wire.Record{{Timestamp: 1700000000000, Key: wire.Data("k"), Value: wire.Data("v")}},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	batches, _, err := wire.DecodeRecords(encoded)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, batch := range batches {
		for _, record := range batch.Records {
			fmt.Println(batch.Compression, batch.CRCValid, record.Offset, string(record.Key), string(record.Value))
		}
	}
	// Output: zstd true 0 k v
}

// Talk to a broker, here a fake one in the same process: send a request that was written as JSON,
// and print the response.
func ExampleDial() {
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer broker.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := wire.Dial(ctx, broker.ListenAddrs()[0], wire.DialOptions{ClientID: "example"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()

	var codec wire.Codec
	request, err := codec.ParseJSON(wire.Request, 2, 5, []byte(`{"topics": [{"name": "orders", "partitions": [{"partitionIndex": 0, "timestamp": -1}]}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	response, err := conn.Request(ctx, request)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := codec.AppendJSON(nil, response)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(text))
	// Output: {"throttleTimeMs":0,"topics":[{"name":"orders","partitions":[{"partitionIndex":0,"errorCode":0,"timestamp":-1,"offset":0,"leaderEpoch":0}]}]}
}

// Decode the responses of a connection that arrive in chunks of any length.
func ExampleResponses() {
	var responses wire.Responses
	responses.Expect(7, 12, 0) // correlation id 7, Heartbeat version 0
	for _, chunk := range []string{"\x00\x00", "\x00\x06\x00\x00\x00\x07", "\x00\x1b"} {
		if _, err := responses.Write([]byte(chunk)); err != nil {
			fmt.Println(err)
		}
		reply, ok, err := responses.NextReply()
		if err != nil {
			fmt.Println(err)
		}
		if !ok {
			fmt.Println("not yet")
			continue
		}
		text, _ := responses.Codec.AppendJSON(nil, reply.Message)
		fmt.Printf("%d: %s\n", reply.CorrelationID, text)
	}
	// Output:
	// not yet
	// not yet
	// 7: {"errorCode":27,"error":{"code":27,"name":"REBALANCE_IN_PROGRESS","retriable":false,"message":"The group is rebalancing, so a rejoin is needed."}}
}

// List the fields of a message in one version.
func ExampleCodec_Fields() {
	var codec wire.Codec
	fields, err := codec.Fields(wire.Request, 10, 1)
	if err != nil {
		fmt.Println(err)
	}
	for _, f := range fields {
		fmt.Println(f.Name, f.Type)
	}
	// Output:
	// key string
	// keyType int8
}
