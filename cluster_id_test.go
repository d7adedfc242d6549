package samsa_test

import (
	"bytes"
	"context"
	"path/filepath"
	"regexp"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/samsa-go/samsa"
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
	b, err := samsa.InsideOpen(st, samsa.Options{Logger: zap.New(core)})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, b)
	if len(b.ClusterID()) != 22 || logs.FilterMessageSnippet("cluster id is damaged").Len() != 1 {
		t.Errorf("the id is %q, logged: %v", b.ClusterID(), logs.All())
	}
}
