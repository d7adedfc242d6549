package producers

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// desk is a store in memory on which a story has its hands while nothing moves.
type desk struct {
	store.Store
	hold  chan struct{} // when set, the outcome of a commit is kept back until it is closed
	after func()        // when set, it is called after a commit
	full  error         // what Room answers
	syncs int
}

func (d *desk) Commit(b *store.Batch) error {
	err := d.Store.Commit(b)
	if d.hold != nil {
		<-d.hold
	}
	if d.after != nil {
		d.after()
	}
	return err
}

func (d *desk) Room(int, bool) error { return d.full }

func (d *desk) Sync() error {
	d.syncs++
	return nil
}

// scene is a committer at work on a desk, and what its transactions came to.
type scene struct {
	t    *testing.T
	desk *desk
	*writer.Committer
	told []string // outcomes in the order of Done: "name", or "name: error"
}

// play runs a story in a bubble, where it can wait until nothing moves any more.
func play(t *testing.T, story func(t *testing.T, s *scene)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &scene{t: t, desk: &desk{Store: store.OpenMemory()}}
		s.Committer = writer.NewCommitter(s.desk, zap.NewNop())
		defer func() {
			s.Close()
			if err := s.desk.Close(); err != nil {
				t.Error(err)
			}
		}()
		story(t, s)
	})
}

// submit hands tx over and notes its outcome under name; it returns when nothing moves.
func (s *scene) submit(name string, tx *writer.Tx) {
	tx.Done = func(err error) {
		switch {
		case errors.Is(err, log.ErrOutOfOrderSequence): // whatever was wrong with the batch before
			name += ": sequence"
		case errors.Is(err, log.ErrProducerFenced):
			name += ": fenced"
		case errors.Is(err, log.ErrDiskFull):
			name += ": full"
		case err != nil:
			name += ": " + err.Error()
		}
		s.told = append(s.told, name)
	}
	s.Submit(tx)
	synctest.Wait()
}

// hears checks what was told since it was last asked.
func (s *scene) hears(want ...string) {
	s.t.Helper()
	synctest.Wait()
	if !slices.Equal(s.told, want) {
		s.t.Errorf("told %q, want %q", s.told, want)
	}
	s.told = nil
}

// partition returns the partition t/i of the scene.
func (s *scene) partition(i int) *partition.Partition {
	id := store.PartitionID{Topic: 1, Partition: uint32(i)}
	return partition.Open(log.NewLog(s.desk, id, log.TopicPartition{Topic: "t", Partition: int32(i)}), partition.Rules{MaxMessageBytes: 16 << 20})
}

// appends is a transaction with a batch of these values for p.
func appends(t testing.TB, p *partition.Partition, values ...string) *writer.Tx {
	t.Helper()
	var b log.Builder
	for i, v := range values {
		b.Append(int64(1000+i), nil, []byte(v), nil)
	}
	batch, err := b.Seal(nil, log.CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	return &writer.Tx{Appends: []writer.Append{{Partition: p, Batch: batch}}}
}

// content is the values of all visible records of p, with their offsets.
func content(t testing.TB, p *partition.Partition) string {
	t.Helper()
	var words []string
	_, err := p.Read(0, nil, func(sb log.StoredBatch) bool {
		records, err := sb.Batch.AppendRecords(nil)
		if err != nil {
			t.Error(err)
		}
		r := log.NewRecordReader(sb.Batch, records)
		var rec log.Record
		more, err := r.Next(&rec)
		for ; more && err == nil; more, err = r.Next(&rec) {
			words = append(words, fmt.Sprintf("%d:%s", rec.Offset, rec.Value))
		}
		if err != nil {
			t.Error(err)
		}
		return true
	})
	if err != nil {
		t.Error(err)
	}
	return strings.Join(words, " ")
}
