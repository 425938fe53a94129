package kafka_test

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// toLocal is the knowledge of a relay: the local address of each node.
func toLocal(endpoints []kafka.Endpoint) error {
	for i := range endpoints {
		e := &endpoints[i]
		fmt.Printf("node %d is at %s:%d\n", e.NodeID, e.Host, e.Port)
		e.Host, e.Port = "localhost", 19090+e.NodeID
	}
	return nil
}

func ExamplePatchHead() {
	// A Metadata v0 response without its size: one broker, and the received part of the
	// topics.
	response := []byte("\x00\x00\x00\x07" + "\x00\x00\x00\x01" +
		"\x00\x00\x00\x02" + "\x00\x0ekafka-2.onprem" + "\x00\x00\x23\x84" + "topics ...")
	info := kafka.ResponseInfo{Key: kafka.KeyMetadata, Version: 0, FrameSize: 5000}
	patch, consumed, result, err := kafka.PatchHead(info, response, kafka.MapperFunc(toLocal))
	buf := make([]byte, 1<<10)
	for more := true; more; {
		var out []byte
		out, more = patch.Next(buf)
		fmt.Printf("%q\n", out)
	}
	fmt.Println("takes the place of", consumed, "bytes")
	fmt.Println("the frame has", int(info.FrameSize)-consumed+patch.Len(), "bytes now")
	fmt.Println(result, err)
	// Output:
	// node 2 is at kafka-2.onprem:9092
	// "\x00\x00\x00\a\x00\x00\x00\x01\x00\x00\x00\x02\x00\tlocalhost\x00\x00J\x94"
	// takes the place of 32 bytes
	// the frame has 4995 bytes now
	// {1 0 []} <nil>
}

func ExampleWalker() {
	// A throttled Fetch v16 response: no topics, but the address of a new leader.
	response, _ := hex.DecodeString("00000007" + "00" + "00001388" + "0000" + "00000000" + "01" +
		"01" + "0021" + "02" + "00000002" + "16622d312e6b61666b612e6578616d706c652e636f6d" + "00002384" + "00" + "00")
	var w kafka.Walker
	info := kafka.ResponseInfo{Key: kafka.KeyFetch, Version: 16, FrameSize: int32(len(response))}
	if err := w.Reset(info, kafka.MapperFunc(toLocal)); err != nil {
		fmt.Println(err)
		return
	}
	var client bytes.Buffer
	for w.Left() > 0 {
		piece := response[:min(10, len(response))] // the bytes received so far
		pass, held, err := w.Feed(piece)
		if err != nil {
			fmt.Println(err)
			return
		}
		client.Write(piece[:pass])
		response = response[pass+held:]
	}
	client.Write(w.Tail())
	fmt.Printf("%x\n", client.Bytes()[16:])
	fmt.Println(w.Result())
	// Output:
	// node 2 is at b-1.kafka.example.com:9092
	// 02001502000000020a6c6f63616c686f737400004a9400007f0a00000000000000000000
	// {1 0 []}
}
