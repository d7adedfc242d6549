package kafka

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
)

// A producer with an id is remembered where it has produced, and nowhere else.
func TestDescribeProducers(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{Partitions: 2})
	c := k.dial()
	id := ask[*kmsg.InitProducerIDResponse](c, 4, kmsg.NewPtrInitProducerIDRequest())
	b := batch(t, log.CodecNone, record{1, "", "x"}, record{1, "", "y"})
	b.SetProducer(id.ProducerID, id.ProducerEpoch, 0)
	if code := ask[*kmsg.ProduceResponse](c, 9, produceRequest(-1, "web_log", b)).Topics[0].Partitions[0].ErrorCode; code != 0 {
		t.Fatalf("produced: %d", code)
	}
	req := kmsg.NewPtrDescribeProducersRequest()
	req.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: "web_log", Partitions: []int32{0, 1, 2}}}
	got := ask[*kmsg.DescribeProducersResponse](c, 0, req).Topics[0].Partitions
	if got[0].ErrorCode != 0 || len(got[0].ActiveProducers) != 1 {
		t.Fatalf("partition 0: %+v", got[0])
	}
	p := got[0].ActiveProducers[0]
	if p.ProducerID != id.ProducerID || p.ProducerEpoch != 0 || p.LastSequence != 1 || p.LastTimestamp <= 0 || p.CurrentTxnStartOffset != -1 {
		t.Errorf("got %+v", p)
	}
	if got[1].ErrorCode != 0 || len(got[1].ActiveProducers) != 0 {
		t.Errorf("partition 1: %+v", got[1])
	}
	if got[2].ErrorCode != codeUnknownTopicOrPartition || got[2].ErrorMessage == nil {
		t.Errorf("partition 2: %+v", got[2])
	}
}
