package token

import (
	"context"
	"log/slog"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// fetch makes one fetch and keeps its outcome.
func (s *Source) fetch(ctx context.Context) {
	start := time.Now()
	fetch, generation := s.current()
	t, err := fetch(ctx)
	if ctx.Err() != nil && err != nil {
		return // Run ends, the service has not failed
	}
	if s.outdated(generation) {
		return // of credentials that are not used any more; the next fetch is wanted
	}
	if err == nil && !t.Usable(time.Now()) {
		err = failure.New(failure.TokenMalformed, nil).For(s.opts.Target, "").With("the token cannot be used any more")
	}
	if err == nil {
		s.storeToken(t)
	} else {
		s.recordFailure(ctx, err)
	}
	if s.opts.Observe != nil {
		result := "ok"
		if err != nil {
			result = string(s.asFailure(err).Code)
		}
		s.opts.Observe(result, time.Since(start))
	}
}

// storeToken puts a new token into the cache.
func (s *Source) storeToken(t Token) {
	s.mu.Lock()
	outage := s.failure
	s.token, s.rejected = t, false
	s.refreshAt = t.refreshAt(s.opts.Rand())
	s.wanted, s.failure, s.pauseTo = false, nil, time.Time{}
	s.backoff.Reset()
	s.fetches++
	s.fetchAt = time.Now()
	s.notify()
	s.mu.Unlock()

	if outage != nil {
		s.opts.Logger.Info("the token service issues tokens again", "after", outage.Code, "usable_until", t.UsableUntil)
		return
	}
	s.opts.Logger.Debug("token fetched", "usable_until", t.UsableUntil)
}

// recordFailure keeps a failed fetch and when the next may follow.
func (s *Source) recordFailure(ctx context.Context, err error) {
	f := s.asFailure(err)
	s.mu.Lock()
	before := s.failure
	now := time.Now()
	s.fetches++
	s.failures++
	s.fetchAt = now
	s.failure = f
	s.pauseTo = now.Add(s.pause(f))
	if f.Entry().Retry == failure.RetryCredentials {
		// Nobody is served by asking again and again: the next caller after the
		// pause will. And a token that the proxy has refused, of credentials that
		// are refused too, is dead.
		s.wanted = false
		if s.rejected {
			s.token, s.rejected = Token{}, false
		}
	}
	stale, pauseTo := s.token, s.pauseTo
	s.notify()
	s.mu.Unlock()

	level := slog.LevelDebug // the caller that waits for the token reports it
	args := []any{"code", f.Code, "hop", f.Entry().Hop, "error", f.Error(), "advice", f.Advice(), "next_in", pauseTo.Sub(now).Round(time.Millisecond)}
	if stale.Usable(now) {
		args = append(args, "old_token_usable_until", stale.UsableUntil)
		if before == nil || before.Code != f.Code {
			level = slog.LevelWarn // no caller waits; once for each kind of failure in a row
		}
	}
	s.opts.Logger.Log(ctx, level, "no new token", args...)
}

// asFailure returns a fetcher's error as a failure.
func (s *Source) asFailure(err error) *failure.Failure {
	if f, ok := failure.As(err); ok {
		return f
	}
	return failure.New(failure.TokenUnreachable, err).For(s.opts.Target, "")
}
