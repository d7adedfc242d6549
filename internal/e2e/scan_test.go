package e2e

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa"
)

// scanModel is what a scan of the keys in model visits.
func scanModel(model map[string]string, opts samsa.ScanOptions) (want []string) {
	keys := slices.Sorted(maps.Keys(model))
	if opts.Reverse {
		slices.Reverse(keys)
	}
	for _, key := range keys {
		start := string(opts.Start)
		before := start != "" && (key < start && !opts.Reverse || key > start && opts.Reverse)
		if strings.HasPrefix(key, string(opts.Prefix)) && !before {
			want = append(want, key+"="+model[key])
		}
	}
	return want
}

// take returns the first n of a scan. What it was given it overwrites: the bytes are the caller's.
func take(seq iter.Seq2[samsa.KeyValue, error], n int) (got []string, err error) {
	if n == 0 {
		return nil, nil
	}
	for kv, err := range seq {
		if err != nil {
			return got, err
		}
		got = append(got, fmt.Sprintf("%s=%s", kv.Key, kv.Value))
		clear(kv.Key)
		clear(kv.Value)
		if len(got) == n {
			break
		}
	}
	return got, nil
}

// drawKey draws a key of few letters, the first and the last byte among them.
func drawKey(t *rapid.T, what string, least int) []byte {
	return []byte(rapid.StringOfN(rapid.SampledFrom([]rune{'\x00', 'a', 'b', '\x7f'}), least, 4, -1).Draw(t, what))
}

func drawScan(t *rapid.T) samsa.ScanOptions {
	opts := samsa.ScanOptions{Reverse: rapid.Bool().Draw(t, "reverse")}
	if rapid.Bool().Draw(t, "with prefix") {
		opts.Prefix = drawKey(t, "prefix", 0)
	}
	if rapid.Bool().Draw(t, "with start") {
		opts.Start = drawKey(t, "start", 0)
	}
	return opts
}

// checkScans compares scans with the model, of all keys and of some.
func checkScans(t *rapid.T, scan func(samsa.ScanOptions) iter.Seq2[samsa.KeyValue, error], model map[string]string) {
	for range 3 {
		opts := drawScan(t)
		want := scanModel(model, opts)
		n := rapid.IntRange(0, len(want)+1).Draw(t, "n")
		got, err := take(scan(opts), n)
		if want = want[:min(n, len(want))]; err != nil || !slices.Equal(got, want) {
			t.Fatalf("the first %d with prefix %q, start %q, reverse %t: %q, %v, want %q", n, opts.Prefix, opts.Start, opts.Reverse, got, err, want)
		}
	}
}

// Scans of random ranges visit what a sorted map has, in View and in Update, where what the
// transaction has written itself lies over what is stored.
func TestScansAgreeWithTheModel(t *testing.T) {
	bothStores(t, samsa.Options{}, func(t *testing.T, k *kit) {
		rapid.Check(t, func(t *rapid.T) {
			k.update(func(tx *samsa.Tx) (err error) {
				for kv, e := range tx.Scan(nil) {
					err = errors.Join(err, e, tx.Delete(kv.Key))
				}
				return err
			})
			stored := make(map[string]string)
			for range 3 {
				stored = updateAndScan(t, k, stored)
			}
		})
	})
}

// updateAndScan writes keys in a transaction, scans in it and behind it, and returns what is stored then.
func updateAndScan(t *rapid.T, k *kit, stored map[string]string) map[string]string {
	now := maps.Clone(stored)
	err := k.Update(k.ctx, func(tx *samsa.Tx) error {
		for i := range rapid.IntRange(0, 12).Draw(t, "writes") {
			key, err := drawKey(t, "key", 1), error(nil)
			if rapid.IntRange(0, 2).Draw(t, "delete") == 0 {
				delete(now, string(key))
				err = tx.Delete(key)
			} else {
				now[string(key)] = fmt.Sprint(i)
				err = tx.Set(key, fmt.Append(nil, i))
			}
			if err != nil {
				return err
			}
			if rapid.IntRange(0, 3).Draw(t, "scan") == 0 {
				checkScans(t, tx.ScanWith, now)
			}
		}
		checkScans(t, tx.ScanWith, now)
		if rapid.IntRange(0, 3).Draw(t, "abort") == 0 {
			now = stored
			return errMine
		}
		return nil
	})
	if err != nil && !errors.Is(err, errMine) {
		t.Fatal(err)
	}
	if err := k.View(k.ctx, func(tx *samsa.ReadTx) error { checkScans(t, tx.ScanWith, now); return nil }); err != nil {
		t.Fatal(err)
	}
	return now
}

// More keys than are read ahead come from both sides, from any of them on.
func TestLongScans(t *testing.T) {
	bothStores(t, samsa.Options{}, func(t *testing.T, k *kit) {
		model := make(map[string]string)
		k.update(func(tx *samsa.Tx) (err error) {
			for i := range 3000 {
				key := fmt.Sprintf("k/%04d", i)
				model[key] = string(noise(10 + i%7*300))
				err = errors.Join(err, tx.Set([]byte(key), []byte(model[key])))
			}
			return err
		})
		err := k.View(k.ctx, func(tx *samsa.ReadTx) error {
			for _, start := range []string{"", "k/0000", "k/1500", "k/2999", "k/15", "k", "l", strings.Repeat("z", 2000)} {
				for _, reverse := range []bool{false, true} {
					opts := samsa.ScanOptions{Prefix: []byte("k/"), Start: []byte(start), Reverse: reverse}
					got, err := take(tx.ScanWith(opts), -1)
					if want := scanModel(model, opts); err != nil || !slices.Equal(got, want) {
						t.Errorf("from %.10q, reverse %t: %d keys, %v, want %d, or they differ", start, reverse, len(got), err, len(want))
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// A scan conflicts with what was written where it has gone, and nowhere else.
func TestScansConflictWhereTheyHaveBeen(t *testing.T) {
	for name, c := range map[string]struct {
		opts           samsa.ScanOptions
		n              int // keys that are read; -1 is all
		conflicts, not []string
	}{
		"forwards, the first": {samsa.ScanOptions{Prefix: []byte("p/")}, 1, []string{"p/", "p/1", "p/2"}, []string{"o", "p/2\x00", "p/4", "p/9", "q"}},
		"forwards from a key": {samsa.ScanOptions{Prefix: []byte("p/"), Start: []byte("p/3")}, 1, []string{"p/3", "p/3x", "p/4"}, []string{"p/2", "p/4\x00", "p/6"}},
		"forwards to the end": {samsa.ScanOptions{Prefix: []byte("p/"), Start: []byte("p/3")}, -1, []string{"p/3", "p/6", "p/9", "p/\xff"}, []string{"p/2", "q"}},
		"the last":            {samsa.ScanOptions{Prefix: []byte("p/"), Reverse: true}, 1, []string{"p/6", "p/7", "p/\xff\xff"}, []string{"p/5", "p/4", "q"}},
		"back from a key":     {samsa.ScanOptions{Prefix: []byte("p/"), Start: []byte("p/5"), Reverse: true}, 1, []string{"p/4", "p/4x", "p/5"}, []string{"p/5\x00", "p/6", "p/3"}},
		"back to the end":     {samsa.ScanOptions{Prefix: []byte("p/"), Start: []byte("p/5"), Reverse: true}, -1, []string{"p/", "p/2", "p/5"}, []string{"p/5\x00", "p/6", "o"}},
		"everything":          {samsa.ScanOptions{}, -1, []string{"\x00", "p/4", "\xff\xff"}, nil},
		"the very last":       {samsa.ScanOptions{Reverse: true}, 1, []string{"p/6", "q", "\xff\xff"}, []string{"p/5"}},
		"where nothing is":    {samsa.ScanOptions{Prefix: []byte("n")}, -1, []string{"n", "nn"}, []string{"o", "m"}},
		"behind the prefix":   {samsa.ScanOptions{Prefix: []byte("p/"), Start: []byte("q")}, -1, nil, []string{"p/2", "q", "r"}},
		"before the prefix":   {samsa.ScanOptions{Prefix: []byte("p/"), Start: []byte("o"), Reverse: true}, -1, nil, []string{"p/2", "o", "n"}},
		"not begun":           {samsa.ScanOptions{}, 0, nil, []string{"p/2", "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			k := inMemory(t, samsa.Options{MaxUpdateRetries: -1})
			k.update(func(tx *samsa.Tx) error {
				return errors.Join(tx.Set([]byte("p/2"), nil), tx.Set([]byte("p/4"), nil), tx.Set([]byte("p/6"), nil))
			})
			meet := func(key string) bool {
				err := k.Update(k.ctx, func(tx *samsa.Tx) error {
					_, err := take(tx.ScanWith(c.opts), c.n)
					if err := k.Update(k.ctx, func(tx *samsa.Tx) error {
						_, err := tx.Get([]byte(key))
						if errors.Is(err, samsa.ErrKeyNotFound) {
							return errors.Join(tx.Set([]byte(key), nil), tx.Delete([]byte(key))) // what was there stays
						}
						return errors.Join(err, tx.Set([]byte(key), nil))
					}); err != nil {
						t.Error(err)
					}
					return errors.Join(err, tx.Set([]byte("done"), nil), tx.Delete([]byte("done")))
				})
				if err != nil && !errors.Is(err, samsa.ErrConflict) {
					t.Error(err)
				}
				return err != nil
			}
			for _, key := range c.conflicts {
				if !meet(key) {
					t.Errorf("%q was written, and that is no conflict", key)
				}
			}
			for _, key := range c.not {
				if meet(key) {
					t.Errorf("%q was written, and that is a conflict", key)
				}
			}
		})
	}
}
