package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/internal/api"
)

func (e *env) export() *cobra.Command {
	return &cobra.Command{
		Use:     "export TOPIC...",
		GroupID: groupData,
		Short:   "Write topics to stdout, for import",
		Long: `export writes one moment of topics to stdout, their configs and records and the offsets that groups have committed in them, while the broker
goes on. It is a snapshot of these topics alone: samsa import takes them into another broker, and samsa restore makes a directory of them.
It is for a broker of Samsa, -d or --api.`,
		Example: `  samsa -d ./data export web_log orders > topics.samsa
  samsa -d ./data export web_log | gzip > web_log.samsa.gz`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: e.completeTopics(anyNumber),
		RunE: func(cmd *cobra.Command, args []string) error {
			if onTerminal(e.Stdout) {
				return usageError{errors.New("it is not for a terminal: give > FILE")}
			}
			return e.samsa(cmd.Context(), false, "an export", func(ctx context.Context, s backend.Samsa) error {
				p := e.progress("export", 0, true)
				defer p.end()
				return s.Snapshot(ctx, api.SnapshotRequest{Topics: args}, beside(e.Stdout, p))
			})
		},
	}
}

// imported is what was taken.
type imported struct {
	Bytes int64 `json:"bytes"` // of the snapshot
}

func (e *env) importTopics() *cobra.Command {
	var r api.ImportRequest
	var as []string
	cmd := &cobra.Command{
		Use:     "import [FILE]",
		GroupID: groupData,
		Short:   "Take topics of an export or a snapshot",
		Long: `import reads what samsa export or samsa snapshot has written, from FILE or stdin, and takes its topics, or those of --topic, into a broker:
configs, and records at the offsets that they have. All is checked before anything is changed. A topic that is there already is refused, with exit
code 4: --as gives it another name. It is for a broker of Samsa, -d or --api.`,
		Example: `  samsa -d ./data import --as web_log=web_log.old --topic web_log backup.samsa
  gunzip < backup.samsa.gz | samsa -d ./data import --as orders=orders.old --topic orders --offsets`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if r.As, err = newNames(as); err != nil {
				return err
			}
			return e.importFrom(cmd.Context(), append(args, "-")[0], r)
		},
	}
	fs := cmd.Flags()
	fs.StringArrayVar(&as, "as", nil, "let the topic OLD get the name NEW, `OLD=NEW`; repeatable")
	fs.StringArrayVar(&r.Topics, "topic", nil, "take this `topic` alone; repeatable")
	fs.BoolVar(&r.Offsets, "offsets", false, "take the offsets of groups, too")
	return cmd
}

// newNames reads what --as says.
func newNames(as []string) (map[string]string, error) {
	names := make(map[string]string)
	for _, text := range as {
		from, to, ok := strings.Cut(text, "=")
		if !ok || from == "" || to == "" {
			return nil, usageError{fmt.Errorf("--as %s: want OLD=NEW", text)}
		}
		if names[from] != "" {
			return nil, usageError{fmt.Errorf("--as %s: %s gets the name %s already", text, from, names[from])}
		}
		names[from] = to
	}
	return names, nil
}

// importFrom imports what a file has; - is stdin.
func (e *env) importFrom(ctx context.Context, file string, r api.ImportRequest) error {
	in, total := e.Stdin, int64(0)
	if file != "-" {
		f, err := openFile(ctx, file)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		if info, err := f.Stat(); err == nil {
			total = info.Size()
		}
		in = f
	}
	return e.samsa(ctx, true, "an import", func(ctx context.Context, s backend.Samsa) error {
		p := e.progress("import", total, true)
		defer p.end()
		counted := &counter{r: newInput(ctx, in), p: p}
		if err := s.Import(ctx, r, counted); err != nil {
			return err
		}
		p.end()
		return e.say(imported{counted.n}, "imported %s", size(counted.n))
	})
}
