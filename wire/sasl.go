package wire

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
)

// authenticate authenticates with the mechanism of the options (KIP-152), and again before a
// session expires (KIP-368). The caller holds c.sending: no other request may come in between.
func (c *Conn) authenticate(ctx context.Context) error {
	mechanism := c.options.SASL
	if mechanism == nil {
		return nil
	}
	fail := func(err error) error { return fmt.Errorf("wire: SASL %s: %w", mechanism.Name(), err) }
	if r := c.ranges[keySASLHandshake]; r.Max < 1 {
		return fail(errors.New("the broker supports only version 0 of SaslHandshake; it is older than Kafka 1.0"))
	}
	handshake := kmsg.NewPtrSASLHandshakeRequest()
	handshake.Version, handshake.Mechanism = 1, mechanism.Name()
	answer, err := c.exchange(ctx, handshake)
	if err != nil {
		return fail(err)
	}
	reply := answer.(*kmsg.SASLHandshakeResponse)
	if e := ErrorOf(reply.ErrorCode); e.Code != 0 {
		return fail(fmt.Errorf("%s; the broker supports %q", e.Name, reply.SupportedMechanisms))
	}
	version, err := c.Version(keySASLAuthenticate)
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
		c.expires = began.Add(lifetime * 8 / 10) // early enough for requests in flight
	}
	return nil
}

const (
	// maxRounds bounds the tokens that are exchanged: SCRAM has two, Kerberos three.
	maxRounds = 16
	// maxLifetime is longer than any connection, and far below the largest time.Duration.
	maxLifetime = 365 * 24 * time.Hour
)

// tokens exchanges tokens until both sides have finished. The client's last step may still
// have a token to send.
func (c *Conn) tokens(ctx context.Context, session sasl.Session, token []byte, version int16) (lifetime time.Duration, err error) {
	done := false
	for range maxRounds {
		request := kmsg.NewPtrSASLAuthenticateRequest()
		request.Version, request.SASLAuthBytes = version, token
		answer, err := c.exchange(ctx, request)
		if err != nil {
			return 0, err
		}
		reply := answer.(*kmsg.SASLAuthenticateResponse)
		if e := ErrorOf(reply.ErrorCode); e.Code != 0 {
			if reply.ErrorMessage != nil {
				return 0, fmt.Errorf("%s: %s", e.Name, *reply.ErrorMessage)
			}
			return 0, errors.New(e.Name)
		}
		token = nil
		if !done {
			if done, token, err = session.Challenge(reply.SASLAuthBytes); err != nil {
				return 0, err
			}
		}
		if done && len(token) == 0 {
			millis := min(max(reply.SessionLifetimeMillis, 0), maxLifetime.Milliseconds())
			return time.Duration(millis) * time.Millisecond, nil
		}
	}
	return 0, fmt.Errorf("not finished after %d tokens", maxRounds)
}
