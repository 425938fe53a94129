//go:build conformance

package conformance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
)

// A variant is a kind of consumer group.
type variant struct {
	name   string
	words  []string
	static bool // members have names, and return with the same ones
	next   bool // KIP-848
	full   bool // not in the quick part
}

func variants() []variant {
	return []variant{
		{name: "group: member joins, leaves"},
		{name: "static member returns", static: true, full: true},
		{name: "cooperative", words: []string{"assignor=cooperative"}, full: true},
		{name: "KIP-848", words: []string{"protocol=consumer"}, next: true},
	}
}

// rebalance makes a group read each topic, and a second member join it and leave, or return. It
// returns the groups, and which of them did not continue.
func (b *keepBed) rebalance(producing []*party, v variant) ([]*party, map[*party]error) {
	b.t.Helper()
	var all []*party
	for _, on := range producing {
		p := &party{client: on.client, feeder: on.feeder, way: on.way, topic: on.topic, words: v.words, next: v.next, trouble: on.trouble}
		p.group = plainName("group", on.topic, v.name)
		all = append(all, p)
		b.join(p, v.instance(1)...)
	}
	found := map[*party]error{}
	step := func(members int) {
		for p, err := range b.membersOf(all, members) {
			found[p] = firstOf(found[p], err)
		}
		for p, err := range b.advance(all) {
			found[p] = firstOf(found[p], err)
		}
	}
	step(1)
	for _, p := range all {
		if p.trouble == nil {
			b.join(p, v.instance(2)...)
		}
	}
	step(2)
	maps.Copy(found, b.leaveSecond(all))
	if v.static {
		for _, p := range all {
			if p.trouble == nil {
				b.join(p, v.instance(2)...)
			}
		}
		step(2)
	} else {
		step(1)
	}
	maps.Copy(found, b.leave(all))
	committed := b.committed(deadline(b.t), all)
	for _, p := range all {
		a, err := count(deadline(b.t), b.cluster, p, committed[p.group])
		if err != nil {
			b.t.Fatal(err)
		}
		if said := a.trouble(false); said != "" {
			found[p] = firstOf(found[p], errors.New(said))
		}
	}
	return all, found
}

// instance returns the name of member i.
func (v variant) instance(i int) []string {
	if !v.static {
		return nil
	}
	return []string{fmt.Sprintf("instance=member-%d", i)}
}

func firstOf(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// leaveSecond stops the second member of each group.
func (b *keepBed) leaveSecond(parties []*party) map[*party]error {
	rest := map[*party]*keeper{}
	var leaving []*party
	for _, p := range parties {
		if p.trouble == nil && len(p.members) == 2 {
			rest[p] = p.members[0]
			p.members = p.members[1:]
			leaving = append(leaving, p)
		}
	}
	failed := b.leave(leaving)
	for _, p := range leaving {
		p.members = append(p.members, rest[p])
	}
	return failed
}

// membersOf waits until the groups are stable and have n members.
func (b *keepBed) membersOf(parties []*party, n int) map[*party]error {
	return b.await(parties, func(ctx context.Context, waiting []*party) map[*party]error {
		have := b.describe(ctx, waiting)
		errs := map[*party]error{}
		for _, p := range waiting {
			if got := have[p.group]; got != fmt.Sprintf("stable, %d", n) {
				errs[p] = fmt.Errorf("the group is %q, not stable with %d members", got, n)
			}
		}
		return errs
	})
}

// describe returns state and number of members of the groups.
func (b *keepBed) describe(ctx context.Context, parties []*party) map[string]string {
	have := map[string]string{}
	var groups []string
	next := false
	for _, p := range parties {
		groups = append(groups, p.group)
		next = next || p.next
	}
	admin := kadm.NewClient(b.admin)
	if next {
		described, _ := admin.DescribeConsumerGroups(ctx, groups...)
		for name, g := range described {
			have[name] = fmt.Sprintf("%s, %d", strings.ToLower(g.State), len(g.Members))
		}
		return have
	}
	described, _ := admin.DescribeGroups(ctx, groups...)
	for name, g := range described {
		have[name] = fmt.Sprintf("%s, %d", strings.ToLower(g.State), len(g.Members))
	}
	return have
}
