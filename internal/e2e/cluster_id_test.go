package e2e

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"regexp"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/samsatest"
)

// The cluster id is of the data: it stays over restarts, copies and moves, and no other broker
// has it.
func TestClusterID(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	open := func() *samsa.Broker {
		b, err := samsa.Open(dir, samsa.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := open()
	id := b.ClusterID()
	if !regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]{21}$`).MatchString(id) {
		t.Errorf("the id is %q", id)
	}
	mustClose(t, b)
	b = open()
	if again := b.ClusterID(); again != id {
		t.Errorf("opened again it is %q, it was %q", again, id)
	}
	var snapshot bytes.Buffer
	if err := b.Snapshot(context.Background(), &snapshot); err != nil {
		t.Fatal(err)
	}
	mustClose(t, b)
	restored, err := samsa.Restore(context.Background(), "", &snapshot, samsa.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	if again := restored.ClusterID(); again != id {
		t.Errorf("restored it is %q, it was %q", again, id)
	}
	mustClose(t, restored)

	one, other := samsatest.New(t), samsatest.New(t)
	if one.ClusterID() == other.ClusterID() || one.ClusterID() == id {
		t.Errorf("brokers share the id %s", id)
	}
	if fork := samsatest.Fork(t, one); fork.ClusterID() != one.ClusterID() {
		t.Errorf("a fork of %s is %s", one.ClusterID(), fork.ClusterID())
	}
}

// A damaged cluster id keeps nobody from the data.
func TestDamagedClusterID(t *testing.T) {
	st := store.OpenMemory()
	var batch store.Batch
	batch.Set(store.BrokerKey("c"), []byte("gregor"))
	if err := st.Commit(&batch); err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zap.WarnLevel)
	b, err := inside.Open[*samsa.Broker](st, samsa.Options{Logger: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, b)
	if len(b.ClusterID()) != 22 || logs.FilterMessageSnippet("cluster id is damaged").Len() != 1 {
		t.Errorf("the id is %q, logged: %v", b.ClusterID(), logs.All())
	}
}

// unindexed is a store whose index is damaged where one key is.
type unindexed struct {
	store.Store
	key string
}

func (u *unindexed) Get(key []byte) ([]byte, error) {
	if string(key) == u.key {
		return nil, store.ErrIndex
	}
	return u.Store.Get(key)
}

// Where the index does not lead to a value, nothing takes its place: it may well be there.
func TestUnindexedValuesAreNotReplaced(t *testing.T) {
	st := store.OpenMemory()
	for _, key := range [][]byte{store.BrokerKey("c"), store.BrokerKey("g"), store.CatalogueKey("n"), store.NamesKey("n")} {
		_, err := inside.Open[*samsa.Broker](&unindexed{st, string(key)}, samsa.Options{})
		if !errors.Is(err, samsa.ErrCorruptValue) {
			t.Errorf("without %q: %v", key, err)
		}
		st = store.OpenMemory() // it was closed
	}
}
