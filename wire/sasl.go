package wire

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// authenticate does so with the mechanism of the options (KIP-152), and again before a
// session ends (KIP-368). c.sending is held: nothing may come between its requests.
func (c *Conn) authenticate(ctx context.Context) error {
	mechanism := c.options.SASL
	if mechanism == nil {
		return nil
	}
	fail := func(err error) error { return fmt.Errorf("wire: SASL %s: %w", mechanism.Name(), err) }
	if r := c.ranges[kafka.KeySaslHandshake]; r.Max < 1 {
		return fail(errors.New("the broker has only version 0 of SaslHandshake, which is older than Kafka 1.0"))
	}
	handshake := kmsg.NewPtrSASLHandshakeRequest()
	handshake.Version, handshake.Mechanism = 1, mechanism.Name()
	answer, err := c.exchange(ctx, handshake)
	if err != nil {
		return fail(err)
	}
	said := answer.(*kmsg.SASLHandshakeResponse)
	if e := ErrorOf(said.ErrorCode); e.Code != 0 {
		return fail(fmt.Errorf("%s; the broker has %q", e.Name, said.SupportedMechanisms))
	}
	version, err := c.Version(kafka.KeySaslAuthenticate)
	if err != nil {
		return fail(err)
	}
	session, token, err := mechanism.Authenticate(ctx, c.host)
	if err != nil {
		return fail(err)
	}
	began := time.Now()
	lifetime, err := c.tokens(ctx, session, token, version)
	if err != nil {
		return fail(err)
	}
	c.expires = time.Time{}
	if lifetime > 0 {
		c.expires = began.Add(lifetime * 8 / 10) // early enough for what is on its way
	}
	return nil
}

const (
	// maxRounds bounds the tokens: SCRAM has two, Kerberos three.
	maxRounds = 16
	// maxLifetime is longer than any connection, and far from what a time.Duration can be.
	maxLifetime = 365 * 24 * time.Hour
)

// tokens exchanges them until both sides are content. A client may have something to say
// when it is.
func (c *Conn) tokens(ctx context.Context, session sasl.Session, token []byte, version int16) (lifetime time.Duration, err error) {
	done := false
	for range maxRounds {
		request := kmsg.NewPtrSASLAuthenticateRequest()
		request.Version, request.SASLAuthBytes = version, token
		answer, err := c.exchange(ctx, request)
		if err != nil {
			return 0, err
		}
		said := answer.(*kmsg.SASLAuthenticateResponse)
		if e := ErrorOf(said.ErrorCode); e.Code != 0 {
			if said.ErrorMessage != nil {
				return 0, fmt.Errorf("%s: %s", e.Name, *said.ErrorMessage)
			}
			return 0, errors.New(e.Name)
		}
		token = nil
		if !done {
			if done, token, err = session.Challenge(said.SASLAuthBytes); err != nil {
				return 0, err
			}
		}
		if done && len(token) == 0 {
			millis := min(max(said.SessionLifetimeMillis, 0), maxLifetime.Milliseconds())
			return time.Duration(millis) * time.Millisecond, nil
		}
	}
	return 0, fmt.Errorf("no end after %d tokens", maxRounds)
}
