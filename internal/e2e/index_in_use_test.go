package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/samsa-go/samsa"
)

// The files of the index are damaged while a broker has them open. What it reads is right or an error, nothing panics, it ends, and
// the index can be made anew: value files have all.
func TestIndexDamagedInUse(t *testing.T) {
	keys := long(t, "INDEX_KEYS", 1000)
	ctx := context.Background()
	value := func(i, round int) string { return fmt.Sprintf("value %d of round %d, %0100d", i, round, i) }
	for how, hurt := range map[string]func(path string, size int64) error{
		"flipped": func(path string, size int64) error {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			b := make([]byte, 1)
			for at := int64(100); at < size && err == nil; at += 512 {
				if _, err = f.ReadAt(b, at); err == nil {
					b[0] ^= 0x10
					_, err = f.WriteAt(b, at)
				}
			}
			return errors.Join(err, f.Close())
		},
		"cut":      func(path string, size int64) error { return os.Truncate(path, size/2) },
		"emptied":  func(path string, _ int64) error { return os.Truncate(path, 0) },
		"unlinked": func(path string, _ int64) error { return os.Remove(path) },
	} {
		for _, touched := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/touched=%t", how, touched), func(t *testing.T) {
				dir := t.TempDir()
				b, err := openDrill(dir)
				if err != nil {
					t.Fatal(err)
				}
				for round := range 2 {
					for i := 0; i < keys; i += 50 {
						err := b.Update(ctx, func(tx *samsa.Tx) error {
							for j := i; j < i+50; j++ {
								if err := tx.Set(fmt.Appendf(nil, "k%05d", j), []byte(value(j, round))); err != nil {
									return err
								}
							}
							return nil
						})
						if err != nil {
							t.Fatal(err)
						}
					}
				}
				read := func() (right, refused int) {
					for i := range keys {
						err := b.View(ctx, func(tx *samsa.ReadTx) error {
							got, err := tx.Get(fmt.Appendf(nil, "k%05d", i))
							if err == nil && string(got) != value(i, 1) {
								t.Errorf("key %d is %.30q", i, got)
							}
							return err
						})
						switch {
						case err == nil:
							right++
						case errors.Is(err, samsa.ErrCorruptValue), errors.Is(err, samsa.ErrFailed), errors.Is(err, samsa.ErrStorage):
							refused++
						default:
							t.Fatalf("key %d: %v", i, err)
						}
					}
					return right, refused
				}
				if touched {
					if right, _ := read(); right != keys {
						t.Fatalf("%d of %d keys", right, keys)
					}
				}
				tables, err := filepath.Glob(filepath.Join(dir, "index", "*.sst"))
				if err != nil || len(tables) == 0 {
					t.Fatal(tables, err)
				}
				for _, path := range tables {
					if info, err := os.Stat(path); err == nil { // it is not merged away just now
						if err := hurt(path, info.Size()); err != nil && !errors.Is(err, os.ErrNotExist) {
							t.Fatal(err)
						}
					}
				}
				right, refused := read()
				for i := range 200 { // checkpoints and merges meet it, too
					_ = b.Update(ctx, func(tx *samsa.Tx) error { return tx.Set(fmt.Appendf(nil, "later%d", i), make([]byte, 1000)) })
				}
				right2, refused2 := read()
				t.Logf("%d tables: %d right, %d refused; then %d and %d; the end: %v", len(tables), right, refused, right2, refused2, b.Close())
				again, err := samsa.Open(dir, samsa.Options{RebuildIndex: true})
				if err != nil {
					t.Fatal(err)
				}
				b = again
				if right, _ := read(); right != keys {
					t.Errorf("%d of %d keys with a new index", right, keys)
				}
				mustClose(t, again)
			})
		}
	}
}
