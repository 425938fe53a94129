package tunnel

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// certificateSoon is how long before its end a certificate is warned of. Those of
// X.509 bindings live for seven days by default, and only a restage brings a new one.
const certificateSoon = 48 * time.Hour

// certificateEvery is how often.
const certificateEvery = 12 * time.Hour

// A certificate is the one with which tokens are fetched.
type certificate struct {
	source string
	until  time.Time
	logger *slog.Logger
}

// warning says that the end is near; "" when it is not.
func (c *certificate) warning(now time.Time) string {
	if c == nil || c.until.Sub(now) > certificateSoon {
		return ""
	}
	until := c.until.UTC().Format(time.RFC3339)
	if now.After(c.until) {
		return fmt.Sprintf("the certificate of %s has expired at %s: bind the service again and restage the application", c.source, until)
	}
	return fmt.Sprintf("the certificate of %s expires at %s: bind the service again and restage the application before that", c.source, until)
}

// watch warns until ctx ends.
func (c *certificate) watch(ctx context.Context) {
	// By the wall clock: a machine that slept is told at its next look.
	for {
		wait := min(max(time.Until(c.until.Add(-certificateSoon)), 0), certificateEvery)
		if warning := c.warning(time.Now()); warning != "" {
			c.logger.WarnContext(ctx, warning, "source", c.source, "until", c.until.UTC())
			wait = certificateEvery
		}
		select {
		case <-time.After(wait + time.Second):
		case <-ctx.Done():
			return
		}
	}
}
