package local

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

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

// Import is samsa.Broker.Import.
func (b *Broker) Import(ctx context.Context, r io.Reader, opts transfer.Options) (err error) {
	st := store.OpenMemory()
	if b.Dir != "" {
		temp, err := os.MkdirTemp(filepath.Dir(b.Dir), filepath.Base(b.Dir)+".import-*")
		if err != nil {
			return fmt.Errorf("%w: %w", log.ErrStorage, err)
		}
		defer func() { _ = os.RemoveAll(temp) }() // what is left there does no harm
		if st, err = store.Open(filepath.Join(temp, "data"), store.Options{MinFreeBytes: b.MinFreeBytes}); err != nil {
			return err
		}
	}
	defer func() { err = store.Join(err, st.Close()) }()
	if err := store.ReadStream(ctx, r, st); err != nil {
		return err
	}
	done, err := transfer.Import(ctx, transfer.To{Topics: b.Catalogue, Groups: b.Groups}, st, opts)
	for _, name := range done { // the producers of transactions that are open there are elsewhere
		open, _ := transactions{b}.Open(ctx, name) // none of a topic that is gone again
		for _, o := range open {
			err = store.Join(err, transactions{b}.Abort(ctx, o))
		}
	}
	return err
}
