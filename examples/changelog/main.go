// Changelog is a table of keys and values whose only store is a compacted topic: every change
// is a record, and at start the table is rebuilt from the latest record of each key.
//
//	go run ./examples/changelog set color green
//	go run ./examples/changelog set color blue
//	go run ./examples/changelog get color
//	go run ./examples/changelog del color
//	go run ./examples/changelog list
//	go run ./examples/changelog compact     # superseded records go now, instead of by themselves
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/samsa-go/samsa"
)

const topic = "table"

func main() {
	data := flag.String("data", filepath.Join(os.TempDir(), "samsa-changelog"), "directory of the topic")
	flag.Parse()
	if err := run(context.Background(), *data, flag.Args(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "changelog:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string, args []string, out io.Writer) (err error) {
	b, err := samsa.Open(dir, samsa.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if _, err := b.Topics().Ensure(ctx, topic, samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact}); err != nil {
		return err
	}
	t := table{b: b, rows: make(map[string]string)}
	if err := t.load(ctx); err != nil {
		return err
	}
	return t.do(ctx, args, out)
}

// table is the latest value of each key.
type table struct {
	b       *samsa.Broker
	rows    map[string]string
	records int // read to rebuild it
}

// load rebuilds the table: a record sets its key, a tombstone removes it.
func (t *table) load(ctx context.Context) error {
	ends, err := t.b.ListOffsets(ctx, topic, samsa.Latest())
	if err != nil {
		return err
	}
	c, err := t.b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{topic}})
	if err != nil {
		return err
	}
	defer c.Close()
	tp := samsa.TopicPartition{Topic: topic}
	for {
		at, err := c.Position(tp)
		if err != nil || at >= ends[0].Offset {
			return err
		}
		recs, err := c.Poll(ctx)
		if err != nil {
			return err
		}
		t.records += len(recs)
		for _, rec := range recs {
			if rec.Value == nil {
				delete(t.rows, string(rec.Key))
			} else {
				t.rows[string(rec.Key)] = string(rec.Value)
			}
		}
	}
}

// do carries out one command.
func (t *table) do(ctx context.Context, args []string, out io.Writer) error {
	switch {
	case len(args) == 3 && args[0] == "set":
		return t.change(ctx, args[1], []byte(args[2]))
	case len(args) == 2 && args[0] == "del":
		return t.change(ctx, args[1], nil)
	case len(args) == 2 && args[0] == "get":
		value, ok := t.rows[args[1]]
		if !ok {
			return fmt.Errorf("no key %q", args[1])
		}
		fmt.Fprintln(out, value)
		return nil
	case len(args) == 1 && args[0] == "list":
		for _, key := range slices.Sorted(maps.Keys(t.rows)) {
			fmt.Fprintf(out, "%s = %s\n", key, t.rows[key])
		}
		fmt.Fprintf(out, "%d keys from %d records\n", len(t.rows), t.records)
		return nil
	case len(args) == 1 && args[0] == "compact":
		done, err := t.b.Sweep(ctx)
		fmt.Fprintf(out, "%d records removed\n", done.Records)
		return err
	}
	return errors.New("usage: changelog [-data dir] set KEY VALUE | get KEY | del KEY | list | compact")
}

func (t *table) change(ctx context.Context, key string, value []byte) error {
	_, err := t.b.Produce(ctx, samsa.Record{Topic: topic, Key: []byte(key), Value: value})
	return err
}
