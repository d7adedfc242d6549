package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/internal/api"
)

// fake is the command for fake brokers.
func (e *env) fake() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "fake",
		GroupID: groupServe,
		Short:   "Control a fake broker: faults, time, restarts, copies, nodes",
		Long: `fake does with a fake broker, which samsa serve --fake is, what tests need: requests fail or wait, time runs out, the process dies, the
power goes, nodes of a cluster come and go. Another broker refuses it. It needs the API: --api.`,
		Example: `  samsa --api http://localhost:9080 fake fault --on appends --topic orders --next 1 --code 87
  samsa --api http://localhost:9080 fake restart --kill power`,
	}
	cmd.AddCommand(e.fakeFaults(), e.fakeFault(), e.fakeEnd("release", "Let go on what a fault holds", (*api.Client).ReleaseFault),
		e.fakeEnd("remove", "End a fault", (*api.Client).RemoveFault), e.fakeExpire(), e.fakeCorrupt(), e.fakeWait(), e.fakeRestart(), e.fakeReset(),
		e.fakeForks(), e.fakeFork(), e.fakeUnfork(), e.fakeCluster())
	return cmd
}

// onFake calls f with the API of a fake broker.
func (e *env) onFake(ctx context.Context, f func(context.Context, *api.Client) error) error {
	return e.samsa(ctx, true, "a fake broker", func(ctx context.Context, s backend.Samsa) error {
		c, ok := s.(*api.Client)
		if !ok {
			return usageError{errors.New("a directory has no fake broker: give --api")}
		}
		return f(ctx, c)
	})
}

func (e *env) printFaults(all ...api.Fault) error {
	return printList(e, "faults", []column[api.Fault]{
		{">ID", func(f api.Fault) string { return count(f.ID) }},
		{">HITS", func(f api.Fault) string { return strconv.Itoa(f.Hits) }},
		{"FAULT", func(f api.Fault) string { return f.Text }},
	}, all)
}

func (e *env) fakeFaults() *cobra.Command {
	return &cobra.Command{
		Use:     "faults",
		Short:   "List the faults",
		Long:    "faults prints the faults that there are, in the order in which they act, and how often each has done so.",
		Example: `  samsa --api http://localhost:9080 fake faults`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.onFake(cmd.Context(), func(ctx context.Context, c *api.Client) error {
				all, err := c.Faults(ctx)
				if err != nil {
					return err
				}
				return e.printFaults(all...)
			})
		},
	}
}

func (e *env) fakeFault() *cobra.Command {
	var f api.NewFault
	var keys []int32
	var delay time.Duration
	cmd := &cobra.Command{
		Use:   "fault --on WORK",
		Short: "Put something in the way",
		Long: `fault has work of a fake broker fail, wait or be counted: of any client, or of those that the flags name. --on says which work: appends, fetches,
commits, joins, requests of Kafka clients, or space, which is a full disk. What happens is one of --fail, --error, --code, --delay, --hold and
--count. It acts until it is removed, or --next so often.`,
		Example: `  samsa --api http://localhost:9080 fake fault --on appends --topic orders --next 1 --code 87
  samsa --api http://localhost:9080 fake fault --on commits --group billing --delay 200ms`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.On == "" {
				return usageError{errors.New("a fault on what? Give --on")}
			}
			for _, k := range keys {
				f.Keys = append(f.Keys, int16(k))
			}
			f.Delay = api.Duration(delay)
			return e.onFake(cmd.Context(), func(ctx context.Context, c *api.Client) error {
				made, err := c.NewFault(ctx, f)
				if err != nil {
					return err
				}
				return e.printFaults(made)
			})
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&f.On, "on", "", "which `work`: appends, fetches, commits, joins, requests or space")
	fs.StringVarP(&f.Topic, "topic", "t", "", "of this `topic` only")
	fs.Int32SliceVarP(&f.Partitions, "partition", "p", nil, "of this partition of it only, `number`s with commas")
	fs.StringVar(&f.Group, "group", "", "of this `group` only")
	fs.StringVar(&f.Client, "client", "", "of the client with this `id` only")
	fs.StringVar(&f.Transaction, "transaction", "", "of this transactional `id` only, * for any")
	fs.StringVar(&f.Principal, "principal", "", "with --on requests, of who has logged in as this `name` only, User:alice say")
	fs.Int32SliceVar(&keys, "api-key", nil, "with --on requests, of these Kafka API keys only, `number`s with commas")
	fs.BoolVar(&f.Answers, "answers", false, "it is done, and only the answer is hit")
	fs.IntVar(&f.Next, "next", 0, "act this `number` of times (default any)")
	fs.BoolVar(&f.Fail, "fail", false, "it fails")
	fs.StringVar(&f.Error, "error", "", "it fails with the error of this `name`, as ErrUnknownTopic")
	fs.Int16Var(&f.Code, "code", 0, "it fails with this error code of Kafka, a `number`")
	fs.DurationVar(&delay, "delay", 0, "it waits this `time`")
	fs.BoolVar(&f.Hold, "hold", false, "it waits until fake release")
	fs.BoolVar(&f.Count, "count", false, "it is counted, and nothing else")
	return cmd
}

// fakeEnd is a command that does something to a fault.
func (e *env) fakeEnd(name, short string, do func(*api.Client, context.Context, int64) error) *cobra.Command {
	return &cobra.Command{
		Use:     name + " ID",
		Short:   short,
		Long:    name + " is for the fault of that id, which fake faults lists.",
		Example: `  samsa --api http://localhost:9080 fake ` + name + ` 1`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil {
				return usageError{fmt.Errorf("%q is no id of a fault", args[0])}
			}
			return e.onFake(cmd.Context(), func(ctx context.Context, c *api.Client) error {
				if err := do(c, ctx, id); err != nil {
					return err
				}
				return e.say(faked{Fault: id, Done: name + "d"}, "%sd fault %d", name, id)
			})
		},
	}
}

// faked is what was done to a fake broker.
type faked struct {
	Fault int64  `json:"fault,omitempty"`
	Done  string `json:"done"`
}

// fakeDone is a command that does one thing to a fake broker.
func (e *env) fakeDone(cmd *cobra.Command, done string, do func(context.Context, *api.Client) error) *cobra.Command {
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return e.onFake(cmd.Context(), func(ctx context.Context, c *api.Client) error {
			if err := do(ctx, c); err != nil {
				return err
			}
			return e.say(faked{Done: done}, "%s", done)
		})
	}
	return cmd
}

func (e *env) fakeExpire() *cobra.Command {
	var x api.Expire
	cmd := e.fakeDone(&cobra.Command{
		Use:     "expire",
		Short:   "Have time run out, at once",
		Long:    "expire has time run out for a member of a group, or for the open transaction of a transactional id.",
		Example: `  samsa --api http://localhost:9080 fake expire --transaction payments`,
	}, "expired", func(ctx context.Context, c *api.Client) error { return c.Expire(ctx, x) })
	cmd.Flags().StringVar(&x.Group, "group", "", "of this `group`")
	cmd.Flags().StringVar(&x.Member, "member", "", "for the member with this `id`")
	cmd.Flags().StringVar(&x.Transaction, "transaction", "", "for the transaction of this `id`")
	return cmd
}

func (e *env) fakeRestart() *cobra.Command {
	var r api.Restart
	cmd := e.fakeDone(&cobra.Command{
		Use:   "restart",
		Short: "End a fake broker, and open it again",
		Long: `restart ends a fake broker in good order, or with --kill by the death of its process or a power failure, and opens it again over what it had
stored. Its clients lose their connections.`,
		Example: `  samsa --api http://localhost:9080 fake restart --kill power`,
	}, "restarted", func(ctx context.Context, c *api.Client) error { return c.Restart(ctx, r) })
	cmd.Flags().StringVar(&r.Kill, "kill", "", "`how` it ends: crash or power")
	return cmd
}

func (e *env) fakeReset() *cobra.Command {
	return e.fakeDone(&cobra.Command{
		Use:     "reset",
		Short:   "Have a fake broker begin anew",
		Long:    "reset leaves a fake broker as it began: without records, groups, keys, faults and copies, with the topics of its command line. It does not ask.",
		Example: `  samsa --api http://localhost:9080 fake reset`,
	}, "begun anew", func(ctx context.Context, c *api.Client) error { return c.ResetKit(ctx) })
}

// sweep is the command that has retention work now.
func (e *env) sweep() *cobra.Command {
	return &cobra.Command{
		Use:     "sweep",
		GroupID: groupAdmin,
		Short:   "Have retention remove now what may go",
		Long: `sweep removes what may go by the configs of the topics, and gives the space back, instead of within some minutes. It tells what it has removed. It is
for a broker of Samsa, -d or --api.`,
		Example: `  samsa -d ./data sweep`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.samsa(cmd.Context(), true, "a sweep", func(ctx context.Context, s backend.Samsa) error {
				done, err := s.Sweep(ctx)
				if err != nil {
					return err
				}
				return e.say(done, "removed %s, %s; %s given back", plural(done.Removed.Records, "record"), size(done.Removed.Bytes), size(done.BytesFreed))
			})
		},
	}
}
