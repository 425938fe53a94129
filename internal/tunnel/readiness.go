package tunnel

import (
	"context"
	"slices"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/health"
	"github.com/kafka-tunnel/kafka-tunnel/internal/hostport"
	"github.com/kafka-tunnel/kafka-tunnel/internal/traffic"
)

// Ready implements [admin.Source].
func (t *Tunnel) Ready(_ context.Context, name string) admin.Readiness {
	now := time.Now()
	r := admin.Readiness{Draining: t.draining.Load(), State: admin.StateDown, Warnings: t.transientWarnings(now)}
	if !t.bound.Load() {
		return r
	}
	r.Ready, r.State = !r.Draining, ""
	for _, cl := range t.clusters {
		if name != "" && cl.cfg.Name != name {
			continue
		}
		one := cl.readiness(now)
		cl.ask()
		r.Ready, r.State = r.Ready && one.Ready, r.State.Worse(one.State)
		for _, reason := range one.Reasons {
			reason.Cluster = one.Name
			r.Reasons = append(r.Reasons, reason)
		}
		r.Clusters = append(r.Clusters, one)
	}
	slices.SortStableFunc(r.Reasons, func(a, b admin.Reason) int {
		return int(a.AgeSeconds*1e3) - int(b.AgeSeconds*1e3)
	})
	return r
}

// readiness returns the state of the cluster for display.
func (cl *cluster) readiness(now time.Time) admin.ClusterReadiness {
	cl.observe(len(cl.health.Failing()) > 0) // a failing broker may have left the cluster
	s := cl.health.Snapshot()
	r := admin.ClusterReadiness{
		Name: cl.cfg.Name, State: admin.State(s.State.String()), Ready: s.State != health.Down, StateSeconds: admin.Seconds(now.Sub(s.Since)),
	}
	if !s.Evidence.IsZero() {
		age := admin.Seconds(max(0, now.Sub(s.Evidence)))
		r.EvidenceAgeSeconds = &age
	}
	r.Reasons = cl.reasons(s, now)
	if s.State != health.Ready && len(r.Reasons) > 0 {
		r.Failure = r.Reasons[0].Failure
	}
	return r
}

// reasons returns the reasons of the state, and why there is no token. A client learns
// of a missing token at the end of its wait; an operator should not have to wait for
// that.
func (cl *cluster) reasons(s health.Snapshot, now time.Time) []admin.Reason {
	var first *failure.Failure
	var at time.Time
	if w := cl.route.Load(); w != nil && w.tenant != nil && (s.State != health.Ready || cl.held.Load() > 0) {
		if st := w.tenant.tokens.Status(); st.LastFailure != nil && !st.Usable(now) {
			first, at = st.LastFailure, st.LastFetch
		}
	}
	var list []admin.Reason
	if first != nil {
		list = append(list, admin.Reason{Failure: admin.FailureOf(first, max(0, now.Sub(at)))})
	}
	for _, r := range s.Reasons {
		if first != nil && (r.Failure.Code == first.Code || r.Failure.Code == failure.NotTried) {
			continue
		}
		list = append(list, reason(r, now))
	}
	return list
}

func reason(r health.Reason, now time.Time) admin.Reason {
	shown := admin.FailureOf(r.Failure, max(0, now.Sub(r.At)))
	shown.SinceSeconds = admin.Seconds(max(0, now.Sub(r.Since)))
	return admin.Reason{Node: r.Node, Failure: shown}
}

// lastFailure is the current failure, or the last one that has recovered; nil for
// neither.
func lastFailure(reasons []admin.Reason, healed *health.Healed, now time.Time) *admin.Failure {
	switch {
	case len(reasons) > 0 && reasons[0].Code != failure.NotTried:
		return &reasons[0].Failure
	case healed != nil:
		shown := admin.RecoveredOf(healed.Failure, max(0, now.Sub(healed.At)), max(0, now.Sub(healed.Recovered)))
		return &shown
	}
	return nil
}

// nodeFailure is the current failure of a node; nil for none.
func nodeFailure(reasons []health.Reason, node string, target hostport.Target, now time.Time) *admin.Failure {
	for _, r := range reasons {
		own := r.Node == "" && r.Target.Host == target.Host && r.Target.Port == target.Port && r.Target.LocationID == target.LocationID
		if own || r.Node == node {
			shown := reason(r, now).Failure
			return &shown
		}
	}
	return nil
}

func trafficOf(f traffic.Figures) admin.TrafficStatus {
	return admin.TrafficStatus{
		RequestsPerSecond: float64(int(f.PerSecond*1e3)) / 1e3, P50Seconds: f.P50.Seconds(), P99Seconds: f.P99.Seconds(),
		InFlight: f.InFlight, OldestRequestSeconds: admin.Seconds(f.Oldest), ResetsLastMinute: f.Resets,
	}
}
