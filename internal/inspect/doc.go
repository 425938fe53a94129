// Package inspect implements the tools of kafka-tunnel: requests by hand, decoding of frames,
// and the tables of APIs and errors. They are for people in a container with nothing but this
// program, who have to find out what a broker really returns.
//
//	server, _ := inspect.Server{Address: "localhost:9092"}.Dial(ctx)
//	text, _ := inspect.Request{API: "Metadata:12"}.Do(ctx, server)
package inspect
