package token

import (
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// Status is what a [Source] is doing, for people and metrics.
type Status struct {
	UsableUntil time.Time        // of the token in the cache; zero: there is none
	ExpiresAt   time.Time        // of the same token, as the token service reported
	RefreshAt   time.Time        // when its successor is due
	Refused     bool             // the proxy has refused it
	UsedAt      time.Time        // of the last request for a token
	LastFetch   time.Time        // when the last fetch ended; zero: there was none
	LastFailure *failure.Failure // of the last fetch; nil: it gave a token
	NotBefore   time.Time        // earliest time of the next fetch, while LastFailure is not nil
	Fetches     uint64           // that have ended, failed ones too
	Failures    uint64
}

// Usable reports whether the cache holds a token that can be used now.
func (s Status) Usable(now time.Time) bool { return now.Round(0).Before(s.UsableUntil) }

// Status returns a snapshot.
func (s *Source) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{
		UsableUntil: s.token.UsableUntil,
		ExpiresAt:   s.token.ExpiresAt,
		Refused:     s.rejected,
		UsedAt:      s.usedAt,
		LastFetch:   s.fetchAt,
		Fetches:     s.fetches,
		Failures:    s.failures,
	}
	if s.token.Value != "" {
		st.RefreshAt = s.refreshAt
	}
	if s.failure != nil {
		f := *s.failure
		st.LastFailure, st.NotBefore = &f, s.pauseTo
	}
	return st
}
