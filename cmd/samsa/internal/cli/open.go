package cli

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/internal/api"
)

// open returns the backend that the flags or the environment name. A directory that nobody has open is opened for reading only,
// unless write is set.
func (e *env) open(ctx context.Context, write bool) (backend.Backend, error) {
	a, err := e.address.resolve(e.Getenv)
	if err != nil {
		return nil, err
	}
	switch {
	case strings.HasPrefix(a.brokers, kafkaScheme):
		return backend.OpenKafkaURL(a.brokers)
	case a.brokers != "":
		return backend.OpenKafka(strings.Split(a.brokers, ","))
	case a.api != "":
		return api.NewClient(a.api)
	}
	return backend.OpenDir(ctx, a.dir, write)
}

// with calls f with the backend that the flags name, and closes it.
func (e *env) with(ctx context.Context, write bool, f func(context.Context, backend.Backend) error) error {
	e.progress(e.doing, 0, false)
	defer func() { e.bar.Load().end() }()
	b, err := e.open(ctx, write)
	if err != nil {
		return err
	}
	defer b.Close()
	return f(ctx, b)
}

// confirm returns nil when something may be done that cannot be undone: --yes was given, or who sits at the terminal says yes.
func (e *env) confirm(yes bool, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	if yes {
		return nil
	}
	if !onTerminal(e.Stdin) || !onTerminal(e.Stderr) {
		return fmt.Errorf("%w: to %s wants --yes where nobody can be asked", errRefused, what)
	}
	return e.ask(what)
}

// ask asks whether to do something.
func (e *env) ask(what string) error {
	e.bar.Load().end()
	fmt.Fprintf(e.Stderr, "%s%s? [y/N] ", strings.ToUpper(what[:1]), what[1:])
	answer, err := bufio.NewReader(newInput(e.ctx, e.Stdin)).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer == "y" || answer == "yes" {
		return nil
	}
	if err != nil {
		fmt.Fprintln(e.Stderr)
	}
	return fmt.Errorf("%w: nothing was done", errRefused)
}

// yesFlag defines --yes.
func yesFlag(cmd *cobra.Command, yes *bool) {
	cmd.Flags().BoolVarP(yes, "yes", "y", false, "do it without asking")
}

// completeWithin bounds how long a completion waits for a broker.
const completeWithin = 3 * time.Second

// completed is a function that completes names.
type completed = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective)

// completeTopics completes the first n arguments with names of topics.
func (e *env) completeTopics(n int) completed {
	return e.complete(n, func(ctx context.Context, b backend.Backend, begun string) (names []string, err error) {
		p, err := b.Topics(ctx, api.TopicsRequest{Prefix: begun, Internal: strings.HasPrefix(begun, "_")})
		for _, t := range p.Topics {
			names = append(names, t.Name)
		}
		return names, err
	})
}

// completeGroups completes the first n arguments with names of groups.
func (e *env) completeGroups(n int) completed {
	return e.complete(n, func(ctx context.Context, b backend.Backend, begun string) (names []string, err error) {
		p, err := b.Groups(ctx, api.GroupsRequest{Prefix: begun})
		for _, g := range p.Groups {
			names = append(names, g.Name)
		}
		return names, err
	})
}

func (e *env) complete(n int, list func(context.Context, backend.Backend, string) ([]string, error)) completed {
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
		defer cancel()
		var names []string
		err := e.with(ctx, false, func(ctx context.Context, b backend.Backend) (err error) {
			names, err = list(ctx, b, begun)
			return err
		})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// anyNumber completes any number of arguments.
const anyNumber = 1 << 20
