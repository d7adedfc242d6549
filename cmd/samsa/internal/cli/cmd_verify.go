package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inspect"
)

// directory returns the directory that -d or SAMSA names.
func (e *env) directory() (string, error) {
	a, err := e.address.resolve(e.Getenv)
	if err != nil {
		return "", err
	}
	if a.dir == "" {
		return "", usageError{fmt.Errorf("it is for a directory of data: give -d")}
	}
	return a.dir, nil
}

// stages shows the stages of something, one after the other, each with a progress of its own.
type stages struct {
	e    *env
	name string
	done int64
	p    *progress
}

// told is told how far a stage is.
func (s *stages) told(stage string, done, total int64) {
	if stage != s.name {
		s.p.end()
		s.name, s.done, s.p = stage, 0, s.e.progress(stage, total, true)
	}
	s.p.add(done - s.done)
	s.done = done
}

// verified is the end of what verify prints in JSON.
type verified struct {
	Summary inspect.Summary `json:"summary"`
	Whole   bool            `json:"whole"`
}

func (e *env) verify() *cobra.Command {
	return &cobra.Command{
		Use:     "verify",
		GroupID: groupData,
		Short:   "Check every byte of a directory",
		Long: `verify reads every byte of a directory, checks it, and says in words what is wrong: a note costs nothing, repairable is what samsa repair mends, and
damage has lost something, of which it tells what. It changes nothing, and may be run while a broker has the directory open: then it
looks at the value files alone. It ends with 0 when all is whole, and with 7 when something is not.

What to do where there is damage: samsa snapshot, while a broker still opens the directory, has all that still counts, or fails. Restored it is
whole. If it fails, restore a backup, or go on without what was lost: all else can be read.`,
		Example: `  samsa -d ./data verify
  samsa -d ./data verify --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := e.directory()
			if err != nil {
				return err
			}
			shown := &stages{e: e}
			defer func() { shown.p.end() }()
			v := inspect.Verify(dir, inspect.Options{Progress: shown.told})
			for f, err := range v.All(cmd.Context()) {
				if err != nil {
					return err
				}
				shown.p.end()
				if err := e.say(f, "%s", f); err != nil {
					return err
				}
			}
			shown.p.end()
			s := v.Summary()
			err = e.say(verified{s, s.Whole()}, "%s", summed(s))
			if err == nil && !s.Whole() {
				err = fmt.Errorf("%w: %d damaged, %d that repair mends", errDamaged, s.Damage, s.Repairable)
			}
			return err
		},
	}
}

// summed says in words what was verified. Topics are known of a directory that nobody has open, and whose index can be read.
func summed(s inspect.Summary) string {
	text := fmt.Sprintf("%s, %s in %s, ", plural(int64(s.Files), "value file"), plural(s.Commits, "commit"), size(s.Bytes))
	if !s.Live && (s.Topics > 0 || s.Whole()) {
		text += plural(int64(s.Topics), "topic") + ", "
	}
	text += fmt.Sprintf("%s in %s, %s", plural(s.Records, "record"), plural(s.Batches, "batch"), plural(int64(s.Notes), "note"))
	if s.Live {
		text += ", while a broker has it open: its value files alone, and so not what topics there are"
	}
	return text
}

func (e *env) repair() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "repair",
		GroupID: groupData,
		Short:   "Make the index of a directory anew",
		Long: `repair makes the index of a directory anew from its value files, when verify calls something repairable, or a broker cannot open it. Nobody may have
the directory open. Value files are not touched; where one of them is damaged repair says what verify says, and changes nothing (exit code 7).
It asks first; in a script give --yes.`,
		Example: `  samsa -d ./data repair --yes`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := e.directory()
			if err != nil {
				return err
			}
			if err := e.confirm(yes, "make the index of %s anew", dir); err != nil {
				return err
			}
			shown := &stages{e: e}
			defer func() { shown.p.end() }()
			r, err := inspect.Repair(cmd.Context(), dir, func(done, total int64) { shown.told("repair", done, total) })
			shown.p.end()
			if err != nil {
				for _, f := range r.Findings {
					err = errors.Join(err, errors.New(f.String()))
				}
				return err
			}
			return e.say(r, "made the index of %s anew: %s, %s, %s, in %s", dir, plural(r.Commits, "commit"), size(r.Bytes), plural(int64(r.Topics), "topic"),
				r.Took.Round(time.Millisecond))
		},
	}
	yesFlag(cmd, &yes)
	return cmd
}

func (e *env) dump() *cobra.Command {
	var o inspect.FrameOptions
	var part string
	var limit int
	cmd := &cobra.Command{
		Use:   "dump",
		Short: "Print what the value files of a directory have, for bug reports",

		GroupID: groupData,
		Long: `dump prints the frames of the value files, of which each is a commit, with the operations in it: keys in words, sizes of values, and with
--batches the headers of batches, with --records their records. It reads by itself, and may be run while a broker has the directory open. Where
something is damaged it says so, goes on behind it, and ends with code 7. It shows keys and values of the
application, and nothing of what passwords are checked by.`,
		Example: `  samsa -d ./data dump --number 3
  samsa -d ./data dump --topic web_log --partition 0 --records
  samsa -d ./data dump --from 2 --to 4 --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := e.directory()
			if err != nil {
				return err
			}
			if part != "" {
				n, err := strconv.ParseInt(part, 10, 32)
				if err != nil || n < 0 || o.Topic == "" {
					return usageError{fmt.Errorf("--partition %s: want a number, with --topic", part)}
				}
				p := int32(n)
				o.Partition = &p
			}
			if limit < 0 || o.To > 0 && o.To < o.From {
				return usageError{errors.New("--number wants 1 or more, and --to what is not before --from")}
			}
			o.Batches = o.Batches || o.Records
			return e.dumpFrames(cmd.Context(), dir, o, limit)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&o.File, "file", "", "of this value `file` only")
	fs.Uint64Var(&o.From, "from", 0, "from the commit of this `number` on")
	fs.Uint64Var(&o.To, "to", 0, "up to the commit of this `number`")
	fs.StringVarP(&o.Topic, "topic", "t", "", "what concerns this `topic` only")
	fs.StringVarP(&part, "partition", "p", "", "what concerns the partition of this `number` of it only")
	fs.BoolVar(&o.Batches, "batches", false, "decode batches")
	fs.BoolVar(&o.Records, "records", false, "decode batches, and their records")
	fs.IntVarP(&limit, "number", "n", 0, "end after this `number` of frames (default all)")
	_ = cmd.RegisterFlagCompletionFunc("topic", e.completeTopics(anyNumber))
	return cmd
}

// damagedFrame is a line of dump in JSON where something is damaged.
type damagedFrame struct {
	Damaged inspect.Finding `json:"damaged"`
}

func (e *env) dumpFrames(ctx context.Context, dir string, o inspect.FrameOptions, limit int) error {
	p := e.progress(e.doing, 0, false)
	defer p.end()
	var wrong error
	shown := 0
	for f, err := range inspect.Frames(ctx, dir, o) {
		p.add(1)
		var flaw *inspect.ErrFlaw
		switch {
		case errors.As(err, &flaw):
			wrong = fmt.Errorf("%w: see above", errDamaged)
			err = e.say(damagedFrame{flaw.Finding}, "%s", flaw.Finding)
		case err != nil:
			return err
		case e.json:
			shown++
			err = e.printJSON(f)
		default:
			shown++
			err = f.WriteText(e.harmlessStdout())
		}
		if err != nil || limit > 0 && shown == limit {
			return errors.Join(err, wrong)
		}
	}
	return wrong
}

// errDamaged is that something stored is damaged.
var errDamaged = samsa.ErrCorruptValue

// harmlessStdout returns Stdout, to which, if it is a terminal, nothing is written that would control it.
func (e *env) harmlessStdout() io.Writer {
	if !onTerminal(e.Stdout) {
		return e.Stdout
	}
	return harmlessWriter{e.Stdout}
}

type harmlessWriter struct{ w io.Writer }

func (h harmlessWriter) Write(p []byte) (int, error) {
	if _, err := h.w.Write(harmless(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}
