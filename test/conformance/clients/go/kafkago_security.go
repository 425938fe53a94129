package main

import (
	"context"
	"crypto/tls"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// security is what a transport and a dialer have in common.
func (segment) security(t task) (config *tls.Config, mechanism sasl.Mechanism, err error) {
	if t["handshake"] == "0" {
		return nil, nil, errUnsupported
	}
	if t.wantsTLS() {
		if config, err = t.tlsConfig(); err != nil {
			return nil, nil, err
		}
	}
	if t.wantsSASL() {
		switch user, password := t["username"], t["password"]; t["mechanism"] {
		case "PLAIN":
			mechanism = plain.Mechanism{Username: user, Password: password}
		case "SCRAM-SHA-256":
			mechanism, err = scram.Mechanism(scram.SHA256, user, password)
		case "SCRAM-SHA-512":
			mechanism, err = scram.Mechanism(scram.SHA512, user, password)
		default:
			err = errUnsupported
		}
	}
	return config, mechanism, err
}

// transport is that of a writer; nil: the library's own.
func (s segment) transport(t task) (kafka.RoundTripper, error) {
	if t["security"] == "" && t["client"] == "" {
		return nil, nil
	}
	config, mechanism, err := s.security(t)
	return &kafka.Transport{ClientID: t["client"], TLS: config, SASL: mechanism}, err
}

// dialer is that of a reader; nil: the library's own.
func (s segment) dialer(t task) (*kafka.Dialer, error) {
	if t["security"] == "" {
		return nil, nil
	}
	config, mechanism, err := s.security(t)
	return &kafka.Dialer{Timeout: 10 * time.Second, DualStack: true, TLS: config, SASLMechanism: mechanism}, err
}

// slowly writes records for the word over.
func (segment) slowly(ctx context.Context, w *kafka.Writer, t task) error {
	return slowly(ctx, t, func(r record) error {
		return w.WriteMessages(ctx, kafka.Message{Key: r.key, Value: r.value})
	})
}
