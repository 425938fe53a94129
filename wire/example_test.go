package wire_test

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

// A request from JSON, to a broker and back.
func ExampleConn_Request() {
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer broker.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := wire.Dial(ctx, broker.ListenAddrs()[0], wire.DialOptions{})
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

// Responses put themselves together from chunks of any length.
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

// What a message has in one version.
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
