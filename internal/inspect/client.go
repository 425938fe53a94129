package inspect

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafka-tunnel/kafka-tunnel/wire"
)

// clientID names the tools to the brokers.
const clientID = "kafka-tunnel"

// client returns a franz-go client for the brokers at the address, once one of them has
// answered. Without that check franz-go would retry until ctx ends, and not report why.
func (s Server) client(ctx context.Context, more ...kgo.Opt) (*kgo.Client, error) {
	o, err := s.options()
	if err != nil {
		return nil, err
	}
	opts := append([]kgo.Opt{kgo.SeedBrokers(s.Address), kgo.ClientID(clientID)}, more...)
	if o.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(o.TLS))
	}
	if o.SASL != nil {
		opts = append(opts, kgo.SASL(o.SASL))
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(s.Wait, defaultWait))
	defer cancel()
	if err := client.Ping(ctx); err != nil {
		client.Close()
		return nil, fmt.Errorf("%w %s: %w", wire.ErrConnect, s.Address, err)
	}
	return client, nil
}

const defaultWait = 30 * time.Second

// admin calls do with an administration client.
func (s Server) admin(ctx context.Context, do func(*kadm.Client) error) error {
	client, err := s.client(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	return do(kadm.NewClient(client))
}
