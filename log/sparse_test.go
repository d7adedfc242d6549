package log

import (
	"math"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestSparseBuilderRefuses(t *testing.T) {
	var b SparseBuilder
	b.Reset(100)
	add := func(offset int64) error {
		r := rec(offset, 1, "k", "v")
		return b.Append(&r)
	}
	for _, tt := range []struct {
		offset int64
		ok     bool
	}{{99, false}, {100, true}, {100, false}, {105, true}, {104, false}, {100 + MaxSpan, false}, {100 + MaxSpan - 1, true}} {
		if err := add(tt.offset); (err == nil) != tt.ok {
			t.Errorf("record at %d: %v", tt.offset, err)
		}
	}
	if b.b.Records() != 3 {
		t.Errorf("%d records", b.b.Records())
	}
	for _, last := range []int64{99, 105, 100 + MaxSpan} {
		if _, err := b.Seal(CodecNone, Cover{LastOffset: last}); err == nil {
			t.Errorf("sealed up to %d", last)
		}
	}
	env, err := b.Seal(CodecZstd, Cover{LastOffset: 100 + MaxSpan - 1})
	if err != nil {
		t.Fatal(err)
	}
	got := mustRead(t, env)
	sameRecords(t, got, []Record{rec(100, 1, "k", "v"), rec(105, 1, "k", "v"), rec(100+MaxSpan-1, 1, "k", "v")})
}

// Whatever is sealed is a batch that all checks take, with the records, and kmsg too.
func TestSparseBatches(t *testing.T) {
	records := []Record{
		rec(12, 50, "k", nil, Header{"h", nil}, Header{"", []byte{}}), rec(15, -7, "", ""), rec(19, 70, nil, "v"),
	}
	for _, codec := range codecs {
		for _, appendTime := range []bool{false, true} {
			var b SparseBuilder
			b.Reset(10)
			for i := range records {
				if err := b.Append(&records[i]); err != nil {
					t.Fatal(err)
				}
			}
			env, err := b.Seal(codec, Cover{LastOffset: 22, LogAppendTime: appendTime, MaxTimestamp: 99})
			if err != nil {
				t.Fatal(err)
			}
			batch, err := ParseBatch(env)
			if err != nil {
				t.Fatal(err)
			}
			want := slices.Clone(records)
			wantMax := int64(70)
			if appendTime {
				wantMax = 99
				for i := range want {
					want[i].Timestamp = rec(0, 99, nil, nil).Timestamp
				}
			}
			sameRecords(t, mustRead(t, batch), want)
			if batch.BaseOffset() != 10 || batch.LastOffset() != 22 || batch.MaxTimestamp() != wantMax ||
				batch.LogAppendTime() != appendTime || batch.ProducerID() != -1 {
				t.Errorf("%s: %d-%d, max %d", codec, batch.BaseOffset(), batch.LastOffset(), batch.MaxTimestamp())
			}
		}
	}
}

// A batch without records is read like any other.
func TestEmptyBatch(t *testing.T) {
	l := newLog(t, 2, 2, 2)
	replace(t, l, sparse(t, 2, 3), spanKey(span(t, 2, 2)))
	if got := offsetsIn(t, l); got != "0 1 4 5" {
		t.Errorf("records %s", got)
	}
	again := open(t, l.st)
	if seen(t, again, 0) != "0-1 2-3 4-5" || seen(t, again, 3) != "2-3 4-5" {
		t.Errorf("opened again: %s", seen(t, again, 0))
	}
	if offset, _, ok, err := l.OffsetForTime(ReadUncommitted, 1020); offset != 4 || !ok || err != nil {
		t.Errorf("time 1020: %d, %v, %v", offset, ok, err)
	}
	for _, from := range []int64{2, 3} {
		e := sparse(t, 2, 3)
		reader := NewRecordReader(e, nil)
		if err := reader.SkipTo(from); err != nil {
			t.Error(err)
		}
		if more, err := reader.Next(&Record{}); more || err != nil {
			t.Errorf("%v, %v", more, err)
		}
	}
}

// A delete horizon takes the place of the base timestamp; no reader notices, whatever the times.
func TestSparseBatchWithHorizon(t *testing.T) {
	const horizon = 1_700_000_000_000
	records := []Record{
		rec(12, 50, "k", nil, Header{"h", []byte("v")}), rec(15, NoTimestamp, "", ""), rec(19, 70, "n", nil),
		rec(20, math.MinInt64, "", nil), rec(21, horizon+1, "", nil),
	}
	for _, codec := range codecs {
		for _, appendTime := range []int64{0, 99} {
			var b SparseBuilder
			b.Reset(10)
			for i := range records {
				if err := b.Append(&records[i]); err != nil {
					t.Fatal(err)
				}
			}
			before := b.Size()
			env, err := b.Seal(codec, Cover{LastOffset: 22, LogAppendTime: appendTime > 0, MaxTimestamp: appendTime, DeleteHorizon: horizon})
			if err != nil {
				t.Fatal(err)
			}
			batch, err := ParseBatch(env)
			if err != nil {
				t.Fatal(err)
			}
			want, wantMax := slices.Clone(records), int64(horizon+1)
			for i := range want {
				if appendTime > 0 {
					want[i].Timestamp, wantMax = timeOf(appendTime), appendTime
				}
			}
			sameRecords(t, mustRead(t, batch), want)
			if got, ok := batch.DeleteHorizon(); !ok || got != horizon || batch.MaxTimestamp() != wantMax {
				t.Errorf("%s: horizon %d, %t, max timestamp %d", codec, got, ok, batch.MaxTimestamp())
			}
			if grown := len(mustRaw(t, batch)) + BatchHeaderSize - before; grown > HorizonBytes*len(records) {
				t.Errorf("%s: %d bytes longer", codec, grown)
			}
			var kb kmsg.RecordBatch
			if err := kb.ReadFrom(batch); err != nil || kb.Attributes&0x40 == 0 || kb.FirstTimestamp != horizon {
				t.Errorf("%s: kmsg reads %+v, %v", codec, kb, err)
			}
			if appendTime == 0 {
				sameRecords(t, kmsgRecords(t, kb, mustRaw(t, batch)), want)
			}
			batch.ClearDeleteHorizon()
			if batch, err = ParseBatch(batch); err != nil {
				t.Fatal(err)
			}
			if _, ok := batch.DeleteHorizon(); ok {
				t.Error("the horizon is still there")
			}
			sameRecords(t, mustRead(t, batch), want)
		}
	}
}

func mustRaw(t *testing.T, b Batch) []byte {
	t.Helper()
	raw, err := b.AppendRecords(nil)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
