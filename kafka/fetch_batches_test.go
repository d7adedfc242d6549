package kafka

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
)

// Small and large batches of several partitions, one of them without any, come as they were
// stored, as many as the limits allow.
func TestFetchServesWhatIsStored(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{Partitions: 3})
	c := k.dial()
	stored := make([][]byte, 3)
	for i, size := range []int{10, 10, 20_000, 10, 9000, 9000, 10, 300_000, 10} {
		for _, partition := range []int32{0, 2} {
			b := batch(t, log.CodecNone, record{int64(i), "", strings.Repeat(string(rune('a'+i)), size)})
			req := produceRequest(1, "web_log", b)
			req.Topics[0].Partitions[0].Partition = partition
			p := ask[*kmsg.ProduceResponse](c, 9, req).Topics[0].Partitions[0]
			if p.ErrorCode != 0 {
				t.Fatalf("got %+v", p)
			}
			b.SetBaseOffset(p.BaseOffset)
			stored[partition] = append(stored[partition], b...)
		}
	}
	for _, tt := range []struct {
		partitionMax int32
		whole        bool
	}{{1 << 20, true}, {30_000, false}} {
		for _, version := range []int16{4, 11, 12, 13} {
			req := fetchRequest("web_log", 0)
			info := req.Topics[0].Partitions[0]
			info.PartitionMaxBytes = tt.partitionMax
			req.Topics[0].Partitions = nil
			for i := range stored {
				info.Partition = int32(i)
				req.Topics[0].Partitions = append(req.Topics[0].Partitions, info)
			}
			if version >= 13 {
				topic, err := k.srv.in.Catalogue.Get("web_log")
				if err != nil {
					t.Fatal(err)
				}
				req.Topics[0].TopicID = topic.ID()
			}
			got := ask[*kmsg.FetchResponse](c, version, req).Topics[0].Partitions
			for i, want := range stored {
				records := got[i].RecordBatches
				if got[i].ErrorCode != 0 || !bytes.HasPrefix(want, records) || tt.whole != slices.Equal(records, want) && len(want) > 0 {
					t.Errorf("version %d, at most %d bytes, partition %d: error %d, %d bytes of %d",
						version, tt.partitionMax, i, got[i].ErrorCode, len(records), len(want))
				}
				if n := len(records); len(want) > 0 && n == 0 || n > int(tt.partitionMax) {
					t.Errorf("version %d: %d bytes, at most %d are asked for", version, n, tt.partitionMax)
				}
			}
		}
	}
}
