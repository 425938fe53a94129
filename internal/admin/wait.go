package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// pollInterval is the time between two requests of Wait.
const pollInterval = 200 * time.Millisecond

// For is the condition for which [Client.Wait] waits.
type For string

// The conditions.
const (
	ForReady For = "ready" // the state of every requested cluster is ready
	ForBound For = "bound" // all ports are bound
)

// WaitOptions are the settings of [Client.Wait].
type WaitOptions struct {
	For     For           // "": ready
	Cluster string        // with ForReady: only this cluster; "": all
	Max     time.Duration // how long to wait; 0: send one request
}

// An Outcome is how a wait ended.
type Outcome uint8

// The outcomes.
const (
	// Reached: the condition is met.
	Reached Outcome = iota
	// NotInTime: the tunnel answers, and the condition is not met.
	NotInTime
	// NoAnswer: no tunnel answered at any time.
	NoAnswer
)

// A WaitResult is how a wait ended and, if the condition was not met, why.
type WaitResult struct {
	Outcome Outcome
	For     For
	Max     time.Duration
	// Readiness is the last response of /readyz, with the failing hops; it has no clusters if
	// there was none.
	Readiness Readiness
	// Err is why the last request had no answer, if it had none.
	Err error
}

// Exit codes of the command `wait`.
const (
	exitOK         = 0
	exitNotInTime  = 1
	exitNoAnswer   = 69 // EX_UNAVAILABLE of sysexits.h
	unknownFailure = "no connection has been tried yet; the first client that connects starts an attempt"
)

// ExitCode returns the exit status of the command `wait`: 0 reached, 1 not in time, 69 if no
// tunnel answered.
func (r WaitResult) ExitCode() int {
	switch r.Outcome {
	case Reached:
		return exitOK
	case NotInTime:
		return exitNotInTime
	default:
		return exitNoAnswer
	}
}

// Message returns what to print for the user, one or more lines without the last line end: why
// the condition was not met and what to do. It is empty if it was met.
func (r WaitResult) Message() string {
	switch {
	case r.Outcome == Reached:
		return ""
	case r.Outcome == NoAnswer:
		return fmt.Sprintf("no tunnel answered within %v: %v\nStart kafka-tunnel first, or look in its log for why it stopped. If it has another admin.listen, set the same value here.", r.Max, r.Err)
	case r.For == ForBound:
		return fmt.Sprintf("not all ports are bound after %v\nLook at the log of kafka-tunnel: it names the port and the process that uses it.", r.Max)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "not ready after %v", r.Max)
	if r.Readiness.Draining {
		b.WriteString(": kafka-tunnel is stopping")
	}
	for _, c := range r.Readiness.Clusters {
		if c.isReady() {
			continue
		}
		fmt.Fprintf(&b, "\ncluster %s: ", plain(c.Name))
		if c.State == StateDegraded {
			b.WriteString("degraded: ")
		}
		writeFailure(&b, c.Failure, "  ")
	}
	if r.Err != nil {
		fmt.Fprintf(&b, "\nand at the end: %v", r.Err)
	}
	return b.String()
}

// Wait sends a request to the tunnel every 200 ms until the condition is met or Max has passed.
// A missing tunnel is not an error: it may start later than Wait. An error means that waiting
// is useless: ctx has ended, the base URL is malformed, or no cluster of that name exists.
func (c *Client) Wait(ctx context.Context, o WaitOptions) (WaitResult, error) {
	if o.For == "" {
		o.For = ForReady
	}
	path, err := waitPath(o)
	if err != nil {
		return WaitResult{}, err
	}
	if _, err := url.Parse(c.BaseURL); err != nil {
		return WaitResult{}, fmt.Errorf("the admin address is malformed: %w", err)
	}
	result := WaitResult{Outcome: NoAnswer, For: o.For, Max: o.Max}
	waiting, cancel := ctx, context.CancelFunc(func() {})
	if o.Max > 0 {
		waiting, cancel = context.WithTimeout(ctx, o.Max)
	}
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := c.poll(waiting, path, &result)
		switch {
		case result.Outcome == Reached:
			return result, nil
		case ctx.Err() != nil:
			return result, context.Cause(ctx)
		case err != nil || o.Max <= 0:
			return result, err
		}
		select {
		case <-ticker.C:
		case <-waiting.Done():
		}
		if waiting.Err() != nil && ctx.Err() == nil {
			return result, nil
		}
	}
}

func waitPath(o WaitOptions) (string, error) {
	switch {
	case o.For == ForBound:
		return "/startup", nil
	case o.For != ForReady:
		return "", fmt.Errorf("cannot wait for %q: use bound or ready", o.For)
	case o.Cluster != "":
		return "/readyz?cluster=" + url.QueryEscape(o.Cluster), nil
	default:
		return "/readyz", nil
	}
}

// poll sends one request and records the response in r. An attempt that the end of the wait has
// interrupted changes nothing: the previous response contains more. An error is a response that
// will not change.
func (c *Client) poll(ctx context.Context, path string, r *WaitResult) error {
	a, err := c.get(ctx, path)
	if err != nil {
		if known := r.Outcome == NotInTime || r.Err != nil; ctx.Err() == nil || !known {
			r.Err = err
		}
		return nil
	}
	switch a.code {
	case http.StatusOK:
		r.Outcome, r.Err = Reached, nil
	case http.StatusServiceUnavailable:
		r.Outcome, r.Err = NotInTime, nil
	default:
		return a.refusal()
	}
	if r.For == ForReady {
		var ready Readiness
		if err := json.Unmarshal(a.body, &ready); err != nil {
			return errors.Join(a.refusal(), err)
		}
		r.Readiness = ready
		if r.Outcome == Reached && slices.ContainsFunc(ready.Clusters, func(c ClusterReadiness) bool { return !c.isReady() }) {
			r.Outcome = NotInTime // 200 is also for degraded
		}
	}
	return nil
}

// isReady reports whether the state is ready. Earlier versions of the tunnel answer
// without a state.
func (c ClusterReadiness) isReady() bool {
	return c.Ready && (c.State == "" || c.State == StateReady)
}
