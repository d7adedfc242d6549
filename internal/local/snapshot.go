package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/transfer"
	"github.com/samsa-go/samsa/log"
)

// Snapshot is samsa.Broker.Snapshot.
func (b *Broker) Snapshot(ctx context.Context, w io.Writer, topics ...string) error {
	snap, err := b.Store.Snapshot()
	if err != nil {
		return err
	}
	defer snap.Close()
	if len(topics) == 0 {
		return store.WriteStream(ctx, w, snap)
	}
	numbers := map[string]uint32{}
	for _, name := range topics {
		t, err := b.Catalogue.Get(name)
		if err != nil {
			return err
		}
		numbers[name] = t.Partitions()[0].ID().Topic
	}
	return transfer.Export(ctx, w, snap, numbers)
}

// importPrefix is what the name of the directory begins with, within the data directory, to which a snapshot is read that is imported. Beside the
// data directory a process need not be allowed to write.
const importPrefix = "import-"

// removeImports removes what imports have left that were killed.
func (b *Broker) removeImports() {
	if b.Dir == "" || b.ReadOnly {
		return
	}
	entries, err := os.ReadDir(b.Dir)
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), importPrefix) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(b.Dir, e.Name())))
		}
	}
	if err != nil {
		b.Logger.Warn("what an import has left cannot be removed", zap.String("data", b.Dir), zap.Error(err))
	}
}

// Import is samsa.Broker.Import.
func (b *Broker) Import(ctx context.Context, r io.Reader, opts transfer.Options) (err error) {
	to := transfer.To{Topics: b.Catalogue, Groups: b.Groups}
	if err := transfer.Early(to, opts); err != nil {
		return err
	}
	st := store.OpenMemory()
	if b.Dir != "" {
		temp, err := os.MkdirTemp(b.Dir, importPrefix+"*")
		if err != nil {
			return fmt.Errorf("%w: %w", log.ErrStorage, err)
		}
		defer func() { _ = os.RemoveAll(temp) }() // what is left there the next owner removes
		if st, err = store.Open(filepath.Join(temp, "data"), store.Options{MinFreeBytes: b.MinFreeBytes}); err != nil {
			return err
		}
	}
	defer func() { err = store.Join(err, st.Close()) }()
	if err := store.ReadStream(ctx, r, st); err != nil {
		return err
	}
	done, err := transfer.Import(ctx, to, st, opts)
	for _, name := range done { // the producers of transactions that are open there are elsewhere
		open, _ := transactions{b}.Open(ctx, name) // none of a topic that is gone again
		for _, o := range open {
			err = store.Join(err, transactions{b}.Abort(ctx, o))
		}
	}
	return err
}
