package cli

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/internal/api"
)

// keys is the command for the application's own keys: by itself it lists them.
func (e *env) keys() *cobra.Command {
	list := e.keysList()
	cmd := &cobra.Command{
		Use:     "keys",
		GroupID: groupAdmin,
		Short:   "List, get, set and delete the application's own keys",
		Long: `keys is about the keys that a program keeps in its broker beside the records. It is for a broker of Samsa, -d or --api. A key on the command line
is text, or base64:... for bytes; so is a value. What writes wants --write, as the values are the program's.`,
		Example: `  samsa -d ./data keys
  samsa -d ./data keys get balance/gregor`,
		RunE: list.RunE,
	}
	cmd.Flags().AddFlagSet(list.Flags())
	cmd.AddCommand(list, e.keysGet(), e.keysSet(), e.keysDelete())
	return cmd
}

// samsa calls f with the backend that the flags name, which must be a broker of Samsa.
func (e *env) samsa(ctx context.Context, write bool, what string, f func(context.Context, backend.Samsa) error) error {
	return e.with(ctx, write, func(ctx context.Context, b backend.Backend) error {
		s, err := backend.AsSamsa(b, what)
		if err != nil {
			return err
		}
		return f(ctx, s)
	})
}

// shownValue is how many bytes of a value a table shows.
const shownValue = 60

func (e *env) keysList() *cobra.Command {
	var prefix, after string
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the keys",
		Long:  "list prints the keys and their values, in the order of the keys' bytes. A table shows the beginning of large values, --json all of them.",
		Example: `  samsa -d ./data keys list --prefix balance/
  samsa -d ./data keys list --after balance/gregor --limit 10 --json`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			var r api.KeysRequest
			if r.Prefix, err = parseBytes(prefix); err == nil {
				r.After, err = parseBytes(after)
			}
			if err != nil {
				return usageError{err}
			}
			if !e.json {
				r.MaxValue = 4 * shownValue
			}
			return e.samsa(cmd.Context(), false, "keys", func(ctx context.Context, s backend.Samsa) error {
				if e.json { // however many there are
					return eachKeys(ctx, s, r, limit, func(page []api.KeyValue) error { return printRows(e, nil, page) })
				}
				rows := []api.KeyValue{}
				err := eachKeys(ctx, s, r, limit, func(page []api.KeyValue) error {
					rows = append(rows, page...)
					return nil
				})
				if err != nil {
					return err
				}
				return printList(e, "keys", []column[api.KeyValue]{
					{"KEY", func(kv api.KeyValue) string { return shown(kv.Key) }},
					{">BYTES", func(kv api.KeyValue) string { return count(int64(max(kv.ValueSize, len(kv.Value)))) }},
					{"VALUE", func(kv api.KeyValue) string { return shown(kv.Value) }},
				}, rows)
			})
		},
	}
	cmd.Flags().StringVar(&prefix, "prefix", "", "those only that begin with this `text`")
	cmd.Flags().StringVar(&after, "after", "", "those only behind this `key`")
	cmd.Flags().IntVar(&limit, "limit", 0, "at most this `number` (default all)")
	return cmd
}

// eachKeys calls f with keys, a page at a time, at most limit of them if that is not 0.
func eachKeys(ctx context.Context, s backend.Samsa, r api.KeysRequest, limit int, f func([]api.KeyValue) error) error {
	for n := 0; ; {
		r.Limit = 1000
		if limit > 0 {
			r.Limit = min(r.Limit, limit-n)
		}
		p, err := s.Keys(ctx, r)
		if err != nil {
			return err
		}
		n += len(p.Keys)
		if err := f(p.Keys); err != nil || p.Next == nil || n == limit {
			return err
		}
		r.After = p.Next
	}
}

// shown returns bytes as a cell of a table shows them: their beginning as text, or in base64.
func shown(b api.Bytes) string {
	cut := ""
	if len(b) > shownValue {
		b, cut = b[:shownValue], "..."
		for len(b) > shownValue-utf8.UTFMax && !utf8.Valid(b) {
			b = b[:len(b)-1]
		}
	}
	if !utf8.Valid(b) || strings.ContainsFunc(string(b), unicode.IsControl) {
		return "base64:" + base64.StdEncoding.EncodeToString(b) + cut
	}
	return string(b) + cut
}

func (e *env) keysGet() *cobra.Command {
	return &cobra.Command{
		Use:   "get KEY",
		Short: "Print the value of a key",
		Long:  "get prints the value of a key, its bytes and no more. With --json it is an object with the key.",
		Example: `  samsa -d ./data keys get balance/gregor
  samsa -d ./data keys get balance/gregor --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := parseBytes(args[0])
			if err != nil {
				return usageError{err}
			}
			return e.samsa(cmd.Context(), false, "keys", func(ctx context.Context, s backend.Samsa) error {
				kv, err := s.Key(ctx, key)
				if err != nil {
					return err
				}
				if e.json {
					return e.printJSON(kv)
				}
				if onTerminal(e.Stdout) {
					kv.Value = append(harmless(kv.Value), '\n')
				}
				_, err = e.Stdout.Write(kv.Value)
				return err
			})
		},
	}
}

var errNoWrite = fmt.Errorf("%w: the keys are the program's: to change one give --write", errRefused)

func writeFlag(cmd *cobra.Command, write *bool) {
	cmd.Flags().BoolVar(write, "write", false, "change keys that are a program's")
}

func (e *env) keysSet() *cobra.Command {
	var write bool
	cmd := &cobra.Command{
		Use:   "set KEY [VALUE]",
		Short: "Set the value of a key",
		Long:  "set gives a key a value: the one of the command line, or all of stdin. It wants --write.",
		Example: `  samsa -d ./data keys set balance/gregor 100 --write
  echo '{"to":"grete"}' | samsa -d ./data keys set orders/1 --write`,
		Args:        cobra.RangeArgs(1, 2),
		Annotations: map[string]string{emptyArgument: "value"},
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := parseBytes(args[0])
			var value api.Bytes
			switch {
			case err != nil:
			case len(args) == 2 && args[1] == "":
				value = api.Bytes{}
			case len(args) == 2:
				value, err = parseBytes(args[1])
			}
			switch {
			case err != nil:
				return usageError{err}
			case !write:
				return errNoWrite
			case len(args) == 1:
				value, err = io.ReadAll(io.LimitReader(newInput(cmd.Context(), e.Stdin), maxLine+1))
				if err == nil && len(value) > maxLine {
					err = fmt.Errorf("%w: the value has more than %d bytes", samsa.ErrTooLarge, maxLine)
				}
				if err != nil {
					return err
				}
			}
			return e.samsa(cmd.Context(), true, "keys", func(ctx context.Context, s backend.Samsa) error {
				if err := s.SetKey(ctx, key, value); err != nil {
					return err
				}
				return e.say(done{Key: key, Done: "set"}, "set key %s", shown(key))
			})
		},
	}
	writeFlag(cmd, &write)
	return cmd
}

func (e *env) keysDelete() *cobra.Command {
	var write, yes bool
	cmd := &cobra.Command{
		Use:     "delete KEY...",
		Short:   "Delete keys",
		Long:    "delete removes keys, which must be there. It wants --write, and asks first; in a script give --yes.",
		Example: `  samsa -d ./data keys delete balance/gregor --write --yes`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !write {
				return errNoWrite
			}
			return e.samsa(cmd.Context(), true, "keys", func(ctx context.Context, s backend.Samsa) error {
				if err := e.confirm(yes, "delete %s", plural(int64(len(args)), "key")); err != nil {
					return err
				}
				for _, a := range args {
					key, err := parseBytes(a)
					if err != nil {
						return usageError{err}
					}
					if _, err = s.Key(ctx, key); err == nil {
						err = s.DeleteKey(ctx, key)
					}
					if err == nil {
						err = e.say(done{Key: key, Done: "deleted"}, "deleted key %s", shown(key))
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	writeFlag(cmd, &write)
	yesFlag(cmd, &yes)
	return cmd
}
