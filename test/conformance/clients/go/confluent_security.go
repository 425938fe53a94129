//go:build confluent

package main

import (
	"context"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

// security adds what the words say to a configuration.
func (confluent) security(t task, c kafka.ConfigMap) {
	if t["security"] == "" {
		return
	}
	c["security.protocol"] = t["security"]
	if t.wantsTLS() {
		c["ssl.ca.location"] = t["ca"]
	}
	if t.wantsSASL() {
		c["sasl.mechanism"] = t["mechanism"]
		if t["mechanism"] != "OAUTHBEARER" {
			c["sasl.username"], c["sasl.password"] = t["username"], t["password"]
		}
	}
}

// authorize hands a client its token, where it takes one.
func (confluent) authorize(t task, client interface {
	SetOAuthBearerToken(kafka.OAuthBearerToken) error
},
) error {
	if t["mechanism"] != "OAUTHBEARER" {
		return nil
	}
	token, expires := t.token()
	return client.SetOAuthBearerToken(kafka.OAuthBearerToken{TokenValue: token, Expiration: expires, Principal: t["username"]})
}

// delivered waits for the next report, or for the end of all hope.
func (confluent) delivered(p *kafka.Producer, reports <-chan kafka.Event) error {
	for {
		select {
		case e := <-reports:
			if m, ok := e.(*kafka.Message); ok {
				return m.TopicPartition.Error
			}
		case e := <-p.Events():
			if err, ok := e.(kafka.Error); ok && err.Code() == kafka.ErrAuthentication {
				return err
			}
		}
	}
}

// slowly is send for the word over.
func (c confluent) slowly(ctx context.Context, p *kafka.Producer, t task) error {
	topic, reports := t["topic"], make(chan kafka.Event, 1)
	return slowly(ctx, t, func(r record) error {
		m := &kafka.Message{TopicPartition: kafka.TopicPartition{Topic: &topic, Partition: kafka.PartitionAny}, Key: r.key, Value: r.value}
		if err := p.Produce(m, reports); err != nil {
			return err
		}
		return c.delivered(p, reports)
	})
}
