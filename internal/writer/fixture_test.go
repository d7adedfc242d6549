package writer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBroken = errors.New("the disk is broken")

// desk is a store in memory on which a story has its hands. It stores commits as they
// come, in their order; when told to hold, it keeps the outcomes back until the story
// calls land, in whatever order.
type desk struct {
	store.Store

	mu      sync.Mutex // guards what follows
	hold    bool
	held    []*held
	commits int
	syncs   int
	room    func(n int, essential bool) error // what Room answers, when set
	sync    func(nth int) error               // what Sync does, when set
	commit  func(nth int) error               // why the n-th commit fails, when set
}

// held is a commit whose outcome was not told yet.
type held struct {
	b     *store.Batch
	bytes int
	err   error
	told  chan error
}

func (d *desk) Commit(b *store.Batch) error {
	d.mu.Lock()
	d.commits++
	n, fail, hold := d.commits, d.commit, d.hold
	d.mu.Unlock()
	h := &held{b: b, bytes: b.Bytes(), told: make(chan error, 1)}
	if fail != nil {
		h.err = fail(n)
	}
	if h.err == nil {
		h.err = d.Store.Commit(b)
	}
	if !hold {
		return h.err
	}
	d.mu.Lock()
	d.held = append(d.held, h)
	d.mu.Unlock()
	return <-h.told
}

func (d *desk) Room(n int, essential bool) error {
	d.mu.Lock()
	room := d.room
	d.mu.Unlock()
	if room == nil {
		return nil
	}
	return room(n, essential)
}

func (d *desk) Sync() error {
	d.mu.Lock()
	d.syncs++
	n, sync := d.syncs, d.sync
	d.mu.Unlock()
	if sync == nil {
		return nil
	}
	return sync(n)
}

// set changes what the desk does.
func (d *desk) set(change func(d *desk)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

// land tells the outcome of the i-th commit that is held, and lets everybody react.
func (d *desk) land(i int, err error) {
	d.mu.Lock()
	h := d.held[i]
	d.held = slices.Delete(d.held, i, i+1)
	d.mu.Unlock()
	if err == nil {
		err = h.err
	}
	h.told <- err
	synctest.Wait()
}

func (d *desk) inFlight() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.held)
}

// scene is a committer at work on a desk, and what its transactions came to.
type scene struct {
	t    *testing.T
	desk *desk
	*Committer

	mu   sync.Mutex
	told []string // outcomes in the order of Done: "name", or "name: error"
}

// play runs a story in a bubble, where it can wait until nothing moves any more.
func play(t *testing.T, story func(t *testing.T, s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{t: t, desk: &desk{Store: store.OpenMemory()}}
		s.Committer = NewCommitter(s.desk, zap.NewNop())
		defer s.end()
		story(t, s)
	})
}

// end lands what a story that failed left in flight, and closes everything.
func (s *scene) end() {
	s.desk.set(func(d *desk) { d.hold = false })
	synctest.Wait()
	if n := s.desk.inFlight(); n > 0 {
		s.t.Errorf("%d commits were never landed", n)
		for range n {
			s.desk.land(0, nil)
		}
	}
	s.Close()
	if err := s.desk.Close(); err != nil {
		s.t.Errorf("Close: %v", err)
	}
}

// submit hands tx over and notes its outcome under name; it returns when nothing moves.
func (s *scene) submit(name string, tx *Tx) {
	s.submitOnly(name, tx)
	synctest.Wait()
}

func (s *scene) submitOnly(name string, tx *Tx) {
	tx.Done = s.note(name)
	s.Submit(tx)
}

func (s *scene) note(name string) func(error) {
	return func(err error) {
		if err != nil {
			name += ": " + kind(err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.told = append(s.told, name)
	}
}

// kind is the word for err in a story.
func kind(err error) string {
	if errors.Is(err, log.ErrOutOfOrderSequence) {
		return "sequence" // whatever was wrong with the batch before
	}
	if errors.Is(err, log.ErrFailed) && errors.Is(err, log.ErrOutcomeUnknown) {
		return "in doubt"
	}
	for word, e := range map[string]error{
		"failed": log.ErrFailed, "closed": log.ErrClosed, "full": log.ErrDiskFull, "too large": log.ErrTxTooLarge,
		"record too large": log.ErrRecordTooLarge, "gone": log.ErrUnknownTopic,
		"fenced": log.ErrProducerFenced, "invalid": log.ErrInvalidTxnState, "corrupt": log.ErrCorruptRecord,
	} {
		if errors.Is(err, e) {
			return word
		}
	}
	return err.Error()
}

// hears checks what was told since it was last asked.
func (s *scene) hears(want ...string) {
	s.t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.told, want) {
		s.t.Errorf("told %q, want %q", s.told, want)
	}
	s.told = nil
}

// flying checks how many commits are on their way.
func (s *scene) flying(want int) {
	s.t.Helper()
	synctest.Wait()
	if got := s.desk.inFlight(); got != want {
		s.t.Fatalf("%d commits in flight, want %d", got, want)
	}
}

// busy runs change while the committer can begin nothing; then all that was submitted
// meanwhile is looked at together.
func (s *scene) busy(change func()) {
	synctest.Wait()
	s.mutex(func() {
		if s.leading {
			s.t.Error("somebody commits")
		}
		s.leading = true
	})
	change()
	s.mutex(s.passLocked)
	synctest.Wait()
}

// mutex runs fn while nobody else changes the committer.
func (s *scene) mutex(fn func()) {
	s.Committer.mu.Lock()
	defer s.Committer.mu.Unlock()
	fn()
}

// partition returns the partition t/i of the scene.
func (s *scene) partition(i int) *partition.Partition {
	id := store.PartitionID{Topic: 1, Partition: uint32(i)}
	return partition.Open(log.NewLog(s.desk, id, log.TopicPartition{Topic: "t", Partition: int32(i)}), partition.Rules{MaxMessageBytes: 16 << 20})
}

// batch is a batch with records of these values.
func batch(t testing.TB, values ...string) log.Batch {
	t.Helper()
	var b log.Builder
	for i, v := range values {
		b.Append(int64(1000+i), nil, []byte(v), nil)
	}
	env, err := b.Seal(nil, log.CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// sized is a batch with one record, of about n bytes.
func sized(t testing.TB, n int) log.Batch { return batch(t, strings.Repeat("x", n)) }

// appends is a transaction of these batches for p.
func appends(p *partition.Partition, envs ...log.Batch) *Tx {
	tx := &Tx{}
	for _, env := range envs {
		tx.Appends = append(tx.Appends, Append{Partition: p, Batch: env})
	}
	return tx
}

// writes is a transaction that sets a key.
func writes(key string) *Tx {
	tx := &Tx{}
	tx.Writes.Set([]byte("a"+key), []byte("1"))
	return tx
}

// content is the values of all visible records of p, with their offsets.
func content(t testing.TB, p *partition.Partition) string {
	t.Helper()
	return logContent(t, p.Log())
}

func logContent(t testing.TB, l *log.Log) string {
	t.Helper()
	var words []string
	_, err := l.Read(l.Start(), nil, func(sb log.StoredBatch) bool {
		if sb.Err != nil {
			t.Errorf("stored batch: %v", sb.Err)
			return true
		}
		b := sb.Batch
		records, err := b.AppendRecords(nil)
		if err != nil {
			t.Error(err)
		}
		r := log.NewRecordReader(b, records)
		var rec log.Record
		for {
			more, err := r.Next(&rec)
			if err != nil {
				t.Error(err)
			}
			if !more {
				return true
			}
			words = append(words, fmt.Sprintf("%d:%s", rec.Offset, rec.Value))
		}
	})
	if err != nil {
		t.Errorf("Read: %v", err)
	}
	return strings.Join(words, " ")
}

// has reports whether a key of writes is in the store.
func (s *scene) has(key string) bool {
	_, err := s.desk.Get([]byte("a" + key))
	return err == nil
}
