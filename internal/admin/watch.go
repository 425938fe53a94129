package admin

import (
	"context"
	"fmt"
	"io"
	"time"
)

// watchInterval is how often Watch shows the status again.
const watchInterval = 2 * time.Second

// clearScreen moves to the upper left corner and clears what follows (ECMA-48).
const clearScreen = "\x1b[H\x1b[J"

// WatchOptions are the settings of [Client.Watch].
type WatchOptions struct {
	Every time.Duration // 0: two seconds
	Clear bool          // clear the screen first each time; for terminals
}

// Watch renders the status to w repeatedly until ctx ends, and then returns nil. If no tunnel
// answers, it shows that instead: a tunnel that restarts returns. Only an error of w ends it
// earlier.
func (c *Client) Watch(ctx context.Context, w io.Writer, o WatchOptions) error {
	if o.Every <= 0 {
		o.Every = watchInterval
	}
	ticker := time.NewTicker(o.Every)
	defer ticker.Stop()
	for {
		if err := c.show(ctx, w, o.Clear); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// show writes one status, or why there is none.
func (c *Client) show(ctx context.Context, w io.Writer, wipe bool) error {
	status, err := c.Status(ctx)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // being told to end is how a watch ends
	}
	if wipe {
		if _, err := io.WriteString(w, clearScreen); err != nil {
			return err
		}
	}
	if err != nil {
		_, err = fmt.Fprintln(w, plain(err.Error()))
		return err
	}
	return Render(w, status)
}
