package main

import (
	"context"
	"strings"

	"github.com/IBM/sarama"
	"github.com/xdg-go/scram"
)

// security adds what the words say to a configuration.
func (samsa) security(t task, c *sarama.Config) (err error) {
	if t.wantsTLS() {
		c.Net.TLS.Enable = true
		if c.Net.TLS.Config, err = t.tlsConfig(); err != nil {
			return err
		}
	}
	if !t.wantsSASL() {
		return nil
	}
	s := &c.Net.SASL
	s.Enable, s.User, s.Password = true, t["username"], t["password"]
	s.Mechanism = sarama.SASLMechanism(t["mechanism"])
	if t["handshake"] == "0" {
		s.Version, c.ApiVersionsRequest = sarama.SASLHandshakeV0, false // it refuses the two together
	}
	switch {
	case s.Mechanism == sarama.SASLTypeOAuth:
		s.TokenProvider = samsaToken(t)
	case strings.HasPrefix(t["mechanism"], "SCRAM-"):
		hash := map[string]scram.HashGeneratorFcn{sarama.SASLTypeSCRAMSHA256: scram.SHA256, sarama.SASLTypeSCRAMSHA512: scram.SHA512}[t["mechanism"]]
		s.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &samsaScram{hash: hash} }
	}
	return nil
}

type samsaToken task

func (s samsaToken) Token() (*sarama.AccessToken, error) {
	token, _ := task(s).token()
	return &sarama.AccessToken{Token: token}, nil
}

// samsaScram is what users of sarama write: it brings no SCRAM of its own.
type samsaScram struct {
	hash scram.HashGeneratorFcn
	*scram.ClientConversation
}

func (s *samsaScram) Begin(user, password, authzID string) error {
	client, err := s.hash.NewClient(user, password, authzID)
	if err == nil {
		s.ClientConversation = client.NewConversation()
	}
	return err
}

// slowly is send for the word over.
func (samsa) slowly(ctx context.Context, p sarama.SyncProducer, t task) error {
	return slowly(ctx, t, func(r record) error {
		_, _, err := p.SendMessage(&sarama.ProducerMessage{Topic: t["topic"], Key: sarama.ByteEncoder(r.key), Value: sarama.ByteEncoder(r.value)})
		return err
	})
}
