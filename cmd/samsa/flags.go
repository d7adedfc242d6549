package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
)

// flags is what the command line of serve says.
type flags struct {
	listen   string
	data     string // "" in memory
	topics   topicFlags
	configs  configFlags // of topics
	groups   configFlags
	logLevel zapcore.Level
	broker   samsa.Options
	kafka    kafka.Options
}

const defaultData = "./data"

// parseFlags reads the flags of serve. It prints them to out and returns flag.ErrHelp when
// they are asked for.
func parseFlags(args []string, out io.Writer) (flags, error) {
	var f flags
	fs := f.define()
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			printFlags(fs, out)
		}
		return f, err
	}
	var errs []error
	if fs.NArg() > 0 {
		errs = append(errs, fmt.Errorf("unexpected argument %q (flags without a value are turned off by --flag=false)", fs.Arg(0)))
	}
	if f.broker.InMemory && f.data != "" {
		errs = append(errs, fmt.Errorf("--memory and --data %s exclude each other", f.data))
	}
	if f.kafka.NodeID < 1 {
		errs = append(errs, fmt.Errorf("--node-id is %d, want 1 to 2147483647", f.kafka.NodeID))
	}
	if !f.broker.InMemory && f.data == "" {
		f.data = defaultData
	}
	return f, errors.Join(errs...)
}

// define returns the flags, which write to f. There is one for each option of the library and
// of its wire door, but for what only a Go program can give or use; the test knows those.
func (f *flags) define() *flag.FlagSet {
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are told once, by the caller
	f.configs.set = f.broker.TopicDefaults.SetConfig
	f.groups.set = f.setGroupConfig
	f.defineBroker(fs)
	f.defineDoor(fs)
	fs.VisitAll(func(fl *flag.Flag) {
		switch fl.Value.(type) {
		case *topicFlags, *configFlags:
		default:
			fl.Value = &onceFlag{Value: fl.Value}
		}
	})
	return fs
}

// setGroupConfig sets one of samsa.Options.Groups.Configs, which is checked when the broker is opened.
func (f *flags) setGroupConfig(name, value string) error {
	if f.broker.Groups.Configs == nil {
		f.broker.Groups.Configs = make(map[string]string)
	}
	f.broker.Groups.Configs[name] = value
	return nil
}

// defineBroker defines what samsa.Options has. As Kafka does, it creates topics on demand. The
// defaults of numbers are those of the library, which 0 stands for.
func (f *flags) defineBroker(fs *flag.FlagSet) {
	o := &f.broker
	fs.StringVar(&f.data, "data", "", "keep the data in this `directory` (default "+defaultData+")")
	fs.BoolVar(&o.InMemory, "memory", false, "keep the data in memory, until the end")
	fs.BoolVar(&o.MustExist, "must-exist", false, "do not begin a new data directory: end with an error when it is missing or empty")
	fs.Var(&f.topics, "topic", "create this topic, `name:partitions` or a name alone, unless it is there; repeatable")
	fs.BoolVar(&o.AutoCreateTopics, "auto-create", true, "create topics that clients name and that do not exist; --auto-create=false does not")
	fs.IntVar(&o.TopicDefaults.Partitions, "partitions", 0, "give topics this `number` of partitions, unless something else is asked for (default 1)")
	fs.Var(&f.configs, "config", "let `name=value` be the default of a topic config, by its Kafka name, like retention.ms=60000; repeatable")
	fs.BoolVar(&o.ReadOnly, "read-only", false, "serve the data for reading, and change nothing in its directory")
	fs.Int64Var(&o.MinFreeBytes, "min-free-bytes", 0, "leave this many `bytes` of the disk free (default 64 MiB, or a sixteenth of a smaller one)")
	fs.BoolVar(&o.RebuildIndex, "rebuild-index", false, "make the index anew from the value files, when it is missing or damaged")
	fs.DurationVar(&o.RetentionInterval, "retention-interval", 0, "look for records that may go once in this `time` (default 5m)")
	o.Groups.InitialRebalanceDelay = 3 * time.Second
	fs.Var((*delayFlag)(&o.Groups.InitialRebalanceDelay), "group-initial-rebalance-delay", "let a group that was empty wait this `time` for more members; 0 for none")
	fs.DurationVar(&o.Groups.MinSessionTimeout, "group-min-session-timeout", 0, "refuse members of groups with a shorter session `time`out (default 6s)")
	fs.DurationVar(&o.Groups.MaxSessionTimeout, "group-max-session-timeout", 0, "refuse members of groups with a longer session `time`out (default 30m)")
	fs.IntVar(&o.Groups.MaxSize, "group-max-size", 0, "let groups have at most this `number` of members (default any)")
	fs.Var(&f.groups, "group-config", "let `name=value` be a broker config that bounds the configs of groups, by its Kafka name, like group.share.min.record.lock.duration.ms=1000; repeatable")
	fs.DurationVar(&o.Transactions.MaxTimeout, "transaction-max-timeout", 0, "refuse producers with a longer `time`out of transactions (default 15m)")
	fs.DurationVar(&o.Transactions.IDExpiry, "transactional-id-expiry", 0, "forget a transactional id that is not used for this `time` (default 168h)")
	fs.DurationVar(&o.ProducerIDExpiry, "producer-id-expiry", 0, "forget, in a partition, an idempotent producer that is silent for this `time` (default 24h)")
	fs.Var(levelFlag{&f.logLevel}, "log-level", "log from this `level` on: debug, info, warn or error")
}

// defineDoor defines what kafka.Options has. As there is one node, any replication factor will do.
func (f *flags) defineDoor(fs *flag.FlagSet) {
	o := &f.kafka
	fs.StringVar(&f.listen, "listen", "127.0.0.1:9092", "serve at this `host:port`; port 0 means any that is free")
	fs.StringVar(&o.Advertise, "advertise", "", "tell clients to find the broker at this `host:port` (default: where each has reached it)")
	o.NodeID = 1
	fs.Var((*int32Flag)(&o.NodeID), "node-id", "be the node of this `number`, from 1 on")
	fs.StringVar(&o.ClusterID, "cluster-id", "", "be the cluster of this `name` (default: an id that is kept with the data)")
	fs.BoolVar(&o.AllowRemote, "allow-remote", false, "allow --listen at an address that other machines reach; there is no authentication")
	fs.BoolVar(&o.AnyReplicationFactor, "any-replication-factor", true, "accept topics with any replication factor, though there is one replica of each; =false accepts 1 alone")
	fs.BoolVar(&o.SyncAll, "sync-all", false, "let acks=all, commits of offsets and ends of transactions wait until the disk has them (fsync)")
	fs.BoolVar(&o.TrustCompressed, "trust-compressed", false, "store compressed batches without a look at each record")
	fs.IntVar(&o.MaxMemoryBytes, "max-memory-bytes", 0, "take at most this many `bytes` for requests and answers of all connections (default 512 MiB)")
	fs.IntVar(&o.MaxFrameBytes, "max-frame-bytes", 0, "refuse Produce requests of more `bytes` (default 100 MiB)")
	fs.IntVar(&o.MaxFetchBytes, "max-fetch-bytes", 0, "put at most this many `bytes` of records into an answer (default 55 MiB)")
	fs.IntVar(&o.MaxConnections, "max-connections", 0, "serve at most this `number` of connections (default 10,000)")
	fs.IntVar(&o.MaxInFlight, "max-in-flight", 0, "read at most this `number` of requests of a connection ahead (default 64)")
	fs.IntVar(&o.MaxBufferedBytes, "max-buffered-bytes", 0, "read at most this many `bytes` of requests of a connection ahead (default 32 MiB)")
	fs.DurationVar(&o.IdleTimeout, "idle-timeout", 0, "end connections that are silent for this `time` (default 10m)")
	fs.DurationVar(&o.WriteTimeout, "write-timeout", 0, "end connections whose client takes more `time` for a MiB of an answer, or of a request (default 30s)")
}

func printFlags(fs *flag.FlagSet, out io.Writer) {
	fmt.Fprintln(out, "samsa serve: serve Kafka clients until Ctrl-C")
	fs.VisitAll(func(f *flag.Flag) {
		name, text := flag.UnquoteUsage(f)
		fmt.Fprintf(out, "  --%s", f.Name)
		if !isBool(f.Value) {
			fmt.Fprintf(out, " %s", name)
		}
		fmt.Fprintf(out, "\n        %s", text)
		if !slices.Contains([]string{"", "false", "0", "0s"}, f.DefValue) {
			fmt.Fprintf(out, " (default %s)", f.DefValue)
		}
		fmt.Fprintln(out)
	})
}

// onceFlag is a flag that may be given once: which of two values is meant, nobody knows.
type onceFlag struct {
	flag.Value
	given bool
}

// Set sets the value, the first time.
func (o *onceFlag) Set(v string) error {
	if o.given {
		return fmt.Errorf("given twice, it was %s", o.Value)
	}
	o.given = true
	return o.Value.Set(v)
}

// IsBoolFlag reports whether the flag needs no value.
func (o *onceFlag) IsBoolFlag() bool { return isBool(o.Value) }

func isBool(v flag.Value) bool {
	b, ok := v.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// int32Flag is a flag of 32 bits, which package flag has not.
type int32Flag int32

// String returns the number.
func (n *int32Flag) String() string { return strconv.Itoa(int(*n)) }

// Set sets the number.
func (n *int32Flag) Set(v string) error {
	x, err := strconv.ParseInt(v, 10, 32)
	if err != nil {
		return fmt.Errorf("want a number of at most 2147483647")
	}
	*n = int32Flag(x)
	return nil
}

// delayFlag is a flag for a time of which none is -1 to the library, where 0 is the default.
type delayFlag time.Duration

// String returns the time.
func (d *delayFlag) String() string { return max(0, time.Duration(*d)).String() }

// Set sets the time.
func (d *delayFlag) Set(v string) error {
	x, err := time.ParseDuration(v)
	if err != nil || x < 0 {
		return errors.New("want a time like 3s, or 0")
	}
	if *d = delayFlag(x); x == 0 {
		*d = -1
	}
	return nil
}

// levelFlag is a flag for a level of the log.
type levelFlag struct{ *zapcore.Level }

// Set sets the level.
func (l levelFlag) Set(v string) error {
	if err := l.Level.Set(v); err != nil {
		return fmt.Errorf("want debug, info, warn or error")
	}
	return nil
}

// topicFlag is a topic to create.
type topicFlag struct {
	name       string
	partitions int // 0 means the default
}

// topicFlags is a flag that may come again, for another topic.
type topicFlags []topicFlag

// String returns nothing: there is no default to show.
func (t *topicFlags) String() string { return "" }

// Set adds a topic, name:partitions or a name alone.
func (t *topicFlags) Set(v string) error {
	name, count, counted := strings.Cut(v, ":")
	tf := topicFlag{name: name}
	if counted {
		n, err := strconv.Atoi(count)
		if err != nil || n < 1 {
			return fmt.Errorf("want name:partitions, with a number from 1 on")
		}
		tf.partitions = n
	}
	for _, other := range *t {
		if other.name == name {
			return fmt.Errorf("the topic %s is given twice", name)
		}
	}
	*t = append(*t, tf)
	return nil
}

// configFlags is a flag that may come again, for another config.
type configFlags struct {
	set   func(name, value string) error
	given []string
}

// String returns nothing: the defaults are Kafka's.
func (c *configFlags) String() string { return "" }

// Set sets a config, name=value.
func (c *configFlags) Set(v string) error {
	name, value, ok := strings.Cut(v, "=")
	if !ok {
		return errors.New("want name=value")
	}
	if slices.Contains(c.given, name) {
		return fmt.Errorf("%s is given twice", name)
	}
	c.given = append(c.given, name)
	return c.set(name, value)
}
