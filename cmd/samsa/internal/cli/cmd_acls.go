package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/kafka"
)

// acls is the command for the ACLs of a broker: by itself it lists them.
func (e *env) acls() *cobra.Command {
	list := e.aclsList()
	cmd := &cobra.Command{
		Use:     "acls",
		GroupID: groupAdmin,
		Short:   "List, add and delete ACLs, who may do what",
		Long: `acls is about who may do what with a broker that checks it: samsa serve --acls, and any Kafka cluster. With -d it is for a directory that no other
process has open; -b asks a broker.`,
		Example: `  samsa -d ./data acls
  samsa -d ./data acls add User:alice READ TOPIC orders`,
		RunE: list.RunE,
	}
	cmd.AddCommand(list, e.aclsAdd(), e.aclsDelete())
	return cmd
}

func (e *env) withACLs(ctx context.Context, write bool, f func(context.Context, backend.ACLs) error) error {
	return e.with(ctx, write, func(ctx context.Context, b backend.Backend) error {
		a, err := backend.AsACLs(b)
		if err != nil {
			return err
		}
		return f(ctx, a)
	})
}

// aclRow is an ACL as it is printed.
type aclRow struct {
	Permission string `json:"permission"`
	Principal  string `json:"principal"`
	Host       string `json:"host"`
	Operation  string `json:"operation"`
	Resource   string `json:"resource"`
	Name       string `json:"name"`
	Prefixed   bool   `json:"prefixed,omitempty"`
}

func (e *env) aclsList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the ACLs",
		Long:  "list prints the ACLs: whether each allows or denies, whom, from where, and what.",
		Example: `  samsa -d ./data acls list --json
  samsa -b localhost:9092 acls list`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.withACLs(cmd.Context(), false, func(ctx context.Context, a backend.ACLs) error {
				all, err := a.ACLs(ctx)
				if err != nil {
					return err
				}
				rows := []aclRow{}
				for _, a := range all {
					r := aclRow{"allow", a.Principal, a.Host, a.Operation, a.Resource, a.Name, a.Prefixed}
					if a.Deny {
						r.Permission = "deny"
					}
					if a.Host == "" {
						r.Host = "*"
					}
					rows = append(rows, r)
				}
				return printRows(e, []column[aclRow]{
					{"PERMISSION", func(r aclRow) string { return r.Permission }},
					{"PRINCIPAL", func(r aclRow) string { return r.Principal }},
					{"HOST", func(r aclRow) string { return r.Host }},
					{"OPERATION", func(r aclRow) string { return r.Operation }},
					{"RESOURCE", func(r aclRow) string { return r.Resource }},
					{"NAME", func(r aclRow) string { return r.Name }},
					{"PREFIX", func(r aclRow) string { return map[bool]string{true: "yes"}[r.Prefixed] }},
				}, rows)
			})
		},
	}
}

// aclArgs defines what an ACL is made of, and returns what reads it.
func aclArgs(cmd *cobra.Command) func(args []string) kafka.ACL {
	var a kafka.ACL
	cmd.Args = cobra.RangeArgs(3, 4)
	cmd.Flags().StringVar(&a.Host, "host", "", "the ACL is for clients at this `address`, or in this range like 10.0.0.0/8 (default any)")
	cmd.Flags().BoolVar(&a.Prefixed, "prefix", false, "NAME is the beginning of names")
	cmd.Flags().BoolVar(&a.Deny, "deny", false, "the ACL denies, which goes before all that allow")
	return func(args []string) kafka.ACL {
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
		return e.withACLs(cmd.Context(), true, func(ctx context.Context, a backend.ACLs) error { return a.CreateACL(ctx, read(args)) })
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
		if err := e.confirm(yes, "delete the ACL %s", one); err != nil {
			return err
		}
		return e.withACLs(cmd.Context(), true, func(ctx context.Context, a backend.ACLs) error {
			n, err := a.DeleteACL(ctx, one)
			if err == nil && n == 0 {
				err = fmt.Errorf("%w ACL: %s", samsa.ErrUnknown, one)
			}
			return err
		})
	}
	yesFlag(cmd, &yes)
	return cmd
}
