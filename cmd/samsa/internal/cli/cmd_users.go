package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/internal/api"
)

// users is the command for the users of a broker: by itself it lists them.
func (e *env) users() *cobra.Command {
	list := e.usersList()
	cmd := &cobra.Command{
		Use:     "users",
		GroupID: groupAdmin,
		Short:   "List, add and delete the users who may log in",
		Long: `users is about who may log in to a broker that asks: samsa serve --sasl, and any Kafka cluster, of which it is the users of SCRAM. Passwords are
read from the standard input, and are not kept: what is kept is what RFC 5802 says.`,
		Example: `  samsa -d ./data users
  echo "$PASSWORD" | samsa -d ./data users add alice`,
		RunE: list.RunE,
	}
	cmd.AddCommand(list, e.usersAdd(), e.usersDelete())
	return cmd
}

func (e *env) usersList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the users",
		Long:  "list prints the names of the users, and for which mechanisms each has a password.",
		Example: `  samsa -d ./data users list --json
  samsa -b localhost:9092 users list`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return e.with(cmd.Context(), false, func(ctx context.Context, b backend.Backend) error {
				users, err := b.Users(ctx)
				if err != nil {
					return err
				}
				return printList(e, "users", []column[api.User]{
					{"USER", func(u api.User) string { return u.Name }},
					{"MECHANISMS", func(u api.User) string { return strings.Join(u.Mechanisms, " ") }},
				}, users)
			})
		},
	}
}

func (e *env) usersAdd() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "add USER",
		Short: "Add a user, or give one another password",
		Long: `add reads a password, the first line of a file or of its standard input, and gives it to the user, who need not have been there. It counts from the
next login on.`,
		Example: `  samsa -d ./data users add alice --password-file password.txt
  echo "$PASSWORD" | samsa -b localhost:9092 users add alice`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			password, err := e.password(args[0], file)
			if err != nil {
				return err
			}
			return e.with(cmd.Context(), true, func(ctx context.Context, b backend.Backend) error {
				if err := b.SetUser(ctx, args[0], password); err != nil {
					return err
				}
				return e.say(done{User: args[0], Done: "set"}, "set the password of user %s", args[0])
			})
		},
	}
	cmd.Flags().StringVar(&file, "password-file", "", "read the password from this `file`, its first line")
	return cmd
}

// password reads a password, the first line of a file or of the standard input.
func (e *env) password(user, file string) (string, error) {
	var in io.Reader = newInput(e.ctx, e.Stdin)
	if file != "" {
		f, err := os.Open(file)
		if err != nil {
			return "", fmt.Errorf("%w: %w", samsa.ErrInvalidOption, err)
		}
		defer func() { _ = f.Close() }()
		in = f
	} else if onTerminal(e.Stdin) {
		fmt.Fprintf(e.Stderr, "Password of %s, which is shown: ", user)
	}
	line, _ := bufio.NewReader(in).ReadString('\n')
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", usageError{errors.New("there is no password")}
	}
	return line, nil
}

func (e *env) usersDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "delete USER",
		Short:   "Delete a user",
		Long:    "delete takes a user's passwords away. Connections that he has stay.",
		Example: "  samsa -d ./data users delete alice --yes",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := e.confirm(yes, "delete user %s", args[0]); err != nil {
				return err
			}
			return e.with(cmd.Context(), true, func(ctx context.Context, b backend.Backend) error {
				if err := b.DeleteUser(ctx, args[0]); err != nil {
					return err
				}
				return e.say(done{User: args[0], Done: "deleted"}, "deleted user %s", args[0])
			})
		},
	}
	yesFlag(cmd, &yes)
	return cmd
}
