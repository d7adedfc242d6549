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
	"github.com/samsa-go/samsa/topic"
)

// topics is the command for topics: by itself it lists them.
func (e *env) topics() *cobra.Command {
	list := e.topicsList()
	cmd := &cobra.Command{
		Use:     "topics",
		GroupID: groupAdmin,
		Short:   "List, describe, create, change and delete topics",
		Long:    "topics lists the topics, as topics list does. The commands below it do the rest.",
		Example: `  samsa -d ./data topics
  samsa -b localhost:9092 topics describe web_log`,
		RunE: list.RunE,
	}
	cmd.Flags().AddFlagSet(list.Flags())
	cmd.AddCommand(list, e.topicsDescribe(), e.topicsCreate(), e.topicsEnsure(), e.topicsAlter(), e.topicsDelete(), e.topicsGrow(), e.topicsDeleteRecords())
	return cmd
}

// topicRow is a topic in the list.
type topicRow struct {
	api.TopicSummary
	*rates
}

func (e *env) topicsList() *cobra.Command {
	r := api.TopicsRequest{Sizes: true}
	var rate time.Duration
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the topics",
		Long: `list prints the topics with their partitions, records and bytes, and when retention will find the oldest records too old (DUE). RECORDS counts
offsets, and so is an upper bound for compacted topics. BYTES of a large directory that was just opened may be unknown, -: what takes longer
than a second is not counted; describe does so. Topics whose names begin with two underscores are internal, and shown with --internal only.
With --rate it looks twice, and tells how many records and bytes come in a second. samsa top is a live screen; watch samsa topics shows the list
again and again.`,
		Example: `  samsa -d ./data topics list --prefix web_
  samsa -d ./data topics list --internal --json
  samsa -b localhost:9092 topics list --rate 100ms`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.with(cmd.Context(), false, func(ctx context.Context, b backend.Backend) error {
				if e.json && rate == 0 { // however many there are
					return eachTopics(ctx, b, r, func(page []topicRow) error { return printRows(e, nil, page) })
				}
				rows, err := listTopics(ctx, b, r)
				if err == nil && rate > 0 {
					rows, err = topicsAfter(ctx, b, r, rate, rows)
				}
				if err != nil {
					return err
				}
				columns := []column[topicRow]{
					{"TOPIC", func(t topicRow) string { return t.Name }},
					{">PARTITIONS", func(t topicRow) string { return strconv.Itoa(t.Partitions) }},
					{">REPLICAS", func(t topicRow) string { return strconv.Itoa(t.Replicas) }},
					{">RECORDS", func(t topicRow) string { return count(t.Records) }},
					{">BYTES", func(t topicRow) string { return size(t.Bytes) }},
					{"DUE", func(t topicRow) string { return moment(t.Due) }},
				}
				columns = append(columns, rateColumns(func(t topicRow) *rates { return t.rates })...)
				if slices.ContainsFunc(rows, func(t topicRow) bool { return t.Error != nil }) {
					columns = append(columns, column[topicRow]{"ERROR", func(t topicRow) string { return message(t.Error) }})
				}
				return printList(e, "topics", columns, rows)
			})
		},
	}
	cmd.Flags().StringVar(&r.Prefix, "prefix", "", "those only whose names begin with this `text`")
	cmd.Flags().BoolVar(&r.Internal, "internal", false, "internal topics too")
	rateFlag(cmd, &rate)
	return cmd
}

// listTopics returns all topics, page by page.
func listTopics(ctx context.Context, b backend.Backend, r api.TopicsRequest) ([]topicRow, error) {
	rows := []topicRow{}
	err := eachTopics(ctx, b, r, func(page []topicRow) error {
		rows = append(rows, page...)
		return nil
	})
	return rows, err
}

// eachTopics calls f with all topics, a page at a time.
func eachTopics(ctx context.Context, b backend.Backend, r api.TopicsRequest, f func([]topicRow) error) error {
	for {
		p, err := b.Topics(ctx, r)
		if err != nil {
			return err
		}
		page := make([]topicRow, 0, len(p.Topics))
		for _, t := range p.Topics {
			page = append(page, topicRow{TopicSummary: t})
		}
		if err := f(page); err != nil || p.Next == "" {
			return err
		}
		r.After = p.Next
	}
}

func (e *env) topicsDescribe() *cobra.Command {
	var all bool
	var rate time.Duration
	cmd := &cobra.Command{
		Use:   "describe TOPIC",
		Short: "Show the partitions and configs of a topic",
		Long: `describe prints the partitions of a topic, where they begin and end, what they take on the disk, and when retention will remove
the oldest of it (DUE); and the configs that are set, or with --all-configs every one. With --rate it looks twice, and tells how many records and
bytes come in a second.`,
		Example: `  samsa -d ./data topics describe web_log --rate 100ms
  samsa -b localhost:9092 topics describe web_log --all-configs`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: e.completeTopics(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.with(cmd.Context(), false, func(ctx context.Context, b backend.Backend) error {
				t, err := describeTopic(ctx, b, args[0], rate)
				if err != nil {
					return err
				}
				return e.printTopic(t, all)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all-configs", false, "show configs too that have their defaults")
	rateFlag(cmd, &rate)
	return cmd
}

func (e *env) printTopic(t described, all bool) error {
	if e.json {
		return e.printJSON(t)
	}
	fmt.Fprintf(e.Stdout, "topic %s, %s, %s, %s", t.Name, plural(int64(t.Partitions), "partition"), plural(t.Records, "record"), sizeOr(t.Bytes, "size unknown"))
	if t.rates != nil {
		fmt.Fprintf(e.Stdout, ", %s", t.rates)
	}
	fmt.Fprintf(e.Stdout, "\n\n")
	err := printRows(e, append([]column[partitionRow]{
		{">PARTITION", func(p partitionRow) string { return strconv.Itoa(int(p.Partition.Partition)) }},
		{">START", func(p partitionRow) string { return count(p.LogStart) }},
		{">END", func(p partitionRow) string { return count(p.HighWatermark) }},
		{">STABLE", func(p partitionRow) string { return count(p.LastStable) }},
		{">BYTES", func(p partitionRow) string { return size(p.Bytes) }},
		{"DUE", func(p partitionRow) string { return moment(p.Due) }},
		{"LEADER", func(p partitionRow) string {
			if p.Leader == 0 && p.Replicas == nil { // there is but one broker
				return ""
			}
			return strconv.Itoa(int(p.Leader))
		}},
		{"ERROR", func(p partitionRow) string { return message(p.Error) }},
	}, rateColumns(func(p partitionRow) *rates { return p.rates })...), t.Parts)
	if err != nil {
		return err
	}
	var configs []api.Config
	for _, c := range t.Configs {
		if all || !c.Default {
			configs = append(configs, c)
		}
	}
	if len(configs) > 0 {
		fmt.Fprintln(e.Stdout)
	}
	return printRows(e, []column[api.Config]{
		{"CONFIG", func(c api.Config) string { return c.Name }},
		{"VALUE", func(c api.Config) string { return c.Value }},
	}, configs)
}

// done is what a command has done to something.
type done struct {
	Topic string        `json:"topic,omitempty"`
	Group string        `json:"group,omitempty"`
	Key   any           `json:"key,omitempty"`
	User  string        `json:"user,omitempty"`
	ACL   *api.ACL      `json:"acl,omitempty"`
	Quota *api.NewQuota `json:"quota,omitempty"` // what is null is deleted
	Done  string        `json:"done"`
}

// configsFlag reads --config name=value.
func configsFlag(list []string) (map[string]string, error) {
	configs := make(map[string]string)
	for _, c := range list {
		name, value, ok := strings.Cut(c, "=")
		if !ok {
			return nil, usageError{fmt.Errorf("--config %s: want name=value", c)}
		}
		configs[name] = value
	}
	return configs, nil
}

// newTopicFlags defines the flags of a topic to be made.
func newTopicFlags(cmd *cobra.Command, t *api.NewTopic, configs *[]string) {
	cmd.Flags().IntVarP(&t.Partitions, "partitions", "p", 0, "with this `number` of partitions (default what the broker gives)")
	cmd.Flags().IntVarP(&t.Replicas, "replicas", "r", 0, "with this `number` of replicas of each (default what the broker gives)")
	cmd.Flags().StringArrayVarP(configs, "config", "c", nil, "with `name=value` as a config, by its Kafka name, like retention.ms=60000; repeatable")
}

func (e *env) topicsCreate() *cobra.Command {
	var t api.NewTopic
	var configs []string
	cmd := &cobra.Command{
		Use:   "create TOPIC...",
		Short: "Create topics",
		Long:  "create makes topics. One that is there already is an error (exit code 4): see ensure.",
		Example: `  samsa -d ./data topics create invoices --partitions 3
  samsa -b localhost:9092 topics create payments -c cleanup.policy=compact -c retention.ms=60000`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if t.Configs, err = configsFlag(configs); err != nil {
				return err
			}
			for i, name := range args {
				if slices.Contains(args[:i], name) {
					return usageError{fmt.Errorf("the topic %s is given twice", name)}
				}
			}
			if err := checkNames(args); err != nil {
				return err
			}
			return e.with(cmd.Context(), true, func(ctx context.Context, b backend.Backend) error {
				for _, t.Name = range args {
					if err := b.CreateTopic(ctx, t); err != nil {
						return err
					}
					if err := e.say(done{Topic: t.Name, Done: "created"}, "created topic %s", t.Name); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	newTopicFlags(cmd, &t, &configs)
	return cmd
}

// checkNames returns what is wrong with names for topics, before any is made.
func checkNames(names []string) error {
	for _, name := range names {
		if err := topic.CheckName(name); err != nil {
			return err
		}
	}
	return nil
}

func (e *env) topicsEnsure() *cobra.Command {
	var t api.NewTopic
	var configs []string
	cmd := &cobra.Command{
		Use:   "ensure TOPIC...",
		Short: "Create the topics that are not there",
		Long: `ensure makes topics that are not there, and leaves those that are as they are. One that is there and has not what the flags ask for is
an error, which names the difference (exit code 4). It may have more partitions.`,
		Example: `  samsa -d ./data topics ensure orders payments --partitions 3`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if t.Configs, err = configsFlag(configs); err != nil {
				return err
			}
			if err := checkNames(args); err != nil {
				return err
			}
			return e.with(cmd.Context(), true, func(ctx context.Context, b backend.Backend) error {
				for _, t.Name = range args {
					created, err := b.EnsureTopic(ctx, t)
					if err != nil {
						return err
					}
					did, text := "nothing", "topic %s is there"
					if created {
						did, text = "created", "created topic %s"
					}
					if err := e.say(done{Topic: t.Name, Done: did}, text, t.Name); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	newTopicFlags(cmd, &t, &configs)
	return cmd
}

func (e *env) topicsAlter() *cobra.Command {
	var configs, unset []string
	cmd := &cobra.Command{
		Use:   "alter TOPIC",
		Short: "Change configs of a topic",
		Long:  "alter sets configs of a topic, by their Kafka names, or has them go back to their defaults.",
		Example: `  samsa -d ./data topics alter web_log --config retention.ms=60000
  samsa -b localhost:9092 topics alter web_log --unset retention.ms`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: e.completeTopics(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := configsFlag(configs)
			if err != nil {
				return err
			}
			change := make(map[string]*string)
			for name, value := range set {
				change[name] = &value
			}
			for _, name := range unset {
				if change[name] != nil {
					return usageError{fmt.Errorf("%s is in --config and in --unset", name)}
				}
				change[name] = nil
			}
			if len(change) == 0 {
				return usageError{errors.New("nothing to change: give --config or --unset")}
			}
			return e.with(cmd.Context(), true, func(ctx context.Context, b backend.Backend) error {
				if err := b.AlterTopic(ctx, args[0], change); err != nil {
					return err
				}
				return e.say(done{Topic: args[0], Done: "altered"}, "altered topic %s", args[0])
			})
		},
	}
	cmd.Flags().StringArrayVarP(&configs, "config", "c", nil, "set `name=value`; repeatable")
	cmd.Flags().StringArrayVar(&unset, "unset", nil, "have the config of this `name` go back to its default; repeatable")
	return cmd
}
