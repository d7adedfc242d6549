package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/internal/api"
)

// consuming is a consume that is under way.
type consuming struct {
	e       *env
	topic   string
	from    positionFlag
	last    int64
	follow  bool
	until   bool
	number  int64
	parts   []int32
	key     string
	header  string
	text    string
	where   string
	print   string
	lines   lineFormat
	dirty   bool // uncommitted records too
	program *program
	shown   int64
	held    int64     // bytes of records that --last holds
	looked  *progress // records

	registry registryFlag
	decoding decoding
	decode   func(r api.Record, tell bool) (decoded, error)
}

func (e *env) consume() *cobra.Command {
	c := &consuming{e: e, from: positionFlag{api.Earliest(), time.Now}}
	cmd := &cobra.Command{
		Use:     "consume TOPIC",
		GroupID: groupRecords,
		Short:   "Print records of a topic",
		Long: `consume prints the records of a topic, from its beginning or from --from on, a line each, and waits for more until Ctrl-C; with
--until-now, --last or -n it ends by itself. It is no member of a group, and commits nothing.

A line is the value of the record, behind its key with --key-separator. With --json it is all of the record: what is printed then
samsa produce --json reads (samsa help formats). --where takes records for which an expression of jq is true, and --print has it
print what an expression makes of them; they see the record as --json prints it, but a value that is JSON as JSON.

With --registry, values in Avro, Protobuf or JSON Schema are printed as JSON (samsa help schemas).`,
		Example: `  samsa -b localhost:9092 consume web_log --until-now
  samsa -b localhost:9092 consume web_log --last 10 --json
  samsa -d ./data consume web_log --from -1h --until-now --where '.value.status >= 500' --print '.value.path'
  samsa -b localhost:9092 consume web_log --key gregor --header trace=a --until-now --key-separator :
  samsa -d ./data consume orders --until-now --registry http://localhost:8081
  samsa -b localhost:9092 consume web_log`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: e.completeTopics(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c.topic = args[0]
			err := c.check(cmd.Flags().Changed)
			if err != nil {
				return err
			}
			c.decoding.e = e
			if c.decoding.registry, err = c.registry.open(e, cmd.Flags().Changed("registry")); err != nil {
				return err
			}
			if c.decoding.registry != nil {
				defer c.decoding.registry.Close()
			} else if c.decoding.keys {
				return usageError{errNoRegistry}
			}
			err = e.with(cmd.Context(), false, c.run)
			return cmp.Or(err, c.decoding.result())
		},
	}
	fs := cmd.Flags()
	fs.Var(&c.from, "from", "begin at this `position` (samsa help positions)")
	fs.Int64Var(&c.last, "last", 0, "print the last `number` of records, the oldest first, and end, or with --follow go on")
	fs.BoolVarP(&c.follow, "follow", "f", false, "with --last, go on with what comes")
	fs.BoolVar(&c.until, "until-now", false, "end where the topic ends now")
	fs.Int64VarP(&c.number, "number", "n", 0, "end after this `number` of records")
	fs.Int32SliceVarP(&c.parts, "partition", "p", nil, "of this partition only, `number`s with commas")
	fs.StringVarP(&c.key, "key", "k", "", "those only with this `key`; base64:... for bytes")
	fs.StringVar(&c.header, "header", "", "those only with this header, `name` or name=value")
	fs.StringVar(&c.text, "contains", "", "those only with this `text` in their key, value or headers")
	fs.StringVar(&c.where, "where", "", "those only for which this `expression` of jq is true (samsa help expressions)")
	fs.StringVar(&c.print, "print", "", "print what this `expression` of jq makes of a record")
	fs.BoolVar(&c.dirty, "uncommitted", false, "records too of transactions that are open or were aborted")
	c.lines.define(fs)
	c.registry.define(cmd, "decode values")
	fs.BoolVar(&c.decoding.keys, "registry-keys", false, "decode keys too")
	return cmd
}

// check checks what was given, and compiles the expressions.
func (c *consuming) check(given func(string) bool) (err error) {
	switch {
	case c.last < 0 || c.number < 0 || given("last") && c.last == 0 || given("number") && c.number == 0:
		err = errors.New("--last and -n want a number from 1 on")
	case c.last > 0 && given("from"):
		err = errors.New("--last and --from exclude each other")
	case c.last > maxLast:
		err = fmt.Errorf("--last is %d, want at most %d", c.last, maxLast)
	case c.follow && c.last == 0:
		err = errors.New("--follow goes with --last; without it consume goes on by itself")
	case len(c.parts) > 0 && slices.Min(c.parts) < 0:
		err = errors.New("--partition wants numbers from 0 on")
	case c.from.Kind == api.ByShift:
		err = errors.New("--from shift: is for groups, which stand somewhere")
	default:
		err = c.lines.check(c.e.json)
	}
	if err == nil {
		c.program, err = compile(c.where, c.print)
	}
	if err != nil {
		return usageError{err}
	}
	return nil
}

var errEnough = errors.New("enough")

// run prints what is wanted.
func (c *consuming) run(ctx context.Context, b backend.Backend) error {
	r := api.FollowRequest{Topic: c.topic, Partitions: c.parts, From: c.from.Position, Until: c.until, Uncommitted: c.dirty}
	c.decode = func(r api.Record, tell bool) (decoded, error) { return c.decoding.decode(ctx, r, tell) }
	c.program.ctx = ctx
	key, err := parseBytes(c.key)
	if err != nil {
		return usageError{fmt.Errorf("--key: %w", err)}
	}
	r.Filter = api.Filter{Key: key, Header: c.header}
	if c.text != "" {
		r.Filter.Contains = api.Bytes(c.text)
	}
	endless := !c.until && c.number == 0 && (c.last == 0 || c.follow)
	if endless {
		c.e.bar.Load().end()
	} else {
		c.looked = c.e.progress(c.e.doing, 0, false)
	}
	if c.last > 0 {
		err = c.runLast(ctx, b, r)
	} else {
		err = b.Follow(ctx, r, c.show)
	}
	switch {
	case errors.Is(err, errEnough), endless && ctx.Err() != nil:
		return nil
	}
	return err
}

// show prints a record if the expression wants it.
func (c *consuming) show(r api.Record) error {
	wanted, err := c.wants(r)
	if err != nil || !wanted {
		return err
	}
	if err := c.printRecord(c.e.Stdout, r); err != nil {
		return err
	}
	if c.shown++; c.shown == c.number {
		return errEnough
	}
	return nil
}

// wants reports whether --where wants a record.
func (c *consuming) wants(r api.Record) (bool, error) {
	c.looked.add(1)
	if c.where == "" {
		return true, nil
	}
	d, err := c.decode(r, false)
	if err != nil {
		return false, err
	}
	return c.program.wants(d.Record)
}

func (c *consuming) printRecord(w io.Writer, r api.Record) error {
	d, err := c.decode(r, true)
	if err != nil {
		return err
	}
	if c.print != "" {
		return c.program.print(w, d.Record, c.e.json)
	}
	if c.e.json {
		return c.e.printJSON(d)
	}
	_, err = w.Write(c.lines.append(nil, d.Key, d.Value, onTerminal(w)))
	return err
}
