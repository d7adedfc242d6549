package log

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa/internal/store"
)

func TestEpochsEnd(t *testing.T) {
	t.Parallel()
	e := Epochs{{2, 10}, {5, 20}, {6, 50}}
	const end = 70
	for _, tt := range []struct {
		epoch, wantEpoch int32
		want             int64
	}{
		{-1, -1, -1}, {0, 0, 10}, {1, 1, 10}, {2, 2, 20}, {3, 2, 20}, {4, 2, 20}, {5, 5, 50}, {6, 6, end}, {7, -1, -1},
	} {
		if epoch, offset := e.End(tt.epoch, end); epoch != tt.wantEpoch || offset != tt.want {
			t.Errorf("epoch %d ends as %d at %d, want %d at %d", tt.epoch, epoch, offset, tt.wantEpoch, tt.want)
		}
	}
	if epoch, offset := Epochs(nil).End(0, end); epoch != 0 || offset != end {
		t.Errorf("the only epoch ends as %d at %d", epoch, offset)
	}
}

// Whatever is appended, trimmed and raised: epochs and starts rise, each record is of the epoch in which it was appended or,
// when that is forgotten, of a later one, and what is stored is what is there again.
func TestEpochsRise(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var e Epochs
		var of []int32 // epoch of each offset
		start := int64(0)
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0:
				start = rapid.Int64Range(start, int64(len(of))).Draw(t, "start")
			case 1, 2, 3:
				before := e.Latest()
				e = e.next(int64(len(of)), start)
				if e.Latest() != before+1 {
					t.Fatalf("%d is followed by %d", before, e.Latest())
				}
			default:
				of = append(of, e.Latest())
			}
		}
		if len(e) > maxEpochs {
			t.Fatalf("%d epochs", len(e))
		}
		for offset := start; offset < int64(len(of)); offset++ {
			if got := e.At(offset); got != of[offset] && len(e) < maxEpochs {
				t.Fatalf("offset %d is of epoch %d, was of %d: %v", offset, got, of[offset], e)
			}
			if epoch, end := e.End(of[offset], int64(len(of))); epoch >= 0 && end <= offset {
				t.Fatalf("epoch %d ends at %d, and offset %d is of it: %v", of[offset], end, offset, e)
			}
		}
		if len(e) == 0 {
			return
		}
		if again, err := decodeEpochs(e.append(nil)); err != nil || !reflect.DeepEqual(again, e) {
			t.Fatalf("%v, %v, want %v", again, err, e)
		}
	})
}

// However many epochs there have been, who has read records of one is not told that it ended before them: that would send
// a consumer that is behind to the start.
func TestEpochsForgotten(t *testing.T) {
	t.Parallel()
	var e Epochs
	const last = 3 * maxEpochs
	for i := range int64(last) {
		e = e.next(i+1, 0)
	}
	if len(e) != maxEpochs {
		t.Errorf("%d epochs are remembered, want %d", len(e), maxEpochs)
	}
	for offset := range int64(last) {
		if epoch, end := e.End(int32(offset), last); epoch != int32(offset) || end <= offset {
			t.Fatalf("epoch %d, of offset %d, ends as %d at %d", offset, offset, epoch, end)
		}
		if got := e.At(offset); got < int32(offset) {
			t.Fatalf("offset %d is of epoch %d", offset, got)
		}
	}
	e = Epochs{{math.MaxInt32 - 1, 5}}.next(6, 0).next(7, 0)
	if again, err := decodeEpochs(e.append(nil)); err != nil || again.Latest() != math.MaxInt32 {
		t.Errorf("behind the last epoch: %v, %v", again, err)
	}
}

func FuzzDecodeEpochs(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(Epochs{{1, 2}, {3, 4}}.append(nil))
	f.Fuzz(func(t *testing.T, v []byte) {
		e, err := decodeEpochs(v)
		if err != nil {
			if !errors.Is(err, ErrCorruptValue) {
				t.Error(err)
			}
			return
		}
		if again := e.append(nil); !slices.Equal(again, v) {
			t.Errorf("%x is %v, which is %x", v, e, again)
		}
	})
}

// Batches are of the epoch in which they are staged, and a log that is opened again goes on in its last one; if what is
// stored of the epochs is damaged, in that of its newest batch.
func TestEpochsOfBatches(t *testing.T) {
	t.Parallel()
	p := newFixture(t)
	raise := func() {
		var b store.Batch
		e := p.log.NextEpoch(&b)
		p.log.BeginEpoch(e)
		if err := p.st.Commit(&b); err != nil {
			t.Fatal(err)
		}
		p.log.SetEpochs(e)
	}
	p.append(1)
	raise()
	raise()
	p.append(2)
	raise()
	if got := p.epochs(); got != "[0 2] now 3" {
		t.Error(got)
	}
	p.reopen()
	p.append(1)
	if got := p.epochs(); got != "[0 2 3] now 3" {
		t.Errorf("opened again: %s", got)
	}
	raise()
	set(t, p.st, store.EpochsKey(ordersID), []byte("junk"))
	p.reopen()
	if got := p.epochs(); got != "[0 2 3] now 3" {
		t.Errorf("damaged: %s", got)
	}
	for offset, epoch := range []int32{0, 2, 2, 3} {
		if as, end := p.log.Epochs().End(epoch, p.log.End()); as != epoch || end <= int64(offset) {
			t.Errorf("damaged: epoch %d, of offset %d, ends as %d at %d", epoch, offset, as, end)
		}
	}
	if all := p.log.Damaged(); len(all) != 1 || !errors.Is(all[0], ErrCorruptValue) {
		t.Errorf("damaged: %v", all)
	}
}

// epochsFixture is a log that batches are appended to.
type epochsFixture struct {
	t   *testing.T
	st  store.Store
	log *Log
}

func newFixture(t *testing.T) *epochsFixture {
	p := &epochsFixture{t: t, st: store.OpenMemory()}
	t.Cleanup(func() { _ = p.st.Close() })
	p.log = NewLog(p.st, ordersID, TopicPartition{Topic: "orders"})
	return p
}

func (p *epochsFixture) append(n int) {
	var builder Builder
	for range n {
		builder.Append(1, nil, []byte("v"), nil)
	}
	batch, err := builder.Seal(nil, CodecNone)
	if err != nil {
		p.t.Fatal(err)
	}
	var b store.Batch
	s, _ := p.log.Stage(&b, nil, batch, 0)
	if err := p.st.Commit(&b); err != nil {
		p.t.Fatal(err)
	}
	p.log.Applied(s)
}

func (p *epochsFixture) reopen() {
	var err error
	if p.log, err = OpenLog(p.st, ordersID, TopicPartition{Topic: "orders"}); err != nil {
		p.t.Fatal(err)
	}
}

// epochs returns those of the batches, and that of the log.
func (p *epochsFixture) epochs() string {
	var all []int32
	if _, err := p.log.Read(0, nil, func(sb StoredBatch) bool {
		all = append(all, sb.Batch.LeaderEpoch())
		return true
	}); err != nil {
		p.t.Fatal(err)
	}
	return fmt.Sprint(all, " now ", p.log.LeaderEpoch())
}
