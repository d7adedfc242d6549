package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa/internal/api"
)

func (e *env) fakeWait() *cobra.Command {
	var w api.Wait
	var topic, group string
	var records, committed, members int
	var timeout time.Duration
	cmd := e.fakeDone(&cobra.Command{
		Use:   "wait",
		Short: "Wait until something has happened",
		Long: `wait waits for one thing: that a fault has acted as often as it says (--fault), that a topic has records (--records), that a group has
committed offsets behind so many records of a topic (--committed), or that it has members and all partitions are assigned (--members). It is an
error with exit code 6 when that has not come in time, which says how far it is.`,
		Example: `  samsa --api http://localhost:9080 fake wait --topic orders --records 0
  samsa --api http://localhost:9080 fake wait --fault 1 --timeout 5s`,
	}, "it has come", func(ctx context.Context, c *api.Client) error { return c.Wait(ctx, w) })
	fs := cmd.Flags()
	fs.Int64Var(&w.Fault, "fault", 0, "for the fault of this `id`")
	fs.IntVar(&records, "records", 0, "for this `number` of records of --topic")
	fs.IntVar(&committed, "committed", 0, "for offsets of --group behind this `number` of records of --topic")
	fs.IntVar(&members, "members", 0, "for this `number` of members of --group")
	fs.StringVarP(&topic, "topic", "t", "", "of this `topic`")
	fs.StringVar(&group, "group", "", "of this `group`")
	fs.DurationVar(&timeout, "timeout", 30*time.Second, "no longer than this `time`, at most 10m")
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		given := cmd.Flags().Changed
		n := 0
		for _, name := range []string{"fault", "records", "committed", "members"} {
			if given(name) {
				n++
			}
		}
		var err error
		switch {
		case n != 1:
			err = errors.New("for what? Give one of --fault, --records, --committed and --members")
		case (given("records") || given("committed")) != given("topic"):
			err = errors.New("--topic goes with --records and --committed")
		case (given("members") || given("committed")) != given("group"):
			err = errors.New("--group goes with --committed and --members")
		case timeout <= 0 || min(w.Fault, int64(records), int64(committed), int64(members)) < 0:
			err = errors.New("--timeout wants more than 0, and numbers are 0 or more")
		case given("records"):
			w.Records = &api.WaitRecords{Topic: topic, N: records}
		case given("committed"):
			w.Committed = &api.WaitCommitted{Group: group, Topic: topic, N: committed}
		case given("members"):
			w.Stable = &api.WaitStable{Group: group, Members: members}
		}
		if err != nil {
			return usageError{err}
		}
		w.Timeout = api.Duration(timeout)
		return run(cmd, args)
	}
	return cmd
}

func (e *env) fakeCorrupt() *cobra.Command {
	var x api.Corrupt
	cmd := e.fakeDone(&cobra.Command{
		Use:     "corrupt",
		Short:   "Damage what is stored",
		Long:    "corrupt damages the stored batch that has the record of an offset: who reads it meets the error of a checksum.",
		Example: `  samsa --api http://localhost:9080 fake corrupt --topic orders --partition 0 --offset 0`,
	}, "damaged", func(ctx context.Context, c *api.Client) error { return c.Corrupt(ctx, x) })
	cmd.Flags().StringVarP(&x.Topic, "topic", "t", "", "of this `topic`")
	cmd.Flags().Int32VarP(&x.Partition, "partition", "p", 0, "of the partition of this `number`")
	cmd.Flags().Int64Var(&x.Offset, "offset", 0, "the record with this `offset`")
	_ = cmd.MarkFlagRequired("topic")
	return cmd
}

func (e *env) printForks(all ...api.Fork) error {
	return printList(e, "copies", []column[api.Fork]{
		{"NAME", func(f api.Fork) string { return f.Name }},
		{"KAFKA", func(f api.Fork) string { return f.Kafka }},
	}, all)
}

func (e *env) fakeForks() *cobra.Command {
	return &cobra.Command{
		Use:     "forks",
		Short:   "List the copies of a fake broker",
		Long:    "forks prints the copies that there are, and where Kafka clients find each.",
		Example: `  samsa --api http://localhost:9080 fake forks`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.onFake(cmd.Context(), func(ctx context.Context, c *api.Client) error {
				all, err := c.Forks(ctx)
				if err != nil {
					return err
				}
				return e.printForks(all...)
			})
		},
	}
}

func (e *env) fakeFork() *cobra.Command {
	return &cobra.Command{
		Use:   "fork NAME",
		Short: "Copy a fake broker",
		Long: `fork copies a fake broker, with all that is stored in it, at once, to a broker of its own with an address of its own. What is done to one of them the
other does not see. The API of the copy lies below that of the fake broker: --api URL/api/v1/kit/forks/NAME.`,
		Example: `  samsa --api http://localhost:9080 fake fork before`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.onFake(cmd.Context(), func(ctx context.Context, c *api.Client) error {
				f, err := c.NewFork(ctx, args[0])
				if err != nil {
					return err
				}
				return e.printForks(f)
			})
		},
	}
}

func (e *env) fakeUnfork() *cobra.Command {
	return &cobra.Command{
		Use:     "unfork NAME",
		Short:   "End a copy of a fake broker",
		Long:    "unfork ends the copy of that name, and what was stored in it is gone.",
		Example: `  samsa --api http://localhost:9080 fake unfork yesterday`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.onFake(cmd.Context(), func(ctx context.Context, c *api.Client) error {
				if err := c.RemoveFork(ctx, args[0]); err != nil {
					return err
				}
				return e.say(faked{Done: "ended " + args[0]}, "ended %s", args[0])
			})
		},
	}
}
