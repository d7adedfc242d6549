package transact

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"weak"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/batcher"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inMemory returns a transactor over a store in memory, which is closed with the test.
func inMemory(t *testing.T) *Transactor {
	t.Helper()
	st := store.OpenMemory()
	committer := writer.NewCommitter(st, zap.NewNop())
	catalogue, _, err := topic.Open(st, committer, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	groups, err := group.Open(st, committer, catalogue, group.Options{Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		groups.Close()
		catalogue.Close(log.ErrClosed)
		committer.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	b := batcher.New(batcher.Broker{Committer: committer, Catalogue: catalogue, Logger: zap.NewNop()}, engine.ProduceOptions{})
	return New(Broker{Store: st, Catalogue: catalogue, Groups: groups, Batcher: b})
}

// behind returns how many transactions have come since l.
func (l *link) behind() (n int) {
	for l = l.next.Load(); l != nil; l = l.next.Load() {
		n++
	}
	return n
}

// However many transactions have come while another is open, one that begins now looks at none
// of them; the open one looks at each once, and not on the committer's time.
func TestConflictsWithWhatCameSinceOnly(t *testing.T) {
	var c conflicts
	c.init()
	write := func(key string) *link {
		l, err := c.place(c.begin(), &readSet{}, []string{key})
		if err != nil {
			t.Fatal(err)
		}
		c.show(l)
		return l
	}
	var read readSet
	read.add([]byte("mine"))
	read.scan(keysOf(engine.ScanOptions{Prefix: []byte("ours/")})).ended()

	old := c.begin()
	var others []*link
	for i := range 1000 {
		others = append(others, write(fmt.Sprint("theirs/", i)))
	}
	if n := c.begin().behind(); n != 0 {
		t.Errorf("a transaction that begins now has %d to look at", n)
	}
	checked, err := old.check(&read)
	if err != nil || checked != others[len(others)-1] {
		t.Fatalf("checked up to %p, %v", checked, err)
	}
	for _, l := range others {
		l.keys[0] = "mine" // who looks again finds it
	}
	write("theirs")
	if _, err := c.place(checked, &read, []string{"mine"}); err != nil {
		t.Errorf("the committer looks at what was checked: %v", err)
	}
	for _, key := range []string{"mine", "ours/1"} {
		at := c.begin()
		write(key)
		if _, err := c.place(at, &read, nil); !errors.Is(err, log.ErrConflict) {
			t.Errorf("%s was written meanwhile: %v", key, err)
		}
	}
}

// What transactions have written is remembered for those that are open, and no longer.
func TestConflictsAreForgotten(t *testing.T) {
	tr := inMemory(t)
	set := func(key string) weak.Pointer[link] {
		if err := NewUpdater(tr, 0).Update(t.Context(), func(tx engine.Tx) error { return tx.Set(key, nil) }); err != nil {
			t.Fatal(err)
		}
		return weak.Make(tr.conflicts.begin())
	}
	before := set("before")
	var during weak.Pointer[link]
	err := NewUpdater(tr, 0).Update(t.Context(), func(tx engine.Tx) error {
		_, err := tx.Get([]byte("before"))
		set("start")
		during = set("during")
		set("last")
		runtime.GC()
		if before.Value() == nil || during.Value() == nil {
			t.Error("what an open transaction may conflict with is forgotten")
		}
		return errors.Join(err, tx.Set("mine", nil))
	})
	if err != nil {
		t.Fatal(err)
	}
	set("after")
	runtime.GC()
	if before.Value() != nil || during.Value() != nil {
		t.Error("transactions are remembered though none is running")
	}
}
