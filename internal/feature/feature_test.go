package feature

import (
	"maps"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLevels(t *testing.T) {
	st := store.OpenMemory()
	open := func() (*Levels, func()) {
		c := writer.NewCommitter(st, zap.NewNop())
		l, err := Open(st, c, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		return l, c.Close
	}
	is := func(l *Levels, level int16, epoch int64) {
		t.Helper()
		want := make(map[string]int16)
		for _, f := range All { // the others stay where they begin
			want[f.Name] = f.Max
		}
		if want[Transactions] = level; level == 0 {
			delete(want, Transactions)
		}
		got, e := l.Now()
		if !maps.Equal(got, want) || e != epoch || l.Level(Transactions) != level || l.Level("none") != 0 {
			t.Errorf("%v in epoch %d, %d; want %v in %d", got, e, l.Level(Transactions), want, epoch)
		}
	}
	l, end := open()
	is(l, 2, 0)
	for epoch, level := range []int16{0, 1, 2, 1} {
		if err := l.Set(t.Context(), map[string]int16{Transactions: level}); err != nil {
			t.Fatal(err)
		}
		is(l, level, int64(epoch)+1)
	}
	end()
	if err := l.Set(t.Context(), map[string]int16{Transactions: 0}); err == nil {
		t.Error("set after the end")
	}
	is(l, 1, 4)
	l, end = open()
	is(l, 1, 4)
	end()
	var b store.Batch
	b.Set(key, []byte("{damaged"))
	if err := st.Commit(&b); err != nil {
		t.Fatal(err)
	}
	l, end = open()
	defer end()
	is(l, 2, 0)
	if err := l.Set(t.Context(), map[string]int16{Transactions: 1}); err != nil {
		t.Fatal(err)
	}
	is(l, 1, 1)
}
