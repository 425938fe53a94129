package main

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

func (franz) security(t task) (opts []kgo.Opt, err error) {
	if t.wantsTLS() {
		config, err := t.tlsConfig()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(config))
	}
	if t["handshake"] == "0" {
		const saslHandshake = 17
		versions := kversion.Stable()
		versions.SetMaxKeyVersion(saslHandshake, 0)
		opts = append(opts, kgo.MaxVersions(versions))
	}
	if !t.wantsSASL() {
		return opts, nil
	}
	user := scram.Auth{User: t["username"], Pass: t["password"]}
	mechanisms := map[string]sasl.Mechanism{
		"PLAIN":         plain.Auth{User: user.User, Pass: user.Pass}.AsMechanism(),
		"SCRAM-SHA-256": user.AsSha256Mechanism(),
		"SCRAM-SHA-512": user.AsSha512Mechanism(),
		"OAUTHBEARER": oauth.Oauth(func(context.Context) (oauth.Auth, error) {
			token, _ := t.token()
			return oauth.Auth{Token: token}, nil
		}),
	}
	m, ok := mechanisms[t["mechanism"]]
	if !ok {
		return nil, errUnsupported
	}
	return append(opts, kgo.SASL(m)), nil
}

// slowly is send for the word over.
func (franz) slowly(ctx context.Context, cl *kgo.Client, t task) error {
	return slowly(ctx, t, func(r record) error {
		return cl.ProduceSync(ctx, &kgo.Record{Key: r.key, Value: r.value}).FirstErr()
	})
}
