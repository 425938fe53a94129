package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(cmp.Or(os.Getenv("KAFKA_BOOTSTRAP_SERVERS"), "localhost:9092"), ",")...),
		kgo.ConsumerGroup("hello-go"), kgo.ConsumeTopics("hello"), kgo.AllowAutoTopicCreation(),
		kgo.RecordDeliveryTimeout(2*time.Minute), kgo.WithLogger(kgo.BasicLogger(os.Stderr, kgo.LogLevelWarn, nil)))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(ctx, &kgo.Record{Topic: "hello", Value: []byte("hello")}).FirstErr(); err != nil {
		log.Fatal(err)
	}
	for ctx.Err() == nil {
		client.PollFetches(ctx).EachRecord(func(r *kgo.Record) { fmt.Printf("consumed %s\n", r.Value) })
	}
}
