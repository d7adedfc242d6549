package log

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa/internal/store"
)

// past is all that a store was ever told, and what is there of it.
type past struct {
	t       *rapid.T
	commits []map[string]string // keys that were set
	alive   map[string]string
	logs    map[store.PartitionID]*pastLog
}

// pastLog is the batches of a partition that count, in order.
type pastLog struct {
	start   int64
	batches []pastBatch
}

type pastBatch struct {
	base int64
	key  store.BatchKey
}

func (b pastBatch) sealed(t fataler) Batch {
	t.Helper()
	var builder SparseBuilder
	builder.Reset(b.base)
	env, err := builder.Seal(CodecNone, Cover{LastOffset: b.key.LastOffset, MaxTimestamp: b.key.MaxTimestamp})
	if err != nil {
		t.Fatalf("Seal: %v", err)
	}
	return env
}

func (p *past) set(key []byte, value []byte) {
	p.commits = append(p.commits, map[string]string{string(key): string(value)})
	p.alive[string(key)] = string(value)
}

func (p *past) put(b pastBatch) {
	p.set(store.AppendBatchKey(nil, b.key), append(b.sealed(p.t), make([]byte, rapid.SampledFrom([]int{0, 2000}).Draw(p.t, "rest"))...))
}

func (p *past) drop(b pastBatch) { delete(p.alive, string(store.AppendBatchKey(nil, b.key))) }

// act does one thing to a log.
func (p *past) act(id store.PartitionID) {
	l := p.logs[id]
	if l == nil {
		l = &pastLog{}
		p.logs[id] = l
	}
	end := l.start
	if n := len(l.batches); n > 0 {
		end = l.batches[n-1].key.LastOffset + 1
	}
	n := len(l.batches)
	switch rapid.IntRange(0, 9).Draw(p.t, "act") {
	case 0, 1: // what compaction does
		if n == 0 {
			return
		}
		from := rapid.IntRange(0, n-1).Draw(p.t, "from")
		to := rapid.IntRange(from, min(n-1, from+3)).Draw(p.t, "to")
		b := pastBatch{base: l.batches[from].base, key: l.batches[to].key}
		most := int64(2)
		if from == to { // records go, and none comes
			most = b.key.MaxTimestamp
		}
		b.key.MaxTimestamp = rapid.Int64Range(-2, most).Draw(p.t, "ms")
		for _, old := range l.batches[from : to+1] {
			p.drop(old)
		}
		p.put(b)
		l.batches = slices.Replace(l.batches, from, to+1, b)
	case 2: // what retention does
		l.start = rapid.Int64Range(l.start, end).Draw(p.t, "start")
		p.set(store.LogStartKey(id), store.OffsetValue(l.start))
		for len(l.batches) > 0 && l.batches[0].key.LastOffset < l.start {
			p.drop(l.batches[0])
			l.batches = l.batches[1:]
		}
	case 3: // what the store does to give space back
		if n > 0 {
			key := string(store.AppendBatchKey(nil, rapid.SampledFrom(l.batches).Draw(p.t, "moved").key))
			p.set([]byte(key), []byte(p.alive[key]))
		}
	default:
		b := pastBatch{base: end, key: store.BatchKey{PartitionID: id, LastOffset: end + rapid.Int64Range(0, 5).Draw(p.t, "more")}}
		b.key.MaxTimestamp = rapid.Int64Range(-2, 2).Draw(p.t, "ms")
		p.put(b)
		l.batches = append(l.batches, b)
	}
}

// rebuilt returns a store that has all that counts, and some of what does not. Then it moves some of both.
func (p *past) rebuilt() store.Store {
	st := store.OpenMemory()
	gone := map[string]bool{}
	for _, c := range p.commits {
		var b store.Batch
		for key, value := range c {
			if _, alive := p.alive[key]; !alive {
				if _, decided := gone[key]; !decided {
					gone[key] = rapid.IntRange(0, 3).Draw(p.t, "gone") == 0
				}
			}
			if !gone[key] {
				b.Set([]byte(key), []byte(value))
			}
		}
		commit(p.t, st, &b)
	}
	all := contentOf(p.t, st)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if rapid.IntRange(0, 7).Draw(p.t, "move") == 0 {
			var b store.Batch
			b.Set([]byte(key), []byte(all[key]))
			commit(p.t, st, &b)
		}
	}
	return st
}

// Whatever comes back with an index that was made anew, what counts is left, and nothing else.
func TestRemoveDead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &past{t: t, alive: map[string]string{}, logs: map[store.PartitionID]*pastLog{}}
		ids := []store.PartitionID{{Topic: 1}, {Topic: 1, Partition: 1}, {Topic: 3, Partition: 7}, {Topic: 4}}
		for range rapid.IntRange(1, 80).Draw(t, "acts") {
			p.act(rapid.SampledFrom(ids).Draw(t, "partition"))
		}
		deleted := rapid.SliceOfDistinct(rapid.SampledFrom(ids), rapid.ID[store.PartitionID]).Draw(t, "deleted")
		maps.DeleteFunc(p.alive, func(key, _ string) bool {
			id, err := store.ParseBatchKey([]byte(key))
			return err == nil && slices.Contains(deleted, id.PartitionID)
		})
		st := p.rebuilt()
		owner := func(id store.PartitionID) (TopicPartition, Ownership) {
			if slices.Contains(deleted, id) {
				return TopicPartition{}, Nobodys
			}
			return TopicPartition{Topic: fmt.Sprint(id.Topic), Partition: int32(id.Partition)}, Owned
		}
		before := len(contentOf(t, st))
		r := remover{st: st, most: rapid.IntRange(1, 4).Draw(t, "most")}
		if err := r.run(owner); err != nil {
			t.Fatal(err)
		}
		after := contentOf(t, st)
		if !maps.Equal(after, content(p.alive)) || r.removed != before-len(after) {
			t.Fatalf("left are %d keys of %d, want %d; %d were removed", len(after), before, len(p.alive), r.removed)
		}
	})
}

// Batches that cannot be the whole log are told, and what is not clear is left alone.
func TestRemoveDeadFindsHoles(t *testing.T) {
	id := store.PartitionID{Topic: 1, Partition: 2}
	batch := func(base, last, ms int64) pastBatch {
		return pastBatch{base, store.BatchKey{PartitionID: id, LastOffset: last, MaxTimestamp: ms}}
	}
	for _, tt := range []struct {
		name    string
		start   int64
		batches []pastBatch // in the order of their commits
		is      Ownership
		want    string // in the error; "" for none
		left    int
	}{
		{"whole", 3, []pastBatch{batch(0, 3, 1), batch(4, 5, 1)}, Owned, "", 2},
		{"the first is missing", 4, []pastBatch{batch(5, 6, 1), batch(7, 9, 1)}, Owned, "web_log/2: corrupt value: offsets 4 to 4 are missing", 2},
		{"one between is missing", 0, []pastBatch{batch(0, 3, 1), batch(7, 9, 1)}, Owned, "web_log/2: corrupt value: offsets 4 to 6 are missing", 2},
		{"neither covers the other", 0, []pastBatch{batch(0, 3, 1), batch(2, 5, 1)}, Owned, "web_log/2: corrupt value: batches ending at offsets 3 and 5 overlap", 2},
		{"what covers was stored before", 0, []pastBatch{batch(0, 3, 1), batch(2, 2, 1)}, Owned, "", 1},
		{"what covers was stored before, with the same end", 0, []pastBatch{batch(0, 3, 1), batch(2, 3, 0)}, Owned, "", 1},
		{"nobody knows", 3, []pastBatch{batch(5, 6, 1)}, Unclear, "", 1},
		{"nobody has it", 0, []pastBatch{batch(5, 6, 1)}, Nobodys, "", 0},
		{"its log start is damaged", -1, []pastBatch{batch(0, 3, 1), batch(7, 9, 1)}, Owned, "", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st := store.OpenMemory()
			var b store.Batch
			b.Set(store.LogStartKey(id), store.OffsetValue(tt.start&0xff))
			if tt.start < 0 {
				b.Set(store.LogStartKey(id), []byte("junk"))
			}
			commit(t, st, &b)
			for _, batch := range tt.batches {
				b.Reset()
				b.Set(store.AppendBatchKey(nil, batch.key), batch.sealed(t))
				commit(t, st, &b)
			}
			_, err := RemoveDead(st, func(store.PartitionID) (TopicPartition, Ownership) {
				return TopicPartition{Topic: "web_log", Partition: 2}, tt.is
			})
			if tt.want == "" && err != nil || tt.want != "" && (!errors.Is(err, ErrCorruptValue) || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if left := len(contentOf(t, st)) - 1; left != tt.left {
				t.Errorf("%d batches are left, want %d", left, tt.left)
			}
		})
	}
}

// A value that is not that of its key is told.
func TestRemoveDeadChecksHeaders(t *testing.T) {
	key := store.BatchKey{LastOffset: 5, MaxTimestamp: 1}
	whole := sparse(t, 0, 5, 1)
	for name, value := range map[string][]byte{
		"short":         whole[:20],
		"other version": append([]byte{9}, whole[1:]...),
		"other offset":  sparse(t, 0, 4, 1),
	} {
		t.Run(name, func(t *testing.T) {
			st := store.OpenMemory()
			var b store.Batch
			b.Set(store.AppendBatchKey(nil, key), value)
			commit(t, st, &b)
			_, err := RemoveDead(st, func(store.PartitionID) (TopicPartition, Ownership) { return TopicPartition{Topic: "web_log"}, Owned })
			if !errors.Is(err, ErrCorruptValue) || !strings.Contains(err.Error(), "web_log/0: corrupt value: batch ending at offset 5") {
				t.Errorf("got %v", err)
			}
		})
	}
}
