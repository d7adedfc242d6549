package cli

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/internal/api"
)

// tables is the command for tables: by itself it lists them.
func (e *env) tables() *cobra.Command {
	list := e.tablesList()
	cmd := &cobra.Command{
		Use:     "table",
		Aliases: []string{"tables"},
		GroupID: groupRecords,
		Short:   "List tables, and read their rows",
		Long: `table is about the latest record of each key of a topic, as programs have it in tables. It is for a broker of Samsa, -d or
--api, and knows the tables that are open in its process, and those with a name, which it keeps: one that nobody has open is as it was stored
last, which LAG tells.

A table is named by its NAME, or TOPIC/NAME, or TOPIC/group:GROUP, or by the topic alone if that is enough. A key on the command line is text, or
base64:... for bytes.`,
		Example: `  samsa -d ./data table
  samsa -d ./data table get balances gregor`,
		RunE: list.RunE,
	}
	cmd.AddCommand(list, e.tablesGet(), e.tablesRange())
	return cmd
}

// completeTables completes the first argument with names of tables.
func (e *env) completeTables() completed {
	return e.complete(1, func(ctx context.Context, b backend.Backend, begun string) (names []string, err error) {
		s, err := backend.AsSamsa(b, "tables")
		if err != nil {
			return nil, err
		}
		all, err := s.Tables(ctx)
		for _, t := range all {
			if name := t.String(); strings.HasPrefix(name, begun) {
				names = append(names, name)
			}
		}
		return names, err
	})
}

// table calls f with the table of that name.
func (e *env) table(ctx context.Context, name string, f func(context.Context, backend.Samsa, api.TableID) error) error {
	return e.samsa(ctx, false, "tables", func(ctx context.Context, s backend.Samsa) error {
		all, err := s.Tables(ctx)
		if err != nil {
			return err
		}
		id, err := api.FindTable(all, name)
		if err != nil {
			return err
		}
		return f(ctx, s, id)
	})
}

func (e *env) tablesList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the tables",
		Long: `list prints the tables that are open in the process of the broker, and those that it keeps, with how many rows and bytes they
have, and how many offsets they are behind.`,
		Example: `  samsa -d ./data table list
  samsa -d ./data table list --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.samsa(cmd.Context(), false, "tables", func(ctx context.Context, s backend.Samsa) error {
				all, err := s.Tables(ctx)
				if err != nil {
					return err
				}
				columns := []column[api.Table]{
					{"TABLE", func(t api.Table) string { return t.String() }},
					{">OPEN", func(t api.Table) string { return count(int64(t.Open)) }},
					{">ROWS", func(t api.Table) string { return count(t.Rows) }},
					{">BYTES", func(t api.Table) string { return count(t.Bytes) }},
					{">LAG", func(t api.Table) string { return count(t.Lag) }},
				}
				if slices.ContainsFunc(all, func(t api.Table) bool { return t.Error != nil }) {
					columns = append(columns, column[api.Table]{"ERROR", func(t api.Table) string { return message(t.Error) }})
				}
				return printList(e, "tables", columns, all)
			})
		},
	}
}

func (e *env) tablesGet() *cobra.Command {
	return &cobra.Command{
		Use:   "get TABLE KEY",
		Short: "Print the row of a key",
		Long:  "get prints the value of a key's row, its bytes and no more. With --json it is the whole record.",
		Example: `  samsa -d ./data table get balances gregor
  samsa -d ./data table get balances gregor --json`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: e.completeTables(),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := parseBytes(args[1])
			if err != nil {
				return usageError{err}
			}
			if key == nil {
				key = api.Bytes{}
			}
			return e.table(cmd.Context(), args[0], func(ctx context.Context, s backend.Samsa, id api.TableID) error {
				row, err := s.TableRow(ctx, id, key)
				if err != nil {
					return err
				}
				if e.json {
					return e.printJSON(row)
				}
				if onTerminal(e.Stdout) {
					row.Value = append(harmless(row.Value), '\n')
				}
				_, err = e.Stdout.Write(row.Value)
				return err
			})
		},
	}
}

func (e *env) tablesRange() *cobra.Command {
	var prefix, from, to string
	var r api.RowsRequest
	var limit int
	cmd := &cobra.Command{
		Use:   "range TABLE",
		Short: "Print rows in the order of their keys",
		Long: `range prints the rows of a table in the order of their keys' bytes. For people it shows the beginning of large values; --json prints the
records, a line each, as consume does. An error of a single row comes behind the others.`,
		Example: `  samsa -d ./data table range balances --prefix g
  samsa -d ./data table range balances --from g --to h --reverse -n 10 --json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: e.completeTables(),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			for _, b := range []struct {
				to   *api.Bytes
				text string
			}{{&r.Prefix, prefix}, {&r.From, from}, {&r.To, to}} {
				if *b.to, err = parseBytes(b.text); err != nil {
					return usageError{err}
				}
			}
			if !e.json {
				r.MaxValue = 4 * shownValue
			}
			return e.table(cmd.Context(), args[0], func(ctx context.Context, s backend.Samsa, id api.TableID) error {
				r.TableID = id
				rows := []api.Record{}
				replaced, err := eachRows(ctx, s, r, limit, func(page []api.Record) error {
					if e.json { // however many there are
						return printRows(e, nil, page)
					}
					rows = append(rows, page...)
					return nil
				})
				if err != nil || e.json {
					return cmp.Or(err, replaced)
				}
				err = printRows(e, []column[api.Record]{
					{"KEY", func(r api.Record) string { return shown(r.Key) }},
					{">PARTITION", func(r api.Record) string { return strconv.Itoa(int(r.Partition)) }},
					{">OFFSET", func(r api.Record) string { return count(r.Offset) }},
					{">BYTES", func(r api.Record) string { return count(int64(max(r.ValueSize, len(r.Value)))) }},
					{"VALUE", func(r api.Record) string { return shown(r.Value) }},
				}, rows)
				return cmp.Or(err, replaced)
			})
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&prefix, "prefix", "", "those only whose keys begin with this `text`")
	fs.StringVar(&from, "from", "", "from this `key` on")
	fs.StringVar(&to, "to", "", "those before this `key`")
	fs.BoolVar(&r.Reverse, "reverse", false, "the last keys first")
	fs.IntVarP(&limit, "limit", "n", 0, "at most this `number` (default all)")
	return cmd
}

// eachRows calls f with rows, a page at a time, at most limit of them if that is not 0. It returns what is wrong with one that has been replaced, too.
func eachRows(ctx context.Context, s backend.Samsa, r api.RowsRequest, limit int, f func([]api.Record) error) (replaced, err error) {
	for n := 0; ; {
		r.Limit = 1000
		if limit > 0 {
			r.Limit = min(r.Limit, limit-n)
		}
		p, err := s.TableRows(ctx, r)
		if err != nil {
			return replaced, err
		}
		if len(p.Replaced) > 0 && replaced == nil {
			replaced = &p.Replaced[0]
		}
		n += len(p.Rows)
		if err := f(p.Rows); err != nil || p.Next == nil || n == limit {
			return replaced, err
		}
		if r.Reverse {
			r.To = p.Next
		} else {
			r.From = p.Next
		}
	}
}
