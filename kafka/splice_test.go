package kafka

import (
	"bytes"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// An answer into which records are spliced is, byte for byte, the one that has them.
func TestSplice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		resp := kmsg.NewPtrFetchResponse()
		resp.SetVersion(int16(rapid.IntRange(4, 18).Draw(t, "version")))
		var records [][]byte
		for range rapid.IntRange(0, 3).Draw(t, "topics") {
			rt := kmsg.NewFetchResponseTopic()
			rt.Topic = rapid.String().Draw(t, "topic")
			for range rapid.IntRange(0, 3).Draw(t, "partitions") {
				rp := kmsg.NewFetchResponseTopicPartition()
				rp.HighWatermark = rapid.Int64().Draw(t, "high watermark")
				rp.RecordBatches = bytes.Repeat([]byte{byte(rapid.IntRange(0, 255).Draw(t, "byte"))}, rapid.SampledFrom([]int{0, 0, 1, 2, 126, 127, 128, 20_000}).Draw(t, "bytes"))
				records = append(records, rp.RecordBatches)
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		want := appendAnswer(nil, 7, resp)
		var blanks []blank
		for i := range resp.Topics {
			for j := range resp.Topics[i].Partitions {
				if r := records[0]; len(r) > 0 {
					all := [][]byte{r}
					if cut := rapid.IntRange(0, len(r)-1).Draw(t, "cut"); cut > 0 {
						all = [][]byte{r[:cut], r[cut:]}
					}
					blanks = append(blanks, blank{
						slot: &resp.Topics[i].Partitions[j].RecordBatches,
						with: pieces{all: all, bytes: len(r)},
					})
				}
				records = records[1:]
			}
		}
		got := splice(nil, getBuffer(firstAnswerBytes), 7, resp, blanks)
		if whole := slices.Concat(got...); !bytes.Equal(whole, want) {
			t.Fatalf("%d bytes %x...\nwant %d bytes %x...", len(whole), whole[:min(len(whole), 100)], len(want), want[:min(len(want), 100)])
		}
		limit := rapid.IntRange(1, 30_000).Draw(t, "limit")
		var again []byte
		for len(got) > 0 {
			head, rest := cutPieces(got, limit)
			part := slices.Concat(head...)
			if len(part) > limit || len(part) == 0 || len(part) < limit && len(rest) > 0 {
				t.Fatalf("a part of %d bytes, want %d", len(part), limit)
			}
			again, got = append(again, part...), rest
		}
		if !bytes.Equal(again, want) {
			t.Fatal("the parts are not the whole")
		}
	})
}

// What is read into an arena stays as it is, whatever is read behind it, and small pieces that
// lie together become one.
func TestArena(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a arena
		defer a.release()
		var p pieces
		var want []byte
		for i := range rapid.IntRange(1, 40).Draw(t, "batches") {
			b := bytes.Repeat([]byte{byte(i)}, rapid.SampledFrom([]int{1, 61, 100, 5000, 9000, 70_000}).Draw(t, "bytes"))
			promised := len(b) - rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "too little")
			p.add(&a, append(a.place(promised), b...))
			want = append(want, b...)
		}
		if got := slices.Concat(p.all...); !bytes.Equal(got, want) || p.bytes != len(want) {
			t.Fatalf("%d bytes in %d pieces, said to be %d, want %d", len(got), len(p.all), p.bytes, len(want))
		}
	})
	var a arena
	defer a.release()
	var p pieces
	for range 30 {
		p.add(&a, append(a.place(100), make([]byte, 100)...))
	}
	if len(p.all) > 2 {
		t.Errorf("30 small batches are %d pieces", len(p.all))
	}
}
