package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/backup"
	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/internal/api"
)

// backup is the command for backups in a folder or a bucket.
func (e *env) backup() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "backup",
		GroupID: groupData,
		Short:   "Keep a copy of a directory elsewhere, and restore it to a moment",
		Long: `backup keeps a copy of a directory of data in a folder, from which any moment since it began can be restored. samsa serve --backup FOLDER keeps
it up to date each second while it runs; backup run does so once, or until Ctrl-C, for a directory that a broker has open or not.

Wherever a folder is wanted it may be s3://BUCKET/PREFIX instead: a bucket of Amazon S3, or of another store at AWS_ENDPOINT_URL. The other usual
variables count: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_PROFILE, AWS_REGION.`,
		Example: `  samsa -d ./data backup run ./copy
  samsa backup list ./backup`,
	}
	cmd.AddCommand(e.backupRun(), e.backupList(), e.backupRestore(), e.backupVerify(), e.backupPrune())
	return cmd
}

func (e *env) backupRun() *cobra.Command {
	follow := false
	cmd := &cobra.Command{
		Use:   "run FOLDER",
		Short: "Bring the copy in a folder up to date",
		Long: `run copies what is new in a directory of data into a folder, and ends; with --follow it goes on, each second, until Ctrl-C. The first time that is
all of it. A broker that has the directory open goes on meanwhile, and keeps what the copy does not have yet. It is for a broker of Samsa, -d or
--api.`,
		Example: `  samsa -d ./data backup run ./copy`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.samsa(cmd.Context(), true, "a backup", func(ctx context.Context, b backend.Samsa) error {
				target, err := backend.OpenTarget(args[0], e.Getenv)
				if err != nil {
					return usageError{err}
				}
				return e.runBackup(ctx, b.Backups(), target, args[0], follow)
			})
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until Ctrl-C")
	return cmd
}

// runBackup copies from src into a target of that name. An error of the target ends it, unless it is to go on.
func (e *env) runBackup(ctx context.Context, src backup.Source, target backup.Target, name string, follow bool) error {
	p := e.progress("backup", 0, true)
	defer p.end()
	run, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var s backup.Status
	o := backup.Options{UntilNow: !follow, Status: func(now backup.Status) {
		p.add(now.Bytes + now.BaseBytes - s.Bytes - s.BaseBytes)
		if s = now; s.Err == nil {
			return
		}
		if !follow {
			fail(s.Err)
			return
		}
		fmt.Fprintf(e.Stderr, "%s: %v\n", name, s.Err)
	}}
	err := backup.Run(run, src, target, o)
	switch {
	case follow && ctx.Err() != nil: // that is its end
	case err != nil && s.Err != nil && !follow:
		return s.Err
	case err != nil:
		return err
	}
	p.end()
	return e.say(s, "%s has all commits up to %d", name, s.Copied.Commit)
}

func (e *env) backupList() *cobra.Command {
	return &cobra.Command{
		Use:   "list FOLDER",
		Short: "Show which moments a backup has",
		Long:  "list prints the generations of a backup: each is an unbroken history, of which any moment can be restored.",
		Example: `  samsa backup list ./backup
  samsa backup list ./backup --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := backend.OpenTarget(args[0], e.Getenv)
			if err != nil {
				return usageError{err}
			}
			defer e.progress(e.doing, 0, false).end()
			spans, err := backup.List(cmd.Context(), target)
			if err == nil && len(spans) == 0 {
				err = fmt.Errorf("%w: there is no backup in %s", errNotFound, args[0])
			}
			if err != nil {
				return err
			}
			return printRows(e, []column[backup.Span]{
				{"GENERATION", func(s backup.Span) string { return s.Generation }},
				{"FROM", func(s backup.Span) string { return moment(api.At(s.From.Time)) }},
				{"UNTIL", func(s backup.Span) string { return moment(api.At(s.Until.Time)) }},
				{">COMMITS", func(s backup.Span) string { return fmt.Sprintf("%d-%d", s.From.Commit, s.Until.Commit) }},
				{">BYTES", func(s backup.Span) string { return size(s.Bytes) }},
				{"MISSING", func(s backup.Span) string { return s.Missing }},
			}, spans)
		},
	}
}

func (e *env) backupRestore() *cobra.Command {
	var at string
	var m backup.Moment
	cmd := &cobra.Command{
		Use:   "restore FOLDER DIRECTORY",
		Short: "Make a directory of a moment of a backup",
		Long: `restore makes a directory, which must be missing or empty, of what a broker had at a moment, the newest unless --at or --commit says another.
All that it reads is checked; what is damaged or missing is told, with exit code 7, and leaves no directory.`,
		Example: `  samsa backup restore ./backup ./again
  samsa backup restore ./backup ./again --at +1h`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("commit") && m.Commit == 0 {
				return usageError{errors.New("--commit 0: commits begin with 1")}
			}
			if cmd.Flags().Changed("at") {
				t, ok := parseMoment(at, time.Now())
				if !ok || t.IsZero() { // which would be the newest
					return usageError{fmt.Errorf("--at %s: want a time (samsa help positions)", at)}
				}
				m.Time = t
			}
			return e.restoreMoment(cmd.Context(), args[0], args[1], m)
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "as it was at this `time` (samsa help positions)")
	cmd.Flags().Uint64Var(&m.Commit, "commit", 0, "as it was behind the commit of this `number`")
	cmd.Flags().StringVar(&m.Generation, "generation", "", "of the generation of this `name`, for --commit")
	return cmd
}

func (e *env) restoreMoment(ctx context.Context, folder, dir string, m backup.Moment) error {
	target, err := backend.OpenTarget(folder, e.Getenv)
	if err != nil {
		return usageError{err}
	}
	p := e.progress(e.doing, 0, true)
	defer p.end()
	b, r, err := backup.Restore(ctx, dir, counted{target, p}, m, samsa.Options{})
	if err != nil {
		return err
	}
	if err := b.Close(); err != nil {
		return err
	}
	return e.say(r, "restored commit %d of %s into %s", r.Last.Commit, moment(api.At(r.Last.Time)), dir)
}

// counted is a target of which is counted what is read.
type counted struct {
	backup.Target
	p *progress
}

// Get implements backup.Target.
func (c counted) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	r, err := c.Target.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{&counter{r: r, p: c.p}, r}, nil
}
