package inspect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/store"
)

// Repaired is what Repair has found and done.
type Repaired struct {
	Took     time.Duration `json:"took"`
	Commits  int64         `json:"commits"` // frames that were read
	Bytes    int64         `json:"bytes"`
	Topics   int           `json:"topics"`
	Damaged  []string      `json:"damaged,omitempty"` // what is stored and cannot be used, see samsa.Open
	Findings []Finding     `json:"findings,omitempty"`
}

// Repair makes the index of dir anew from its value files, and touches none of these. Nobody may have dir open; it is
// samsa.ErrLocked else. When it fails, is interrupted or ends with ctx, value files and index are as they were.
//
// Value files that are damaged cannot be repaired: that is samsa.ErrCorruptValue, and Repaired has as Findings what Walk says of
// them. progress, which may be nil, is told how many bytes of value files were read of how many.
func Repair(ctx context.Context, dir string, progress func(done, total int64)) (r Repaired, err error) {
	began := time.Now()
	defer func() {
		r.Took = time.Since(began)
		if err != nil {
			err = fmt.Errorf("repair: %w", err)
		}
	}()
	rebuild := store.Options{Rebuild: true, MustExist: true, Rebuilding: func(done, total int64) error {
		r.Commits++
		r.Bytes = done
		if progress != nil {
			progress(done, total)
		}
		return ctx.Err()
	}}
	st, err := store.Open(dir, rebuild)
	if errors.Is(err, store.ErrCorrupt) {
		return r, store.Join(err, r.look(ctx, dir))
	}
	if err != nil {
		return r, err
	}
	if err := st.Close(); err != nil {
		return r, err
	}
	var warned warnings
	b, err := samsa.Open(dir, samsa.Options{MustExist: true, Logger: zap.New(&warned)}) // removes batches that came back
	if err != nil {
		return r, err
	}
	for _, err := range warned.errs {
		r.Damaged = append(r.Damaged, err.Error())
	}
	s, err := b.Stats(ctx)
	r.Topics = s.Topics
	return r, store.Join(err, b.Close())
}

// look says what is wrong with the value files.
func (r *Repaired) look(ctx context.Context, dir string) error {
	v := Verify(dir, Options{})
	for f, err := range v.All(ctx) {
		if err != nil {
			return err
		}
		if f.Severity == Damage {
			r.Findings = append(r.Findings, f)
		}
	}
	return nil
}
