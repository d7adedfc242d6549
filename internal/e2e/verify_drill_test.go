package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inspect"
	"github.com/samsa-go/samsa/internal/store"
)

// verify returns what is found in a directory.
func verify(t *testing.T, dir string) (found []inspect.Finding, sum inspect.Summary) {
	t.Helper()
	found, sum, err := tryVerify(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	return found, sum
}

// tryVerify is verify of a directory that may be none.
func tryVerify(t *testing.T, dir string) (found []inspect.Finding, sum inspect.Summary, err error) {
	v := inspect.Verify(dir, inspect.Options{})
	for f, err := range v.All(t.Context()) {
		if err != nil {
			return nil, inspect.Summary{}, err
		}
		found = append(found, f)
	}
	return found, v.Summary(), nil
}

// TestVerifyFindsDamagedPlaces damages directories that were used in all ways. What a broker stumbles over there, verify
// must have found; of whole directories, closed and killed, it finds nothing.
func TestVerifyFindsDamagedPlaces(t *testing.T) {
	t.Parallel()
	places := long(t, "DAMAGE", 20)
	r := startReader(t)
	defer func() { r.close() }()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 3))
	outcomes := map[string]int{}
	for _, clean := range []bool{true, false} {
		v := newVictim(t, r, clean)
		found, sum := verify(t, v.dir)
		if sum.Batches == 0 || sum.Topics == 0 || !sum.Whole() || clean && (!sum.Closed || len(found) > 0) {
			t.Fatalf("%s: %+v: %v", v.name, sum, found)
		}
		for i := range places / 2 {
			class, h := v.place(rng, i)
			dir := filepath.Join(t.TempDir(), "damaged")
			copyDir(t, dir, v.dir)
			h.apply(t, dir)
			found, sum, refused := tryVerify(t, dir)
			d, err := r.read(dir)
			if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
				t.Fatal(err)
			}
			if refused != nil { // by the number of another format
				if !errors.Is(refused, samsa.ErrUnsupported) || d.Refused == "" {
					t.Errorf("%s: %s: verify says %v, a broker: %+v", v.name, h, refused, d)
				}
				continue
			}
			outcome := fmt.Sprintf("%s %s: whole %t, refused %t, told %t", v.name, class, sum.Whole(), d.Refused != "", len(d.Told) > 0)
			outcomes[outcome]++
			if sum.Whole() && len(d.Told) > 0 {
				t.Errorf("%s: %s: verify found %v, %+v, a broker is told %.800v", v.name, h, found, sum, d.Told)
			}
		}
	}
	for _, o := range slices.Sorted(maps.Keys(outcomes)) {
		t.Logf("%s: %d", o, outcomes[o])
	}
}

// TestVerifyBesideAnOwner verifies a directory while its owner writes and gives space back.
func TestVerifyBesideAnOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b, err := openDrill(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	if err := b.Topics().Create(ctx, "orders", samsa.TopicConfig{RetentionBytes: 300_000}); err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		for i := 0; ctx.Err() == nil; i++ {
			if _, err := b.Produce(context.Background(), samsa.Record{Topic: "orders", Value: make([]byte, i%5000)}); err != nil {
				failed <- err
				return
			}
			if i%300 == 299 {
				if _, err := b.Sweep(context.Background()); err != nil {
					failed <- err
					return
				}
			}
		}
		failed <- nil
	}()
	records := int64(0)
	for range 30 {
		found, sum := verify(t, dir)
		if len(found) != sum.Notes || !sum.Live {
			t.Errorf("%v, %+v", found, sum)
		}
		records = max(records, sum.Records)
	}
	stop()
	if err := <-failed; err != nil {
		t.Error(err)
	}
	mustClose(t, b)
	t.Logf("up to %d records", records)
}

// TestVerifyFindsWhatHashesDoNot stores what nobody would have stored: bytes that are whole, and mean nothing.
func TestVerifyFindsWhatHashesDoNot(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, hurt := range map[string]func(st store.Store, b *store.Batch, keys [][]byte){
		"a batch is missing":    func(_ store.Store, b *store.Batch, keys [][]byte) { b.Delete(keys[1]) },
		"a batch is another":    func(st store.Store, b *store.Batch, keys [][]byte) { b.Set(keys[1], valueOf(st, keys[0])) },
		"the CRC of a batch":    func(st store.Store, b *store.Batch, keys [][]byte) { b.Set(keys[2], changed(valueOf(st, keys[2]), 70)) },
		"the header of a batch": func(st store.Store, b *store.Batch, keys [][]byte) { b.Set(keys[2], changed(valueOf(st, keys[2]), 16)) },
		"no topic":              func(_ store.Store, b *store.Batch, _ [][]byte) { b.Set(store.CatalogueKey("torders"), []byte("{")) },
		"no offset": func(_ store.Store, b *store.Batch, _ [][]byte) {
			b.Set(store.AppendOffsetKey(nil, store.OffsetKey{Group: "g", Topic: "orders"}), []byte{9})
		},
		"a key that nobody knows": func(_ store.Store, b *store.Batch, _ [][]byte) { b.Set([]byte("z"), []byte{9}) },
		"a group":                 func(_ store.Store, b *store.Batch, _ [][]byte) { b.Set(store.GroupKey("g"), []byte("[]")) },
		"a transactional id":      func(_ store.Store, b *store.Batch, _ [][]byte) { b.Set(store.TransactionKey("x"), []byte("[]")) },
		"an application's value": func(_ store.Store, b *store.Batch, _ [][]byte) {
			b.Set(store.AppendAppKey(nil, []byte("k")), []byte{7, 1})
		},
		"a producer in a partition": func(_ store.Store, b *store.Batch, keys [][]byte) { b.Set(producerKey(keys[0]), []byte{1, 2}) },
		"an aborted transaction":    func(_ store.Store, b *store.Batch, keys [][]byte) { b.Set(abortedKey(keys[0]), []byte{1, 2}) },
		"the state of a queue":      func(_ store.Store, b *store.Batch, keys [][]byte) { b.Set(shareKey(keys[0]), []byte{9, 9}) },
	} {
		dir := t.TempDir()
		b, err := samsa.Open(dir, samsa.Options{AutoCreateTopics: true})
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if _, err := b.Produce(ctx, samsa.Record{Topic: "orders", Value: make([]byte, 2000)}, samsa.Record{Topic: "orders", Value: []byte("b")}); err != nil {
				t.Fatal(err)
			}
		}
		mustClose(t, b)
		if found, sum := verify(t, dir); len(found) > 0 || sum.Records != 10 || sum.Batches != 5 || sum.Topics != 1 {
			t.Fatalf("%v, %+v", found, sum)
		}
		st, err := store.Open(dir, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var keys [][]byte
		err = st.Scan(store.BatchRange(store.PartitionID{Topic: 1}, 0), func(e store.Entry) (bool, error) {
			keys = append(keys, slices.Clone(e.Key))
			return true, nil
		})
		var batch store.Batch
		if err == nil {
			hurt(st, &batch, keys)
			err = st.Commit(&batch)
		}
		if err = store.Join(err, st.Close()); err != nil {
			t.Fatal(err)
		}
		found, sum := verify(t, dir)
		if sum.Damage != 1 || len(found) != 1 {
			t.Errorf("%s: %v, %+v", name, found, sum)
			continue
		}
		t.Logf("%s: %v", name, found[0])
	}
}

func valueOf(st store.Store, key []byte) []byte {
	v, _ := st.Get(key)
	return v
}

func changed(b []byte, at int) []byte {
	b[at] ^= 1
	return b
}

func partitionOfBatch(key []byte) store.PartitionID {
	k, _ := store.ParseBatchKey(key)
	return k.PartitionID
}

func producerKey(batch []byte) []byte {
	return store.AppendProducerKey(nil, store.ProducerKey{PartitionID: partitionOfBatch(batch), ID: 4})
}

func abortedKey(batch []byte) []byte {
	return store.AppendAbortedKey(nil, store.AbortedKey{PartitionID: partitionOfBatch(batch), Marker: 3})
}

func shareKey(batch []byte) []byte {
	return store.AppendShareKey(nil, store.ShareKey{PartitionID: partitionOfBatch(batch), Group: "q", Chunk: 0})
}
