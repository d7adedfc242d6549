package kafka

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"

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

// A producer with a transactional id is refused so that its client gives up at once and says why,
// and the operator reads it too, once a connection.
func TestTransactionsAreRefused(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	for version, want := range map[int16]int16{2: codeTransactionalIDAuthorizationFailed, 3: codeUnsupportedVersion, 6: codeUnsupportedVersion} {
		c := k.dial()
		find := kmsg.NewPtrFindCoordinatorRequest()
		find.CoordinatorType, find.CoordinatorKey, find.CoordinatorKeys = 1, "bank", []string{"bank"}
		resp := ask[*kmsg.FindCoordinatorResponse](c, version, find)
		code, text := resp.ErrorCode, resp.ErrorMessage
		if version >= 4 {
			code, text = resp.Coordinators[0].ErrorCode, resp.Coordinators[0].ErrorMessage
		}
		if code != want || text == nil || !strings.Contains(*text, "transactions are not supported") {
			t.Errorf("version %d: code %d, message %v", version, code, text)
		}
		id := kmsg.NewPtrInitProducerIDRequest()
		id.TransactionalID = kmsg.StringPtr("bank")
		if got := ask[*kmsg.InitProducerIDResponse](c, 4, id); got.ErrorCode != codeUnsupportedVersion || got.ProducerID != -1 {
			t.Errorf("the producer id: %+v", got)
		}
		told := k.logs.FilterMessageSnippet("transactions").TakeAll()
		if len(told) != 1 || told[0].Level != zap.WarnLevel || told[0].ContextMap()["transactional id"] != "bank" {
			t.Errorf("version %d: logged %v", version, told)
		}
		k.logs.TakeAll()
	}
}
