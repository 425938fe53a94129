package token

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A RetryAfterError is the cause of a failure whose server named the time to wait. A
// [Fetcher] puts it into the chain of its error, and the [Source] keeps to it.
type RetryAfterError struct {
	Wait time.Duration // from now
}

// Error returns how long the server asks the client to wait.
func (e *RetryAfterError) Error() string {
	return fmt.Sprintf("the server asks for %s of rest", e.Wait.Round(time.Second))
}

// ParseRetryAfter returns the wait that an HTTP header asks for (RFC 9110,
// section 10.2.3): seconds, or a date. A date is compared with the server's own
// Date where there is one, so that a wrong clock here undercuts nothing.
func ParseRetryAfter(header http.Header, now time.Time) (time.Duration, bool) {
	text := strings.TrimSpace(header.Get("Retry-After"))
	if text == "" {
		return 0, false
	}
	if isDigits(text) {
		seconds, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			seconds = 1<<31 - 1 // more digits than an int32 has: a long time
		}
		return time.Duration(seconds) * time.Second, seconds > 0
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	wait := at.Sub(now)
	return wait, wait > 0
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// A pausedError is in the chain of every failure that [Source.Token] returns
// while fetches pause. Whoever paces attempts of its own finds in it when the
// next one makes sense.
type pausedError struct {
	until time.Time
	err   error // the cause of the failure, may be nil
}

func (e *pausedError) Error() string {
	if e.err == nil {
		return "the next attempt is at " + e.until.UTC().Format("15:04:05Z")
	}
	return e.err.Error()
}

func (e *pausedError) Unwrap() error { return e.err }

// RetryAt returns the time of the next fetch.
func (e *pausedError) RetryAt() time.Time { return e.until }

// askedToWait returns the wait in an error's chain.
func askedToWait(err error) (time.Duration, bool) {
	asked, ok := errors.AsType[*RetryAfterError](err)
	if !ok {
		return 0, false
	}
	return asked.Wait, asked.Wait > 0
}
