package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa/backup"
	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/internal/api"
)

// openBackup returns the target where a backup lies. One in which there is nothing is errNotFound.
func (e *env) openBackup(ctx context.Context, where string) (backup.Target, error) {
	target, err := backend.OpenTarget(where, e.Getenv)
	if err != nil {
		return nil, usageError{err}
	}
	objects, err := target.List(ctx)
	if err == nil && len(objects) == 0 {
		err = fmt.Errorf("%w: there is no backup in %s", errNotFound, where)
	}
	return target, err
}

// verifiedBackup is the end of what backup verify prints in JSON.
type verifiedBackup struct {
	Summary verifiedSums `json:"summary"`
	Whole   bool         `json:"whole"`
}

type verifiedSums struct {
	backup.Verified
	Findings int `json:"findings"`
}

func (e *env) backupVerify() *cobra.Command {
	return &cobra.Command{
		Use:   "verify FOLDER",
		Short: "Check every byte of a backup",
		Long: `verify reads all that is in a backup and checks it as a restore would, without restoring anything. It says in words what is damaged or missing, and
which moments cannot be restored for that; a note costs nothing. A backup may go on meanwhile. That the newest objects are missing is known as
far as the backup has noted how far it reaches: about once a minute, and when it had caught up. It ends with 0 when all is whole, and with 7
when something is not.`,
		Example: `  samsa backup verify ./backup
  samsa backup verify ./backup --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := e.openBackup(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			shown := &stages{e: e}
			defer func() { shown.p.end() }()
			v, err := backup.Verify(cmd.Context(), target, backup.VerifyOptions{Progress: func(done, total int64) { shown.told("verify", done, total) }})
			shown.p.end()
			if err != nil {
				return err
			}
			for _, f := range v.Findings {
				if err := e.say(f, "%s", f); err != nil {
					return err
				}
			}
			err = e.say(verifiedBackup{verifiedSums{v, len(v.Findings)}, v.Whole()}, "%s, %s in %s, %s",
				plural(int64(v.Generations), "generation"), size(v.Bytes), plural(int64(v.Objects), "object"), plural(v.Commits, "commit"))
			if err == nil && !v.Whole() {
				err = fmt.Errorf("%w: what is in %s is not whole", errDamaged, args[0])
			}
			return err
		},
	}
}

func (e *env) backupPrune() *cobra.Command {
	var o backup.PruneOptions
	var yes bool
	cmd := &cobra.Command{
		Use:   "prune FOLDER",
		Short: "Remove from a backup what old moments need",
		Long: `prune removes from a backup what is not needed to restore any moment of the time --keep, nor any since the newest --bases: each backup
has a base a day. With both it keeps what either asks for. The newest base stays. It asks first; in a script give --yes. With --dry-run it tells
what it would remove. A backup may go on meanwhile.`,
		Example: `  samsa backup prune ./backup --keep 720h --dry-run
  samsa backup prune ./backup --bases 7 --yes`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Keep < 0 || o.Bases < 0 || o.Keep == 0 && o.Bases == 0 {
				return usageError{errors.New("what is to be kept? Give --keep, --bases, or both")}
			}
			target, err := e.openBackup(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if !o.DryRun {
				if err := e.confirm(yes, "remove what is older from %s", args[0]); err != nil {
					return err
				}
			}
			done, err := backup.Prune(cmd.Context(), target, o)
			if err != nil {
				return err
			}
			what := "removed"
			if o.DryRun {
				what = "would remove"
			}
			return e.say(done, "%s %s, %s; moments from %s on can be restored", what, plural(int64(done.Objects), "object"), size(done.Bytes),
				moment(api.At(done.From.Time)))
		},
	}
	cmd.Flags().DurationVar(&o.Keep, "keep", 0, "any moment of this `time` before now can be restored, like 720h")
	cmd.Flags().IntVar(&o.Bases, "bases", 0, "and any since the newest bases, this `number` of them")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "tell what would be removed, and do nothing")
	yesFlag(cmd, &yes)
	return cmd
}
