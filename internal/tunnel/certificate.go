package tunnel

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// certificateSoon is how long before its expiry the tunnel warns of a certificate.
// Certificates of X.509 bindings are valid for seven days by default, and only a
// restage brings a new one.
const certificateSoon = 48 * time.Hour

// certificateEvery is the time between two warnings.
const certificateEvery = 12 * time.Hour

// A certificate is the client certificate with which tokens are fetched.
type certificate struct {
	source string
	ends   atomic.Int64 // Unix seconds
	logger *slog.Logger
}

func newCertificate(source string, until time.Time, logger *slog.Logger) *certificate {
	c := &certificate{source: source, logger: logger}
	c.ends.Store(until.Unix())
	return c
}

func (c *certificate) until() time.Time { return time.Unix(c.ends.Load(), 0).UTC() }

// warning returns a warning when the certificate expires soon; "" when it does not.
func (c *certificate) warning(now time.Time) string {
	if c == nil || c.until().Sub(now) > certificateSoon {
		return ""
	}
	until := c.until().Format(time.RFC3339)
	if c.over(now) {
		return fmt.Sprintf("the certificate of %s has expired at %s: bind the service again and restage the application", c.source, until)
	}
	return fmt.Sprintf("the certificate of %s expires at %s: bind the service again and restage the application before that", c.source, until)
}

func (c *certificate) over(now time.Time) bool { return !now.Before(c.until()) }

// watch logs warnings until ctx ends. It checks every hour by the wall clock, so that a
// machine that was asleep warns as well.
func (c *certificate) watch(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	var warned time.Time
	var over bool // the expiry was logged
	for {
		if now := time.Now().Round(0); now.Sub(warned) >= certificateEvery || c.over(now) != over {
			if warning := c.warning(now); warning != "" {
				c.logger.WarnContext(ctx, warning, "source", c.source, "until", c.until())
				warned = now
			}
			over = c.over(now)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
