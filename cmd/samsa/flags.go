package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/samsa-go/samsa/kafka"
)

// flags is what the command line of serve says.
type flags struct {
	listen     string
	data       string // "" with memory
	memory     bool
	autoCreate bool
	topics     topicFlags
	kafka      kafka.Options
}

const defaultData = "./data"

// parseFlags reads the flags of serve. It prints them to out and returns flag.ErrHelp when
// they are asked for.
func parseFlags(args []string, out io.Writer) (flags, error) {
	var f flags
	var nodeID int
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // errors are told once, by the caller
	fs.StringVar(&f.listen, "listen", "127.0.0.1:9092", "serve at this `host:port`; port 0 means any that is free")
	fs.StringVar(&f.data, "data", "", "keep the data in this `directory` (default "+defaultData+")")
	fs.BoolVar(&f.memory, "memory", false, "keep the data in memory, until the end")
	fs.Var(&f.topics, "topic", "create this topic, `name:partitions` or a name alone, unless it is there; repeatable")
	fs.BoolVar(&f.autoCreate, "auto-create", false, "create topics that clients name and that do not exist")
	fs.StringVar(&f.kafka.Advertise, "advertise", "", "tell clients to find the broker at this `host:port` (default: where each has reached it)")
	fs.IntVar(&nodeID, "node-id", 1, "be the node of this `number`, from 1 on")
	fs.BoolVar(&f.kafka.AllowRemote, "allow-remote", false, "allow --listen at an address that other machines reach; there is no authentication")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			printFlags(fs, out)
		}
		return f, err
	}
	var errs []error
	if fs.NArg() > 0 {
		errs = append(errs, fmt.Errorf("unexpected argument %q", fs.Arg(0)))
	}
	if f.memory && f.data != "" {
		errs = append(errs, fmt.Errorf("--memory and --data %s exclude each other", f.data))
	}
	if nodeID < 1 || nodeID > 1<<31-1 {
		errs = append(errs, fmt.Errorf("--node-id is %d, want 1 to 2147483647", nodeID))
	}
	f.kafka.NodeID = int32(nodeID)
	if !f.memory && f.data == "" {
		f.data = defaultData
	}
	return f, errors.Join(errs...)
}

func printFlags(fs *flag.FlagSet, out io.Writer) {
	fmt.Fprintln(out, "samsa serve: serve Kafka clients until Ctrl-C")
	fs.VisitAll(func(f *flag.Flag) {
		name, text := flag.UnquoteUsage(f)
		fmt.Fprintf(out, "  --%s", f.Name)
		if name != "" {
			fmt.Fprintf(out, " %s", name)
		}
		fmt.Fprintf(out, "\n        %s", text)
		if f.DefValue != "" && f.DefValue != "false" {
			fmt.Fprintf(out, " (default %s)", f.DefValue)
		}
		fmt.Fprintln(out)
	})
}

// topicFlag is a topic to create.
type topicFlag struct {
	name       string
	partitions int // 0 means the default
}

// topicFlags is a flag that may come again.
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
	*t = append(*t, tf)
	return nil
}
