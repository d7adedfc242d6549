package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/internal/api"
)

// acls is the command for the ACLs of a broker: by itself it lists them.
func (e *env) acls() *cobra.Command {
	list := e.aclsList()
	cmd := &cobra.Command{
		Use:     "acls",
		GroupID: groupAdmin,
		Short:   "List, add and delete ACLs, who may do what",
		Long:    "acls is about who may do what with a broker that checks it: samsa serve --acls, and any Kafka cluster.",
		Example: `  samsa -d ./data acls
  samsa -d ./data acls add User:alice READ TOPIC orders`,
		RunE: list.RunE,
	}
	cmd.AddCommand(list, e.aclsAdd(), e.aclsDelete())
	return cmd
}

func (e *env) aclsList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the ACLs",
		Long:  "list prints the ACLs: whether each allows or denies, whom, from where, and what.",
		Example: `  samsa -d ./data acls list --json
  samsa -b localhost:9092 acls list`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.with(cmd.Context(), false, func(ctx context.Context, b backend.Backend) error {
				rows, err := b.ACLs(ctx)
				if err != nil {
					return err
				}
				return printList(e, "ACLs", []column[api.ACL]{
					{"PERMISSION", func(r api.ACL) string { return r.Permission }},
					{"PRINCIPAL", func(r api.ACL) string { return r.Principal }},
					{"HOST", func(r api.ACL) string { return r.Host }},
					{"OPERATION", func(r api.ACL) string { return r.Operation }},
					{"RESOURCE", func(r api.ACL) string { return r.Resource }},
					{"NAME", func(r api.ACL) string { return r.Name }},
					{"PREFIX", func(r api.ACL) string { return map[bool]string{true: "yes"}[r.Prefixed] }},
				}, rows)
			})
		},
	}
}

// aclArgs defines what an ACL is made of, and returns what reads it.
func aclArgs(cmd *cobra.Command) func(args []string) api.ACL {
	a, deny := api.ACL{Permission: api.Allow}, false
	cmd.Args = cobra.RangeArgs(3, 4)
	cmd.Flags().StringVar(&a.Host, "host", "", "the ACL is for clients at this `address`, or in this range like 10.0.0.0/8 (default any)")
	cmd.Flags().BoolVar(&a.Prefixed, "prefix", false, "NAME is the beginning of names")
	cmd.Flags().BoolVar(&deny, "deny", false, "the ACL denies, which goes before all that allow")
	return func(args []string) api.ACL {
		if deny {
			a.Permission = api.Deny
		}
		if a.Principal, a.Operation, a.Resource = args[0], args[1], args[2]; len(args) > 3 {
			a.Name = args[3]
		}
		return a
	}
}

func (e *env) aclsAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add PRINCIPAL OPERATION RESOURCE [NAME]",
		Short: "Add an ACL",
		Long: `add adds an ACL, which may be there already. PRINCIPAL is as User:alice, or User:* for everybody; OPERATION is READ, WRITE, ALL or another
of Kafka's; RESOURCE is TOPIC, GROUP, TRANSACTIONAL_ID, or CLUSTER, which has no NAME. The NAME * is all.`,
		Example: `  samsa -d ./data acls add User:alice READ TOPIC orders --prefix
  samsa -b localhost:9092 acls add User:alice ALTER CLUSTER --deny`,
	}
	read := aclArgs(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		one := read(args)
		return e.with(cmd.Context(), true, func(ctx context.Context, b backend.Backend) error {
			if err := b.CreateACL(ctx, one); err != nil {
				return err
			}
			return e.say(done{ACL: &one, Done: "added"}, "added ACL %s %s", one.Permission, strings.Join(args, " "))
		})
	}
	return cmd
}

func (e *env) aclsDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "delete PRINCIPAL OPERATION RESOURCE [NAME]",
		Short:   "Delete an ACL",
		Long:    "delete removes the very ACL that add with the same arguments adds.",
		Example: "  samsa -d ./data acls delete User:alice READ TOPIC orders --prefix --yes",
	}
	read := aclArgs(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		one := read(args)
		if err := e.confirm(yes, "delete the ACL %s %s", one.Permission, strings.Join(args, " ")); err != nil {
			return err
		}
		return e.with(cmd.Context(), true, func(ctx context.Context, b backend.Backend) error {
			if err := b.DeleteACL(ctx, one); err != nil {
				return err
			}
			return e.say(done{ACL: &one, Done: "deleted"}, "deleted ACL %s %s", one.Permission, strings.Join(args, " "))
		})
	}
	yesFlag(cmd, &yes)
	return cmd
}
