// Package cli is the command line of samsa: its commands, what they print, and how they end.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// Surroundings is what a command has to do with.
type Surroundings struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
}

// Run carries out a command line and returns what the process is to end with. What has no end of its own goes on until ctx ends.
func Run(ctx context.Context, args []string, s Surroundings) int {
	e := &env{Surroundings: s}
	root := newRoot(e)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(s.Stderr, "%s: %v\n", cmd.CommandPath(), err)
	var usage usageError
	if errors.As(err, &usage) {
		if cmd == root {
			fmt.Fprintf(s.Stderr, "\n%s", root.UsageString())
		} else {
			fmt.Fprintf(s.Stderr, "%s -h tells how it is used.\n", cmd.CommandPath())
		}
	}
	return code(err)
}

// Root returns the root of all commands, for who wants to know what there is.
func Root(s Surroundings) *cobra.Command { return newRoot(&env{Surroundings: s}) }

// env is what all commands share: their surroundings, and the flags that all have.
type env struct {
	Surroundings
	json    bool
	address address
}

// Groups of commands, as the help shows them.
const (
	groupServe   = "serve"
	groupRecords = "records"
	groupAdmin   = "admin"
	groupData    = "data"
	groupSelf    = "self"
)

func newRoot(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:   "samsa",
		Short: "Kafka semantics in a process, from the command line",
		Long: `samsa serves a broker to Kafka clients, and looks at, feeds and mends what a broker or any Kafka cluster holds.

Most commands want to know where: -d for the directory of a broker's data, -b for Kafka brokers, or SAMSA in the environment.`,
		Example: `  samsa serve --data ./data --topic web_log:3
  samsa -d ./data topics
  samsa -b localhost:9092 consume web_log --last 10`,
		Args: usage(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error { return usageError{errors.New("which command?")} },

		SilenceErrors: true, SilenceUsage: true,
	}
	root.SetIn(e.Stdin)
	root.SetOut(e.Stdout)
	root.SetErr(e.Stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	fs := root.PersistentFlags()
	e.address.define(fs)
	fs.BoolVar(&e.json, "json", false, "print JSON, a line each")
	root.AddGroup(
		&cobra.Group{ID: groupServe, Title: "A broker:"},
		&cobra.Group{ID: groupRecords, Title: "Records:"},
		&cobra.Group{ID: groupAdmin, Title: "Administration:"},
		&cobra.Group{ID: groupData, Title: "The data on the disk:"},
		&cobra.Group{ID: groupSelf, Title: "The command itself:"},
	)
	root.SetHelpCommandGroupID(groupSelf)
	root.SetCompletionCommandGroupID(groupSelf)
	root.AddCommand(e.serve(), e.config(), e.version(), e.doctor(), e.bench(), e.man())
	root.AddCommand(e.topics(), e.top(), e.produce(), e.consume(), e.groups(), e.keys(), e.snapshot(), e.restore(), e.export(), e.importTopics(), e.backup(), e.verify(), e.repair(), e.dump())
	root.AddCommand(helpTopics()...)
	for _, c := range root.Commands() {
		tidy(c)
	}
	return root
}

// tidy has a command and those below it treat mistakes alike.
func tidy(c *cobra.Command) {
	c.Args = usage(c.Args)
	c.DisableFlagsInUseLine = true
	c.Flags().SortFlags = true
	for _, sub := range c.Commands() {
		tidy(sub)
	}
}

// usage makes mistakes in the arguments mistakes in the command line.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	if check == nil {
		check = cobra.NoArgs
	}
	return func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		if err == nil {
			return nil
		}
		first := ""
		if len(args) > 0 {
			first = args[0]
		}
		if strings.HasPrefix(err.Error(), "unknown command") && !cmd.HasSubCommands() {
			err = fmt.Errorf("unexpected argument %q", first)
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Changed && f.Value.Type() == "bool" && (first == "true" || first == "false") {
				err = fmt.Errorf("unexpected argument %q (flags without a value are turned off by --%s=false)", first, f.Name)
			}
		})
		return usageError{err}
	}
}

// onTerminal reports whether f, a stream of the process, is a terminal.
func onTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
