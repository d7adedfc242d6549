package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/internal/api"
)

// groups is the command for groups, of all kinds: by itself it lists them.
func (e *env) groups() *cobra.Command {
	list := e.groupsList()
	cmd := &cobra.Command{
		Use:     "groups",
		GroupID: groupAdmin,
		Short:   "List, describe, move and delete groups, of queues too",
		Long: `groups lists the groups, as groups list does. A group is of a kind: classic and consumer are consumer groups, share is the group of a
queue, streams one of Kafka Streams.`,
		Example: `  samsa -d ./data groups
  samsa -b localhost:9092 groups describe billing`,
		RunE: list.RunE,
	}
	cmd.Flags().AddFlagSet(list.Flags())
	cmd.AddCommand(list, e.groupsDescribe(), e.groupsReset(), e.groupsDelete(), e.groupsRequeue())
	return cmd
}

// groupRow is a group in the list.
type groupRow struct {
	api.GroupSummary
	Members *int   `json:"members,omitempty"`
	Lag     *int64 `json:"lag,omitempty"`
}

func (e *env) groupsList() *cobra.Command {
	var r api.GroupsRequest
	var lag bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the groups",
		Long:  "list prints the groups, their kinds and states, and with --lag how many members each has and how many records it has not read.",
		Example: `  samsa -d ./data groups list --lag
  samsa -b localhost:9092 groups list --kind share --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.with(cmd.Context(), false, func(ctx context.Context, b backend.Backend) error {
				rows, err := listGroups(ctx, b, r, lag)
				if err != nil {
					return err
				}
				columns := []column[groupRow]{
					{"GROUP", func(g groupRow) string { return g.Name }},
					{"KIND", func(g groupRow) string { return g.Kind }},
					{"STATE", func(g groupRow) string { return g.State }},
				}
				if lag {
					columns = append(columns,
						column[groupRow]{">MEMBERS", func(g groupRow) string { return strconv.Itoa(*g.Members) }},
						column[groupRow]{">LAG", func(g groupRow) string { return count(*g.Lag) }},
					)
				}
				return printList(e, "groups", columns, rows)
			})
		},
	}
	cmd.Flags().StringVar(&r.Prefix, "prefix", "", "those only whose names begin with this `text`")
	cmd.Flags().StringVar(&r.Kind, "kind", "", "those only of this `kind`: classic, consumer, share or streams")
	cmd.Flags().BoolVar(&lag, "lag", false, "tell members and lag too; each group is asked for it")
	return cmd
}

// listGroups returns all groups, page by page.
func listGroups(ctx context.Context, b backend.Backend, r api.GroupsRequest, lag bool) ([]groupRow, error) {
	rows := []groupRow{}
	for {
		p, err := b.Groups(ctx, r)
		if err != nil {
			return nil, err
		}
		for _, g := range p.Groups {
			row := groupRow{GroupSummary: g}
			if lag {
				d, err := b.Group(ctx, g.Name)
				if err != nil {
					return nil, err
				}
				members := len(d.Members)
				row.Members, row.Lag = &members, &d.Lag
			}
			rows = append(rows, row)
		}
		if p.Next == "" {
			return rows, nil
		}
		r.After = p.Next
	}
}

func (e *env) groupsDescribe() *cobra.Command {
	return &cobra.Command{
		Use:   "describe GROUP",
		Short: "Show the members, offsets and lag of a group",
		Long: `describe prints the members of a group and the partitions that it has offsets for or has assigned: how far it has come, where they end, and
the records between. For the group of a queue it tells besides how many records members have, how many wait for their time, and the
age of the oldest that is not acknowledged.`,
		Example: `  samsa -d ./data groups describe billing
  samsa -b localhost:9092 groups describe billing --json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: e.completeGroups(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.with(cmd.Context(), false, func(ctx context.Context, b backend.Backend) error {
				g, err := b.Group(ctx, args[0])
				if err != nil {
					return err
				}
				return e.printGroup(g)
			})
		},
	}
}

func (e *env) printGroup(g api.Group) error {
	if e.json {
		return e.printJSON(g)
	}
	fmt.Fprintf(e.Stdout, "group %s, %s, %s, %s, lag %d\n", g.Name, g.Kind, g.State, plural(int64(len(g.Members)), "member"), g.Lag)
	if len(g.Members) > 0 {
		fmt.Fprintln(e.Stdout)
	}
	err := printRows(e, []column[api.Member]{
		{"MEMBER", func(m api.Member) string { return m.ID }},
		{"INSTANCE", func(m api.Member) string { return m.InstanceID }},
		{"CLIENT", func(m api.Member) string { return m.ClientID }},
		{"HOST", func(m api.Member) string { return m.ClientHost }},
		{"ASSIGNED", func(m api.Member) string { return assigned(m.Assigned) }},
	}, g.Members)
	if err != nil {
		return err
	}
	if len(g.Partitions) > 0 {
		fmt.Fprintln(e.Stdout)
	}
	columns := []column[api.GroupPartition]{
		{"TOPIC", func(p api.GroupPartition) string { return p.Topic }},
		{">PARTITION", func(p api.GroupPartition) string { return strconv.Itoa(int(p.Partition)) }},
		{">COMMITTED", func(p api.GroupPartition) string {
			if p.Committed < 0 {
				return "-"
			}
			return count(p.Committed)
		}},
		{">END", func(p api.GroupPartition) string { return count(p.HighWatermark) }},
		{">LAG", func(p api.GroupPartition) string { return count(p.Lag) }},
	}
	if slices.ContainsFunc(g.Partitions, func(p api.GroupPartition) bool { return p.Share != nil }) {
		share := func(p api.GroupPartition) api.SharePartition {
			if p.Share == nil {
				return api.SharePartition{}
			}
			return *p.Share
		}
		columns = append(columns,
			column[api.GroupPartition]{">IN FLIGHT", func(p api.GroupPartition) string { return strconv.Itoa(share(p).InFlight) }},
			column[api.GroupPartition]{">WAITING", func(p api.GroupPartition) string { return strconv.Itoa(share(p).Waiting) }},
			column[api.GroupPartition]{">DEAD", func(p api.GroupPartition) string { return count(share(p).DeadLetters) }},
			column[api.GroupPartition]{"OLDEST", func(p api.GroupPartition) string { return since(time.Now(), share(p).Oldest) }},
		)
	}
	columns = append(columns, column[api.GroupPartition]{"MEMBER", func(p api.GroupPartition) string { return p.MemberID }})
	return printRows(e, columns, g.Partitions)
}

// assigned returns partitions in words: web_log:0,1 orders:2.
func assigned(tps []api.TopicPartition) string {
	var b strings.Builder
	for i, tp := range tps {
		switch {
		case i > 0 && tps[i-1].Topic == tp.Topic:
			fmt.Fprintf(&b, ",%d", tp.Partition)
		case i > 0:
			fmt.Fprintf(&b, " %s:%d", tp.Topic, tp.Partition)
		default:
			fmt.Fprintf(&b, "%s:%d", tp.Topic, tp.Partition)
		}
	}
	return b.String()
}

func (e *env) groupsReset() *cobra.Command {
	to := positionFlag{now: time.Now}
	var topics []string
	var yes, dry bool
	cmd := &cobra.Command{
		Use:   "reset GROUP --to POSITION",
		Short: "Move the committed offsets of a group",
		Long: `reset moves the offsets of a group that has no members now, in all partitions that it has offsets for, or in those of --topic. A group that does
not exist is made by --topic. A time to come is the end; where an offset is behind the end, or before the beginning, it goes there, and stderr
says so. It tells from where to where it moves each, and asks first; in a script give
--yes. With --dry-run it tells, and does nothing.`,
		Example: `  samsa -d ./data groups reset billing --to earliest --dry-run
  samsa -b localhost:9092 groups reset billing --to 2026-11-29T13:19:21Z --topic web_log --yes
  samsa -d ./data groups reset billing --to shift:-5 --topic web_log:0 --yes`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: e.completeGroups(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if to.IsZero() {
				return usageError{errors.New("to where? Give --to")}
			}
			r := api.ResetGroup{To: to.Position, DryRun: true}
			if err := addTopics(&r, topics); err != nil {
				return usageError{err}
			}
			return e.with(cmd.Context(), !dry, func(ctx context.Context, b backend.Backend) error {
				plan, err := b.ResetGroup(ctx, args[0], r)
				if err == nil && len(plan.Moves) == 0 {
					err = fmt.Errorf("%w: group %s has no committed offsets: --topic says where it is to begin", errNotFound, args[0])
				}
				if err == nil && !dry {
					if err = e.confirm(yes, "move group %s in %s to %s", args[0], plural(int64(len(plan.Moves)), "partition"), to.Position); err == nil {
						r.DryRun = false
						plan, err = b.ResetGroup(ctx, args[0], r)
					}
				}
				if err != nil {
					return err
				}
				if dry {
					e.warnMoves(plan.Moves)
				}
				return e.printMoves(plan.Moves)
			})
		},
	}
	cmd.Flags().Var(&to, "to", "move it to this `position` (samsa help positions)")
	cmd.Flags().StringArrayVarP(&topics, "topic", "t", nil, "in this `topic` only, or partition of it, topic:number; repeatable")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "tell what would be moved, and do nothing")
	yesFlag(cmd, &yes)
	_ = cmd.RegisterFlagCompletionFunc("topic", func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return e.completeTopics(anyNumber)(cmd, nil, begun)
	})
	return cmd
}

// addTopics adds what --topic has said, topics and topic:number. No name of a topic has a colon.
func addTopics(r *api.ResetGroup, topics []string) error {
	for _, t := range topics {
		name, number, ok := strings.Cut(t, ":")
		if !ok {
			r.Topics = append(r.Topics, name)
			continue
		}
		n, err := strconv.ParseInt(number, 10, 32)
		if err != nil || n < 0 {
			return fmt.Errorf("--topic %s: %q is no number of a partition", t, number)
		}
		r.Partitions = append(r.Partitions, api.TopicPartition{Topic: name, Partition: int32(n)})
	}
	return nil
}

// warnMoves says which partitions end before, or begin behind, where the group was to go, as Kafka's tool does.
func (e *env) warnMoves(moves []api.GroupMove) {
	for _, m := range moves {
		switch {
		case m.Asked == nil:
		case *m.Asked > m.To:
			fmt.Fprintf(e.Stderr, "%s/%d: offset %d is behind the end: it goes to %d, the end\n", m.Topic, m.Partition, *m.Asked, m.To)
		default:
			fmt.Fprintf(e.Stderr, "%s/%d: offset %d is before the first record: it goes to %d, the beginning\n", m.Topic, m.Partition, *m.Asked, m.To)
		}
	}
}

func (e *env) printMoves(moves []api.GroupMove) error {
	return printRows(e, []column[api.GroupMove]{
		{"TOPIC", func(m api.GroupMove) string { return m.Topic }},
		{">PARTITION", func(m api.GroupMove) string { return strconv.Itoa(int(m.Partition)) }},
		{">FROM", func(m api.GroupMove) string {
			if m.From < 0 {
				return "-"
			}
			return count(m.From)
		}},
		{">TO", func(m api.GroupMove) string { return count(m.To) }},
	}, moves)
}

func (e *env) groupsDelete() *cobra.Command {
	return e.deletion("group", &cobra.Command{
		Use:               "delete GROUP...",
		Short:             "Delete groups without members, and their offsets",
		Long:              "delete removes groups that have no members, with their offsets. It asks first; in a script give --yes.",
		Example:           `  samsa -d ./data groups delete billing --yes`,
		ValidArgsFunction: e.completeGroups(anyNumber),
	}, func(name string) done { return done{Group: name} }, backend.Backend.DeleteGroup)
}

func (e *env) groupsRequeue() *cobra.Command {
	var part int32
	var at []int64
	cmd := &cobra.Command{
		Use:   "requeue TOPIC --offset NUMBER[,NUMBER...]",
		Short: "Send dead letters of queues back to where they came from",
		Long: `requeue produces dead letters that are in a topic again, to the topic and partition that they came from, as they were. The dead letters stay
where they are. samsa consume --json shows them with their offsets. It is for a broker of Samsa, -d or --api.`,
		Example:           `  samsa -d ./data groups requeue tasks_dead --partition 0 --offset 0`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: e.completeTopics(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(at) == 0 {
				return usageError{errors.New("which records? Give --offset")}
			}
			return e.with(cmd.Context(), true, func(ctx context.Context, b backend.Backend) error {
				s, err := backend.AsSamsa(b, "to send dead letters back")
				if err != nil {
					return err
				}
				places, err := s.Requeue(ctx, args[0], api.RequeueRequest{Partition: part, Offsets: at})
				if err != nil {
					return err
				}
				return printRows(e, []column[api.Place]{
					{"TOPIC", func(p api.Place) string { return p.Topic }},
					{">PARTITION", func(p api.Place) string { return strconv.Itoa(int(p.Partition)) }},
					{">OFFSET", func(p api.Place) string { return count(p.Offset) }},
				}, places)
			})
		},
	}
	cmd.Flags().Int32VarP(&part, "partition", "p", 0, "of the partition of this `number`")
	cmd.Flags().Int64SliceVar(&at, "offset", nil, "the dead letters at these `number`s")
	return cmd
}
