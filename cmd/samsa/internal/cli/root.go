// Package cli is the command line of samsa: its commands, what they print, and how they end.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

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
	return (&env{Surroundings: s, ctx: ctx}).run(args)
}

func (e *env) run(args []string) int {
	if out, ok := e.Stdout.(*os.File); ok && onTerminal(out) && onTerminal(e.Stderr) {
		e.Stdout = screen{out, e}
	}
	root := newRoot(e)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(e.ctx)
	if err == nil {
		return exitOK
	}
	if pipeBroken(err) {
		return exitPipe
	}
	fmt.Fprintf(e.Stderr, "%s: %s\n", cmd.CommandPath(), harmless([]byte(err.Error())))
	var usage usageError
	switch {
	case errors.Is(err, errNoCommand):
		fmt.Fprintf(e.Stderr, "\n%s", cmd.UsageString())
	case errors.As(err, &usage):
		fmt.Fprintf(e.Stderr, "%s -h tells how it is used.\n", cmd.CommandPath())
	}
	return code(err)
}

// Root returns the root of all commands, for who wants to know what there is.
func Root(s Surroundings) *cobra.Command {
	return newRoot(&env{Surroundings: s, ctx: context.Background()})
}

// env is what all commands share: their surroundings, and the flags that all have.
type env struct {
	Surroundings
	ctx     context.Context // of the command line
	json    bool
	address address

	doing    string                   // the command
	bar      atomic.Pointer[progress] // that is shown
	barAfter time.Duration            // 0 for progressAfter
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
		Version: readVersions().String(),

		PersistentPreRun: func(cmd *cobra.Command, _ []string) { e.doing = strings.TrimPrefix(cmd.CommandPath(), "samsa ") },

		SilenceErrors: true, SilenceUsage: true,
	}
	root.SetVersionTemplate("{{.Version}}\n")
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
	root.AddCommand(e.topics(), e.top(), e.produce(), e.consume(), e.mirror(), e.groups(), e.tables(), e.keys(), e.users(), e.acls(), e.quotas(), e.snapshot(), e.restore(), e.export(), e.importTopics(), e.backup(), e.verify(), e.repair(), e.dump(), e.fake(), e.sweep())
	root.AddCommand(helpTopics()...)
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	tidy(root)
	return root
}

// errNoCommand is the mistake of a command that only has others.
var errNoCommand = errors.New("which command?")

// nearby is how many letters may differ between what was typed and what was meant.
const nearby = 2

// tidy has a command and those below it treat mistakes alike.
func tidy(c *cobra.Command) {
	if c.Name() == "help" {
		c.Run, c.RunE = nil, help
		return
	}
	c.Args = usage(c.Args)
	if c.HasSubCommands() && !c.Runnable() {
		c.RunE = func(*cobra.Command, []string) error { return usageError{errNoCommand} }
	}
	c.SuggestionsMinimumDistance = nearby
	c.DisableFlagsInUseLine = true
	c.Flags().SortFlags = true
	c.Flags().VisitAll(func(f *pflag.Flag) { // what means "none" is no default that helps anybody
		if f.DefValue == "-1" {
			f.DefValue = "0"
		}
	})
	for _, sub := range c.Commands() {
		tidy(sub)
	}
}

// help shows the help of the command, or of the topic, that args name.
func help(cmd *cobra.Command, args []string) error {
	of, rest, err := cmd.Root().Find(args)
	if err != nil {
		return usageError{err}
	}
	if len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		return usageError{unknown(of, rest[0])}
	}
	return of.Help()
}

// unknown returns the error for a command that cmd does not have.
func unknown(cmd *cobra.Command, name string) error {
	if like := cmd.SuggestionsFor(name); len(like) > 0 {
		return fmt.Errorf("unknown command %q: did you mean %s?", name, strings.Join(like, " or "))
	}
	return fmt.Errorf("unknown command %q", name)
}

// usage makes mistakes in the arguments mistakes in the command line.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	if check == nil {
		check = cobra.NoArgs
	}
	return func(cmd *cobra.Command, args []string) error {
		err := check(cmd, args)
		if at := slices.Index(args, ""); err == nil && at >= 0 && cmd.Annotations[emptyArgument] == "" {
			return usageError{fmt.Errorf("argument %d is empty", at+1)}
		}
		if err == nil {
			return nil
		}
		first := ""
		if len(args) > 0 {
			first = args[0]
		}
		switch strange := strings.HasPrefix(err.Error(), "unknown command"); {
		case strange && cmd.HasSubCommands():
			err = unknown(cmd, first)
		case strange:
			err = fmt.Errorf("unexpected argument %q", first)
		default:
			err = fmt.Errorf("%s, want %s", got(len(args)), cmd.UseLine())
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Changed && f.Value.Type() == "bool" && (first == "true" || first == "false") {
				err = fmt.Errorf("unexpected argument %q (flags without a value are turned off by --%s=false)", first, f.Name)
			}
		})
		return usageError{err}
	}
}

// emptyArgument is the annotation of a command that an argument may be empty of: elsewhere that is a variable of a script that is not set.
const emptyArgument = "empty argument"

// got tells how many arguments there are.
func got(n int) string {
	if n == 0 {
		return "no arguments"
	}
	return plural(int64(n), "argument")
}

// onTerminal reports whether f, a stream of the process, is a terminal.
func onTerminal(f any) bool {
	if s, ok := f.(screen); ok {
		f = s.file
	}
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
