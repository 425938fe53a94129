// Package inspect is what the tools of kafka-tunnel do: requests by hand, frames from dumps,
// and the tables of APIs and errors. It is for people who are in a container with nothing but this program and
// want to know what a broker really answers.
//
//	server, _ := inspect.Server{Address: "localhost:9092"}.Dial(ctx)
//	text, _ := inspect.Request{API: "Metadata:12"}.Do(ctx, server)
package inspect
