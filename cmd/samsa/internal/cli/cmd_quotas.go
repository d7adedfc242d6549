package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/internal/api"
)

// quotas is the command for the quotas of a broker: by itself it lists them.
func (e *env) quotas() *cobra.Command {
	list := e.quotasList()
	cmd := &cobra.Command{
		Use:     "quotas",
		GroupID: groupAdmin,
		Short:   "List, set and delete quotas, how much clients may take",
		Long: `quotas is about how much the clients of a broker may take, of Samsa and of any Kafka cluster: producer_byte_rate, consumer_byte_rate,
request_percentage and controller_mutation_rate of users and client ids, connection_creation_rate of addresses.`,
		Example: `  samsa -d ./data quotas
  samsa -d ./data quotas set --user alice producer_byte_rate=1000000`,
		RunE: list.RunE,
	}
	cmd.AddCommand(list, e.quotasSet(), e.quotasDelete())
	return cmd
}

func (e *env) quotasList() *cobra.Command {
	part := func(kind string) func(api.Quota) string {
		return func(q api.Quota) string {
			for _, p := range q.Entity {
				if p.Type == kind && p.Default {
					return "(default)"
				} else if p.Type == kind {
					return p.Name
				}
			}
			return ""
		}
	}
	return &cobra.Command{
		Use:   "list",
		Short: "List the quotas",
		Long:  "list prints who has quotas, and which. The default is for all who have none of their own.",
		Example: `  samsa -d ./data quotas list --json
  samsa -b localhost:9092 quotas list`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.with(cmd.Context(), false, func(ctx context.Context, b backend.Backend) error {
				rows, err := b.Quotas(ctx)
				if err != nil {
					return err
				}
				return printList(e, "quotas", []column[api.Quota]{
					{"USER", part("user")}, {"CLIENT-ID", part("client-id")}, {"IP", part("ip")},
					{"QUOTAS", func(q api.Quota) string {
						var all []string
						for _, name := range slices.Sorted(maps.Keys(q.Limits)) {
							all = append(all, name+"="+strconv.FormatFloat(q.Limits[name], 'f', -1, 64))
						}
						return strings.Join(all, " ")
					}},
				}, rows)
			})
		},
	}
}

// quotaEntity defines whose quotas a command is about, and returns what reads it. Nobody is a usageError.
func quotaEntity(cmd *cobra.Command) func() ([]api.QuotaPart, error) {
	kinds := []string{"client-id", "ip", "user"}
	var names [3]string
	var defaults []string
	cmd.Flags().StringVar(&names[0], kinds[0], "", "the quotas are of clients that call themselves `id`, with --user of those of the user")
	cmd.Flags().StringVar(&names[1], kinds[1], "", "the quotas are of this `address`")
	cmd.Flags().StringVar(&names[2], kinds[2], "", "the quotas are of the user of this `name`")
	cmd.Flags().StringSliceVar(&defaults, "default", nil, "the quotas are the default of a `kind`: user, client-id, ip, or user,client-id")
	return func() (parts []api.QuotaPart, err error) {
		for i, kind := range kinds {
			if cmd.Flags().Changed(kind) {
				parts = append(parts, api.QuotaPart{Type: kind, Name: names[i]})
			}
		}
		for _, kind := range defaults {
			parts = append(parts, api.QuotaPart{Type: kind, Default: true})
		}
		if len(parts) == 0 {
			return nil, usageError{errors.New("whose quotas? Say --user NAME, --client-id ID, both, --ip ADDRESS or --default KIND")}
		}
		return parts, nil
	}
}

func (e *env) quotasSet() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set QUOTA=VALUE...",
		Short: "Set quotas of a user, a client id or an address",
		Long: `set sets quotas of whom the flags say: a user, a client id, a user with a client id, an address, or the default of one of these. Their other
quotas stay. They count at once.`,
		Example: `  samsa -d ./data quotas set --user alice --client-id app consumer_byte_rate=1e6
  samsa -b localhost:9092 quotas set --default user request_percentage=50 producer_byte_rate=1000000`,
		Args: cobra.MinimumNArgs(1),
	}
	entity := quotaEntity(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		parts, err := entity()
		if err != nil {
			return err
		}
		q := api.NewQuota{Entity: parts, Limits: make(map[string]*float64)}
		for _, arg := range args {
			name, text, _ := strings.Cut(arg, "=")
			value, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return usageError{fmt.Errorf("%q is no quota, want NAME=NUMBER", arg)}
			}
			q.Limits[name] = &value
		}
		return e.with(cmd.Context(), true, func(ctx context.Context, b backend.Backend) error {
			if err := b.SetQuotas(ctx, q); err != nil {
				return err
			}
			return e.say(done{Quota: &q, Done: "set"}, "set %s", strings.Join(args, " "))
		})
	}
	return cmd
}

func (e *env) quotasDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete [QUOTA...]",
		Short: "Delete quotas of a user, a client id or an address",
		Long:  "delete removes these quotas, or all, of whom the flags say.",
		Example: `  samsa -d ./data quotas delete --user alice producer_byte_rate --yes
  samsa -b localhost:9092 quotas delete --default ip --yes`,
		Args: cobra.ArbitraryArgs,
	}
	entity := quotaEntity(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		parts, err := entity()
		if err != nil {
			return err
		}
		if err := e.confirm(yes, "delete quotas"); err != nil {
			return err
		}
		return e.with(cmd.Context(), true, func(ctx context.Context, b backend.Backend) error {
			all, err := b.Quotas(ctx)
			if err != nil {
				return err
			}
			q := api.NewQuota{Entity: parts, Limits: make(map[string]*float64)}
			i := slices.IndexFunc(all, func(one api.Quota) bool { return slices.Equal(one.Entity, sortedParts(q.Entity)) })
			if i < 0 {
				return fmt.Errorf("%w entity: it has no quotas", samsa.ErrUnknown)
			}
			if len(args) == 0 {
				args = slices.Sorted(maps.Keys(all[i].Limits))
			}
			for _, name := range args {
				if _, has := all[i].Limits[name]; !has {
					return fmt.Errorf("%w quota: it has no %s", samsa.ErrUnknown, name)
				}
				q.Limits[name] = nil
			}
			if err := b.SetQuotas(ctx, q); err != nil {
				return err
			}
			return e.say(done{Quota: &q, Done: "deleted"}, "deleted %s", strings.Join(args, " "))
		})
	}
	yesFlag(cmd, &yes)
	return cmd
}

// sortedParts returns the parts in the order in which lists have them.
func sortedParts(parts []api.QuotaPart) []api.QuotaPart {
	return slices.SortedFunc(slices.Values(parts), func(a, b api.QuotaPart) int { return strings.Compare(a.Type, b.Type) })
}
