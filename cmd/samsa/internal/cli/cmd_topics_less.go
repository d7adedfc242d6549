package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/internal/api"
)

func (e *env) topicsDelete() *cobra.Command {
	return e.deletion("topic", &cobra.Command{
		Use:               "delete TOPIC...",
		Short:             "Delete topics with all their records",
		Long:              "delete removes topics with all their records, and what groups have committed there. It asks first; in a script give --yes.",
		Example:           `  samsa -d ./data topics delete web_log --yes`,
		ValidArgsFunction: e.completeTopics(anyNumber),
	}, func(name string) done { return done{Topic: name} }, backend.Backend.DeleteTopic)
}

// deletion completes a command that deletes what its arguments name, one by one: things of that kind.
func (e *env) deletion(kind string, cmd *cobra.Command, of func(name string) done, one func(backend.Backend, context.Context, string) error) *cobra.Command {
	var yes bool
	cmd.Args = cobra.MinimumNArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return e.with(cmd.Context(), true, func(ctx context.Context, b backend.Backend) error {
			if err := e.confirm(yes, "delete %s %s", kind, strings.Join(args, ", ")); err != nil {
				return err
			}
			for _, name := range args {
				if err := one(b, ctx, name); err != nil {
					return err
				}
				told := of(name)
				told.Done = "deleted"
				if err := e.say(told, "deleted %s %s", kind, name); err != nil {
					return err
				}
			}
			return nil
		})
	}
	yesFlag(cmd, &yes)
	return cmd
}

func (e *env) topicsGrow() *cobra.Command {
	return &cobra.Command{
		Use:   "grow TOPIC PARTITIONS",
		Short: "Give a topic more partitions",
		Long: `grow gives a topic more partitions, so that it has that number in all. Records stay where they are; keys may go to other partitions from
then on.`,
		Example:           `  samsa -d ./data topics grow web_log 6`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: e.completeTopics(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := strconv.Atoi(args[1])
			if err != nil {
				return usageError{fmt.Errorf("%q is no number of partitions", args[1])}
			}
			return e.with(cmd.Context(), true, func(ctx context.Context, b backend.Backend) error {
				if err := b.GrowTopic(ctx, args[0], n); err != nil {
					return err
				}
				return e.say(done{Topic: args[0], Done: "grown"}, "topic %s has %s", args[0], plural(int64(n), "partition"))
			})
		},
	}
}

// trimmed is what delete-records does to a partition.
type trimmed struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	From      int64  `json:"from"` // the first offset that is there
	Before    int64  `json:"before"`
}

// planTrim returns what delete-records is to do in these partitions of a topic, or without any in all. An offset that is behind the end of one
// is ErrOffsetOutOfRange, as Kafka has it.
func planTrim(ctx context.Context, b backend.Backend, topic string, partitions []int32, before api.Position) ([]trimmed, error) {
	of := api.FollowRequest{Topic: topic, Partitions: partitions}
	start, err := offsets(ctx, b, of, api.Earliest())
	if err != nil {
		return nil, err
	}
	for _, p := range partitions {
		if _, ok := start[p]; !ok {
			return nil, fmt.Errorf("topic %s: %w %d", topic, samsa.ErrUnknownPartition, p)
		}
	}
	end, err := offsets(ctx, b, of, api.Latest())
	if err != nil {
		return nil, err
	}
	until := make(map[int32]int64)
	if before.Kind != api.AtOffset {
		list, err := resolve(ctx, b, topic, before)
		if err != nil {
			return nil, err
		}
		for _, o := range list {
			until[o.Partition] = o.Offset
		}
	}
	var rows []trimmed
	var behind []error
	for _, p := range slices.Sorted(maps.Keys(start)) {
		if before.Kind == api.AtOffset {
			until[p] = max(start[p], before.N)
		}
		if until[p] > end[p] {
			behind = append(behind, fmt.Errorf("topic %s: %w: partition %d ends at %d", topic, samsa.ErrOffsetOutOfRange, p, end[p]))
		}
		rows = append(rows, trimmed{topic, p, start[p], until[p]})
	}
	return rows, errors.Join(behind...)
}

func (e *env) topicsDeleteRecords() *cobra.Command {
	before := positionFlag{now: time.Now}
	var partitions []int32
	var yes, dry bool
	cmd := &cobra.Command{
		Use:   "delete-records TOPIC --before POSITION",
		Short: "Delete the oldest records of a topic",
		Long: `delete-records removes the records before a position, in each partition or in those of --partition. It asks first; in a script
give --yes. It tells from which offset on and before which offset; with --dry-run it does no more. An offset behind the end of a partition is
refused, and then nothing is deleted (exit code 3): latest is the end of each.`,
		Example: `  samsa -d ./data topics delete-records web_log --before -24h --dry-run
  samsa -b localhost:9092 topics delete-records web_log --before 2 --partition 1 --yes`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: e.completeTopics(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if before.IsZero() {
				return usageError{errors.New("before what? Give --before")}
			}
			return e.with(cmd.Context(), !dry, func(ctx context.Context, b backend.Backend) error {
				rows, err := planTrim(ctx, b, args[0], partitions, before.Position)
				if err != nil {
					return err
				}
				if !dry {
					if err := e.confirm(yes, "delete the records of topic %s before %s", args[0], before.Position); err != nil {
						return err
					}
					var until []api.PartitionOffset
					for _, t := range rows {
						until = append(until, api.PartitionOffset{Partition: t.Partition, Offset: t.Before})
					}
					if err := b.DeleteRecords(ctx, args[0], until); err != nil {
						return err
					}
				}
				return printRows(e, []column[trimmed]{
					{"TOPIC", func(t trimmed) string { return t.Topic }},
					{">PARTITION", func(t trimmed) string { return strconv.Itoa(int(t.Partition)) }},
					{">FROM", func(t trimmed) string { return count(t.From) }},
					{">BEFORE", func(t trimmed) string { return count(t.Before) }},
				}, rows)
			})
		},
	}
	cmd.Flags().Var(&before, "before", "delete what is before this `position` (samsa help positions)")
	cmd.Flags().Int32SliceVarP(&partitions, "partition", "p", nil, "in this partition only, `number`s with commas")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "tell what would be deleted, and do nothing")
	yesFlag(cmd, &yes)
	return cmd
}
