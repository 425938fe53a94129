package token

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// The pace of fetches (R11, R21).
const (
	idleAfter        = time.Hour        // without a caller: no background fetch
	forcedEvery      = 30 * time.Second // at most one fetch for a refused token
	credentialsPause = 30 * time.Second // after 401 and 403
	descriptorPause  = time.Second      // at most, while the tunnel itself has no file descriptor
	maxRetryAfter    = 5 * time.Minute  // what a server may ask for, before the spread
	retryAfterSpread = 0.2              // instances that got the same answer return one by one
)

// FirstWithin is a good value for [Options].First: of those that were tried it leads to
// the fewest requests when a thousand instances start in the same second (docs/performance.md).
const FirstWithin = 10 * time.Second

// newBackoff returns the pauses between failed fetches: 0.25 s doubling to 8 s,
// each made up to a quarter shorter or longer, so never more than 10 s.
func newBackoff() backoff.ExponentialBackOff {
	return backoff.ExponentialBackOff{
		InitialInterval:     250 * time.Millisecond,
		Multiplier:          2,
		RandomizationFactor: 0.25,
		MaxInterval:         8 * time.Second,
	}
}

// pause returns how long to leave the token service alone after a failure. The
// caller holds s.mu.
func (s *Source) pause(f *failure.Failure) time.Duration {
	pause := s.backoff.NextBackOff()
	if f.Entry().Retry == failure.RetryCredentials {
		pause = credentialsPause
	}
	if f.Code == failure.DescriptorsExhausted {
		pause = min(pause, descriptorPause)
	}
	if asked, ok := askedToWait(f); ok {
		asked = min(asked, maxRetryAfter)
		asked += time.Duration(retryAfterSpread * s.opts.Rand() * float64(asked))
		pause = max(pause, asked)
	}
	return pause
}

// next returns when the next fetch is due, if one is.
func (s *Source) next(now time.Time) (at time.Time, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.wanted:
		at = now
	case s.token.Value != "" && !s.onDemandOnly():
		at = s.refreshAt
	case now.Before(s.firstAt):
		return s.firstAt, true
	case !s.firstAt.IsZero():
		s.firstAt, s.wanted = time.Time{}, true
		at = now
	default:
		return time.Time{}, false
	}
	if s.pauseTo.After(at) {
		at = s.pauseTo
	}
	if now.Round(0).Sub(s.usedAt) > idleAfter {
		// There was no caller for so long that there may never be one again. The present
		// time counts and not the time at which the fetch is due: until then a caller may
		// come.
		s.wanted = false
		return time.Time{}, false
	}
	return at, true
}

// refreshDue reports whether a caller who was served from the cache should have
// the token replaced in the background. That is so when the regular refresh did
// not: because there was no caller for an hour, because the credentials were refused,
// or because the machine slept. The caller holds s.mu.
func (s *Source) refreshDue(now time.Time) bool {
	return !now.Round(0).Before(s.refreshAt) && !now.Before(s.pauseTo)
}

// onDemandOnly reports whether only a caller's wish leads to the next fetch. The
// caller holds s.mu.
func (s *Source) onDemandOnly() bool {
	return s.failure != nil && s.failure.Entry().Retry == failure.RetryCredentials
}

// refuseWait returns the error for a caller without a usable token who need not
// wait, or nil. The caller holds s.mu.
func (s *Source) refuseWait(ctx context.Context, now time.Time) error {
	if s.stopped {
		return ErrStopped
	}
	if s.failure == nil || !now.Before(s.pauseTo) {
		return nil
	}
	deadline, bounded := ctx.Deadline()
	switch {
	case s.onDemandOnly():
		return s.lastFailure()
	case bounded && deadline.Before(s.pauseTo):
		s.want() // for the next one
		return s.lastFailure()
	}
	return nil
}
