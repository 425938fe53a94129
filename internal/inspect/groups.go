package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafka-tunnel/kafka-tunnel/internal/terminal"
)

// Groups prints all groups, or the members, offsets and lag of some of them.
func (s Server) Groups(ctx context.Context, out io.Writer, names ...string) error {
	return s.admin(ctx, func(admin *kadm.Client) error {
		if len(names) == 0 {
			return listGroups(ctx, out, admin)
		}
		lags, err := admin.Lag(ctx, names...)
		if err != nil {
			return err
		}
		for i, g := range lags.Sorted() {
			if i > 0 {
				fmt.Fprintln(out)
			}
			err = errors.Join(err, printGroup(out, g))
		}
		return err
	})
}

func listGroups(ctx context.Context, out io.Writer, admin *kadm.Client) error {
	groups, err := admin.ListGroups(ctx)
	if err != nil {
		return err
	}
	rows := [][]string{{"GROUP", "STATE", "TYPE", "COORDINATOR"}}
	for _, g := range groups.Sorted() {
		rows = append(rows, []string{g.Group, cmp.Or(g.State, "-"), cmp.Or(g.ProtocolType, "-"), strconv.Itoa(int(g.Coordinator))})
	}
	return terminal.Table(out, rows...)
}

func printGroup(out io.Writer, g kadm.DescribedGroupLag) error {
	if err := g.Error(); err != nil {
		return fmt.Errorf("%s: %w", terminal.Escape(g.Group), err)
	}
	fmt.Fprintf(out, "%s: %s, coordinator %d, %d members, assignor %s, lag %d\n\n", oneLine(out, g.Group), oneLine(out, g.State), g.Coordinator.NodeID, len(g.Members), oneLine(out, cmp.Or(g.Protocol, "-")), g.Lag.Total())
	rows := [][]string{{"TOPIC", "PARTITION", "COMMITTED", "NEXT OFFSET", "LAG", "MEMBER", "HOST"}}
	var err error
	for _, l := range g.Lag.Sorted() {
		member, host := "-", "-"
		if l.Member != nil {
			member, host = l.Member.MemberID, strings.TrimPrefix(l.Member.ClientHost, "/")
		}
		committed := "-"
		if l.Commit.At >= 0 {
			committed = strconv.FormatInt(l.Commit.At, 10)
		}
		rows = append(rows, []string{l.Topic, strconv.Itoa(int(l.Partition)), committed, offset(l.End), strconv.FormatInt(l.Lag, 10), member, host})
		if l.Err != nil {
			err = errors.Join(err, fmt.Errorf("%s, %s partition %d: %w", terminal.Escape(g.Group), terminal.Escape(l.Topic), l.Partition, l.Err))
		}
	}
	return errors.Join(terminal.Table(out, rows...), err)
}
