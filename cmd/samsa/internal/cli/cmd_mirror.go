package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster"
	"github.com/samsa-go/samsa/mirror"
)

// mirrorFlags are those of samsa mirror, besides its options.
type mirrorFlags struct {
	opts           mirror.Options
	status, finish bool
	keys, replace  bool
	every, wait    time.Duration
	http           string
	hosts          []string
}

// check returns what is wrong with the command line, before anything is opened or made.
func (f *mirrorFlags) check(from, to string) error {
	deeds := 0
	for _, given := range []bool{f.opts.UntilNow, f.status, f.finish, f.keys} {
		if given {
			deeds++
		}
	}
	if deeds > 1 {
		return usageError{errors.New("--until-now, --status, --finish and --keys exclude each other")}
	}
	if f.replace && !f.keys {
		return usageError{errors.New("--replace is for --keys")}
	}
	if f.every < 0 || f.wait < 0 {
		return usageError{errors.New("--every and --wait want 0 or more")}
	}
	if f.http != "" && (f.status || f.finish || f.keys) {
		return usageError{errors.New("--http is for a mirror that copies")}
	}
	for _, place := range []string{from, to} {
		if a := parseAddress(place); a.api != "" {
			return usageError{fmt.Errorf("%s: a mirror wants a directory, or Kafka brokers", a)}
		}
	}
	if samePlace(from, to) {
		return usageError{fmt.Errorf("%s and %s are the same", parseAddress(from), parseAddress(to))}
	}
	if err := f.opts.Check(); err != nil {
		return usageError{err}
	}
	return nil
}

// samePlace reports whether both are the same directory, or are written alike.
func samePlace(a, b string) bool {
	if a == b {
		return true
	}
	is, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(is, other)
}

func (e *env) mirror() *cobra.Command {
	var f mirrorFlags
	cmd := &cobra.Command{
		Use:     "mirror FROM TO",
		GroupID: groupRecords,
		Short:   "Copy topics from one broker to another, and go on copying",
		Long: `mirror copies topics, their records, configs and partitions, and the committed offsets of groups, from one broker to another, until Ctrl-C. The next
one of its name goes on where it was; one that runs meanwhile ends. Each record arrives once. To a broker of Samsa offsets are kept; to a Kafka
cluster they move, and those of groups with them.

FROM and TO are directories of brokers that nobody has open, or Kafka
brokers, host:port[,host:port], or URLs as
kafka://user@host:port/?tls=true, with the password in
` + cluster.PasswordVariable + `. To end a move, when nothing writes
to FROM any more, --until-now copies the last of it, and --finish says that
the topics are TO's own; then a mirror back may begin. --keys brings the
application's own keys over. --status looks how far a mirror is behind.

A topic that may not be copied is told on stderr, and the others are copied:
it came from TO, TO has records of others in its place, or does not take its
name or its config. --until-now and --finish then end with exit code 5, which
names these topics: --exclude says that they are not meant.`,
		Example: `  samsa mirror ./data localhost:9092 --until-now
  samsa mirror ./data localhost:9092 --status`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(args[0], args[1]); err != nil {
				return err
			}
			if !cmd.Flags().Changed("wait") && (f.status || f.finish || f.keys || f.opts.UntilNow) {
				f.wait = 10 * time.Second
			}
			return e.runMirror(cmd.Context(), args[0], args[1], f)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&f.opts.Name, "name", "mirror", "of the mirror, whose `NAME` its notes in TO have")
	fs.StringArrayVarP(&f.opts.Topics, "topic", "t", nil, "copy topics of this `pattern`, may be repeated; all without")
	fs.StringArrayVar(&f.opts.Exclude, "exclude", nil, "and not those of this `pattern`, may be repeated")
	fs.StringArrayVar(&f.opts.Groups, "group", nil, "bring groups of this `pattern` over, may be repeated; all without")
	fs.StringArrayVar(&f.opts.ExcludeGroups, "exclude-group", nil, "and not those of this `pattern`, may be repeated")
	fs.StringVar(&f.opts.Prefix, "prefix", "", "put this `text` before the names of topics in TO")
	fs.IntVar(&f.opts.Replicas, "replicas", 0, "of topics that are made in TO, if not its default")
	fs.Int64Var(&f.opts.BytesPerSecond, "rate", 0, "copy at most so many `bytes` a second")
	fs.BoolVar(&f.opts.Hold, "hold", false, "commit to FROM what is copied, so that topics with cleanup.policy=consumed keep the rest")
	fs.BoolVar(&f.opts.UntilNow, "until-now", false, "end when all is copied that is there")
	fs.BoolVar(&f.status, "status", false, "show how far the mirror is behind, and copy nothing")
	fs.BoolVar(&f.finish, "finish", false, "end a move: the topics are TO's own")
	fs.BoolVar(&f.keys, "keys", false, "bring the application's own keys over, and nothing else; a cluster has them in the topic of a URL with ?keys=TOPIC")
	fs.BoolVar(&f.replace, "replace", false, "with --keys, let keys go that TO has and FROM has not")
	fs.DurationVar(&f.wait, "wait", 0, "for brokers that do not answer at the start, at most this `time`; 0 is for ever (default 10s with --until-now, --status, --finish)")
	fs.DurationVar(&f.every, "every", 10*time.Second, "tell on stderr how far it is, so often; 0 is never")
	fs.StringVar(&f.http, "http", "", "serve /metrics for Prometheus, and /healthz, at this `host:port`")
	fs.StringSliceVar(&f.hosts, "http-hosts", nil, "let these `names`, with commas, be ones by which --http is called, besides localhost and addresses")
	return cmd
}

// runMirror opens both brokers, and does what the flags say.
func (e *env) runMirror(ctx context.Context, from, to string, f mirrorFlags) error {
	src, err := openPlace(ctx, from, f.wait, samsa.Options{MustExist: true, ReadOnly: !f.opts.Hold || f.status})
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	if f.opts.UntilNow || f.finish { // nothing is made for what is not there
		if err := named(ctx, src, f.opts.Topics); err != nil {
			return err
		}
	}
	dst, err := openPlace(ctx, to, f.wait, samsa.Options{MustExist: f.status || f.finish || f.keys, ReadOnly: f.status})
	if err != nil {
		return err
	}
	defer func() { _ = dst.Close() }()
	if f.keys {
		n, err := mirror.CopyKeys(ctx, src, dst, mirror.KeysOptions{Replace: f.replace})
		if err != nil {
			return err
		}
		return e.say(struct {
			Keys int64 `json:"keys"`
		}{n}, "changed %s", plural(n, "key"))
	}
	m, err := mirror.New(src, dst, f.opts)
	if err != nil {
		return err
	}
	switch {
	case f.status:
		return e.mirrorStatus(ctx, m)
	case f.finish:
		err := m.Finish(ctx)
		e.tellNotCopied(m, map[string]bool{})
		if err != nil {
			return err
		}
		err = e.say(struct {
			Finished string `json:"finished"`
		}{f.opts.Name}, "the topics are those of %s now", to)
		return errors.Join(err, notCopied(m.Stats()))
	}
	web, err := serveMirror(f.http, f.hosts, src)
	if err != nil {
		return err
	}
	if web != nil {
		defer web.end()
		fmt.Fprintf(e.Stderr, "metrics at http://%s/metrics\n", web.ln.Addr())
	}
	stop := e.tellMirror(ctx, m, f.every)
	err = m.Run(ctx)
	stop()
	if err != nil && (ctx.Err() == nil || f.opts.UntilNow) { // Ctrl-C is no end of what is to be copied until now
		return err
	}
	s := m.Stats()
	err = e.say(mirrored{s.Records, s.Bytes, s.Lost, refusals(s)}, "copied %s, %s", plural(s.Records, "record"), size(s.Bytes))
	if f.opts.UntilNow {
		err = errors.Join(err, notCopied(s))
	}
	return err
}

// notCopied is the error of a mirror that is at its end and was refused topics.
func notCopied(s mirror.Stats) error {
	if len(s.Refused) == 0 {
		return nil
	}
	return fmt.Errorf("%w: topics that are not copied: %s", errRefused, strings.Join(slices.Sorted(maps.Keys(s.Refused)), ", "))
}

// mirrored is what a mirror has done.
type mirrored struct {
	Records int64             `json:"records"`
	Bytes   int64             `json:"bytes"`
	Lost    int64             `json:"lost,omitempty"`
	Refused map[string]string `json:"refused,omitempty"` // topics, and why
}

func refusals(s mirror.Stats) map[string]string {
	all := make(map[string]string, len(s.Refused))
	for name, err := range s.Refused {
		all[name] = err.Error()
	}
	return all
}

// named returns an error for a topic that is named without a pattern, and not there.
func named(ctx context.Context, b *samsa.Broker, patterns []string) error {
	for _, name := range patterns {
		if strings.ContainsAny(name, `*?[\`) {
			continue
		}
		if _, err := b.Topics().Describe(ctx, name); errors.Is(err, samsa.ErrUnknownTopic) {
			return err
		}
	}
	return nil
}

// openPlace opens a directory, or a cluster, that may be away for some time; 0 is for ever.
func openPlace(ctx context.Context, place string, wait time.Duration, opts samsa.Options) (*samsa.Broker, error) {
	if wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, wait)
		defer cancel()
	}
	if strings.HasPrefix(place, "kafka://") {
		return cluster.OpenURL(ctx, place)
	}
	if a := parseAddress(place); a.brokers != "" {
		return cluster.Open(ctx, cluster.Options{Seeds: strings.Split(a.brokers, ",")})
	}
	return samsa.Open(place, opts)
}

// tellMirror tells on stderr, once in a while, how far the mirror is, and what is not copied, that once. What it returns ends it.
func (e *env) tellMirror(ctx context.Context, m *mirror.Mirror, every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	told := make(map[string]bool)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if every <= 0 {
			return
		}
		ticks := time.NewTicker(every)
		defer ticks.Stop()
		for {
			select {
			case <-ticks.C:
				e.tellOnce(ctx, m)
				e.tellNotCopied(m, told)
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() {
		cancel()
		<-done
		e.tellNotCopied(m, told)
	}
}

// tellNotCopied tells what is not copied and was not told.
func (e *env) tellNotCopied(m *mirror.Mirror, told map[string]bool) {
	tell := func(what string, err error) {
		if !told[what] {
			told[what] = true
			fmt.Fprintf(e.Stderr, "%s: %v\n", what, err)
		}
	}
	s := m.Stats()
	for name, err := range s.Refused {
		tell(fmt.Sprintf("topic %s is not copied", name), err)
	}
	for tp, err := range s.Damaged {
		tell(fmt.Sprintf("partition %s is copied up to where it is damaged", tp), err)
	}
}

func (e *env) tellOnce(ctx context.Context, m *mirror.Mirror) {
	s := m.Stats()
	if s.Trouble != nil {
		fmt.Fprintf(e.Stderr, "it begins anew: %v\n", s.Trouble)
		return
	}
	if lag, err := m.Lag(ctx); err == nil {
		fmt.Fprintf(e.Stderr, "copied %s, %s; %s behind, %s\n", plural(s.Records, "record"), size(s.Bytes), plural(lag.Records, "record"), lag.Behind.Round(time.Millisecond))
	}
}

// mirrorStatus prints how far a mirror is behind.
func (e *env) mirrorStatus(ctx context.Context, m *mirror.Mirror) error {
	lag, err := m.Lag(ctx)
	if err != nil {
		return err
	}
	type row struct {
		Topic     string `json:"topic"`
		Partition int32  `json:"partition"`
		Offset    int64  `json:"offset"`
		End       int64  `json:"end"`
		Lag       int64  `json:"lag"`
	}
	rows := make([]row, len(lag.Partitions))
	for i, p := range lag.Partitions {
		rows[i] = row{p.TopicPartition.Topic, p.TopicPartition.Partition, p.Offset, p.End, p.Records}
	}
	return printList(e, "partitions", []column[row]{
		{"TOPIC", func(r row) string { return r.Topic }},
		{">PARTITION", func(r row) string { return fmt.Sprint(r.Partition) }},
		{">OFFSET", func(r row) string { return fmt.Sprint(r.Offset) }},
		{">END", func(r row) string { return fmt.Sprint(r.End) }},
		{">LAG", func(r row) string { return fmt.Sprint(r.Lag) }},
	}, rows)
}
