package topic

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

var errBroken = errors.New("the disk is broken")

// house is a catalogue with all it stands on. On disk, reopen closes the store too; in
// memory the store stays, and everything else begins anew.
type house struct {
	t testing.TB
	*Catalogue
	dir    string // "" in memory
	store  store.Options
	st     *floor
	damage []error
	batch  int // number of the next record's value
}

// floor is the store, with what can be changed about it.
type floor struct {
	store.Store
	full    bool                // not even essential work fits
	commit  func(nth int) error // why the n-th commit fails, when set
	commits int
}

func (f *floor) Room(n int, essential bool) error {
	if f.full {
		return store.ErrDiskFull
	}
	return f.Store.Room(n, essential)
}

func (f *floor) Commit(b *store.Batch) error {
	f.commits++
	if f.commit != nil {
		if err := f.commit(f.commits); err != nil {
			return err
		}
	}
	return f.Store.Commit(b)
}

// both runs a story on disk and in memory.
func both(t *testing.T, story func(t *testing.T, h *house)) {
	t.Run("disk", func(t *testing.T) { inHouse(t, t.TempDir(), story) })
	t.Run("memory", func(t *testing.T) { inHouse(t, "", story) })
}

// inMemory runs a story in memory only.
func inMemory(t *testing.T, story func(t *testing.T, h *house)) { inHouse(t, "", story) }

func inHouse(t *testing.T, dir string, story func(t *testing.T, h *house)) {
	h := &house{t: t, dir: dir}
	h.open()
	defer h.close(true)
	story(t, h)
}

func (h *house) open() {
	h.t.Helper()
	if err := h.tryOpen(); err != nil {
		h.t.Fatalf("open: %v", err)
	}
}

func (h *house) tryOpen() (err error) {
	h.t.Helper()
	switch {
	case h.dir != "":
		st, err := store.Open(h.dir, h.store)
		if err != nil {
			h.t.Fatal(err)
		}
		h.st = &floor{Store: st}
	case h.st == nil:
		h.st = &floor{Store: store.OpenMemory()}
	}
	committer := writer.NewCommitter(h.st, zap.NewNop())
	var found Found
	h.Catalogue, found, err = Open(h.st, committer, zap.NewNop())
	h.damage = found.Damaged
	if err != nil {
		committer.Close()
	}
	return err
}

func (h *house) close(all bool) {
	h.t.Helper()
	if h.Catalogue != nil {
		h.committer.Close()
		h.Catalogue = nil
	}
	if all || h.dir != "" {
		if err := h.st.Close(); err != nil {
			h.t.Errorf("Close: %v", err)
		}
	}
}

func (h *house) reopen() {
	h.t.Helper()
	h.close(false)
	h.open()
}

// create adds a topic of n partitions.
func (h *house) create(name string, n int) *Topic {
	h.t.Helper()
	t, err := h.Create(ctx, name, Config{Partitions: n})
	if err != nil {
		h.t.Fatalf("Create(%s): %v", name, err)
	}
	return t
}

func (h *house) get(name string) *Topic {
	h.t.Helper()
	t, err := h.Get(name)
	if err != nil {
		h.t.Fatalf("Get(%s): %v", name, err)
	}
	return t
}

// write appends n batches of one record to a partition.
func (h *house) write(name string, i int32, n int) {
	h.t.Helper()
	p, err := h.get(name).Partition(i)
	if err != nil {
		h.t.Fatal(err)
	}
	for range n {
		var b log.Builder
		b.Append(1000, nil, fmt.Appendf(nil, "%d", h.batch), nil)
		h.batch++
		env, err := b.Seal(nil, log.CodecNone)
		if err != nil {
			h.t.Fatal(err)
		}
		if err := h.committer.Do(&writer.Tx{Appends: []writer.Append{{Partition: p, Batch: env}}}); err != nil {
			h.t.Fatalf("append: %v", err)
		}
	}
}

// raw writes to the store past everybody; a nil value deletes.
func (h *house) raw(key, value []byte) {
	h.t.Helper()
	var b store.Batch
	if value == nil {
		b.Delete(key)
	} else {
		b.Set(key, value)
	}
	if err := h.st.Store.Commit(&b); err != nil {
		h.t.Fatal(err)
	}
}

// keys counts what is stored per partition of a topic.
func (h *house) keys(number uint32) int {
	h.t.Helper()
	n := 0
	for _, r := range store.TopicRanges(number) {
		if err := h.st.Scan(r, func(store.Entry) (bool, error) { n++; return true, nil }); err != nil {
			h.t.Fatal(err)
		}
	}
	return n
}

// doomed counts the deleted topics that wait for Purge.
func (h *house) doomed() int {
	h.t.Helper()
	d, err := h.read(doomedKey)
	if err != nil {
		h.t.Fatal(err)
	}
	return len(d)
}

// names is the topics with their partitions: "a:1 b:3".
func (h *house) names() string {
	var words []string
	for _, t := range h.List() {
		words = append(words, fmt.Sprintf("%s:%d", t.Name(), len(t.Partitions())))
	}
	return strings.Join(words, " ")
}
