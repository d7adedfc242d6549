package samsatest_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/samsatest"
)

// txnKit is the producer of the transactional id orders.
type txnKit struct {
	*wire
	id    int64
	epoch int16
	seq   int32
}

func transactional(t *testing.T, b *samsa.Broker) *txnKit {
	t.Helper()
	p := &txnKit{wire: dial(t, samsatest.Kafka(t, b), "shop")}
	p.init(t)
	return p
}

func (p *txnKit) init(t *testing.T) {
	t.Helper()
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis = kmsg.StringPtr("orders"), 60_000
	resp := p.ask(4, req).(*kmsg.InitProducerIDResponse)
	if resp.ErrorCode != 0 {
		t.Fatalf("InitProducerID: code %d", resp.ErrorCode)
	}
	p.id, p.epoch, p.seq = resp.ProducerID, resp.ProducerEpoch, 0
}

// write adds a record to the transaction, and returns the code.
func (p *txnKit) write(t *testing.T, topic, value string) int16 {
	t.Helper()
	var builder log.Builder
	builder.Append(time.Now().UnixMilli(), nil, []byte(value), nil)
	batch, err := builder.Seal(nil, log.CodecNone)
	if err != nil {
		t.Fatal(err)
	}
	const attributes, transactional = 22, 1 << 4
	batch[attributes] |= transactional
	batch.SetProducer(p.id, p.epoch, p.seq)
	p.seq++
	req := kmsg.NewPtrProduceRequest()
	req.TransactionID, req.Acks = kmsg.StringPtr("orders"), -1
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: batch}}}}
	return p.ask(12, req).(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode
}

// commitTo commits an offset of topic orders for the group billing, in the transaction.
func (p *txnKit) commitTo(offset int64) int16 {
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group, req.Generation = "orders", p.id, p.epoch, "billing", -1
	rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	rp.Offset = offset
	req.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: "orders", Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{rp}}}
	return p.ask(5, req).(*kmsg.TxnOffsetCommitResponse).Topics[0].Partitions[0].ErrorCode
}

func (p *txnKit) end(commit bool) int16 {
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = "orders", p.id, p.epoch, commit
	return p.ask(4, req).(*kmsg.EndTxnResponse).ErrorCode
}

// A fault of a transactional id hits all that names it, and nothing else, with the code wherever the answer has one.
func TestTransactionsFail(t *testing.T) {
	const concurrent = 51
	b := samsatest.New(t, samsatest.Topic("t", 1))
	addr := samsatest.Kafka(t, b)
	for _, kind := range dial(t, addr, "kit").ask(3, kmsg.NewPtrApiVersionsRequest()).(*kmsg.ApiVersionsResponse).ApiKeys {
		var named bool
		switch kmsg.Key(kind.ApiKey) {
		case kmsg.Produce:
			named, kind.MinVersion = true, 3
		case kmsg.InitProducerID, kmsg.AddPartitionsToTxn, kmsg.AddOffsetsToTxn, kmsg.TxnOffsetCommit, kmsg.EndTxn, kmsg.DescribeTransactions:
			named = true
		case kmsg.FindCoordinator:
			named, kind.MinVersion = true, 1 // the type
		case kmsg.OffsetCommit, kmsg.Metadata, kmsg.ListTransactions, kmsg.DescribeProducers, kmsg.DescribeGroups:
		default:
			continue
		}
		for _, version := range []int16{kind.MinVersion, kind.MaxVersion} {
			name := fmt.Sprintf("%s/%d", kmsg.NameForKey(kind.ApiKey), version)
			other := samsatest.Transactions(b, "u").FailWith(samsatest.Code(concurrent))
			any := samsatest.Transactions(b, "").FailWith(nil)
			fault := samsatest.Transactions(b, "t").FailWith(samsatest.Code(concurrent))
			req := kmsg.RequestForKey(kind.ApiKey)
			fillIn(reflect.ValueOf(req).Elem())
			if find, ok := req.(*kmsg.FindCoordinatorRequest); ok {
				find.CoordinatorType = 1
			}
			codes := codesIn(reflect.ValueOf(dial(t, addr, "kit").ask(version, req)).Elem())
			if (codes[concurrent] > 0) != named || (fault.Hits() == 1) != named || any.Hits() != fault.Hits() || other.Hits() != 0 {
				t.Errorf("%s: the codes are %v, hits %d, of another id %d, of any %d", name, codes, fault.Hits(), other.Hits(), any.Hits())
			}
			for _, f := range []*samsatest.Fault{other, any, fault} {
				f.Remove()
			}
		}
	}
	samsatest.Equal(t, b, "t", nil) // nothing was done
	for f, want := range map[*samsatest.Fault]string{
		samsatest.Transactions(b, "t").Hold():                                   "requests of transactional id t",
		samsatest.Transactions(b, "").Hold():                                    "requests of transactional ids",
		samsatest.Requests(b, kmsg.EndTxn.Int16(), 0).OfTransaction("t").Hold(): "requests EndTxn, Produce of transactional id t",
	} {
		if !strings.Contains(f.String(), want) {
			t.Errorf("%q, want %q in it", f, want)
		}
	}
}

// Partitions are added to a transaction all or none: the others of the request are not attempted if one is refused.
func TestPartitionOfATransactionFails(t *testing.T) {
	const unauthorized, notAttempted = 29, 55
	b := samsatest.New(t, samsatest.Topic("orders", 1), samsatest.Topic("receipts", 1))
	p := transactional(t, b)
	for _, version := range []int16{3, 5} {
		fault := samsatest.Requests(b, kmsg.AddPartitionsToTxn.Int16()).Of("orders").Next(1).FailWith(samsatest.Code(unauthorized))
		add := func() (codes []int16) {
			req := kmsg.NewPtrAddPartitionsToTxnRequest()
			one := kmsg.NewAddPartitionsToTxnRequestTransaction()
			one.TransactionalID, one.ProducerID, one.ProducerEpoch = "orders", p.id, p.epoch
			req.TransactionalID, req.ProducerID, req.ProducerEpoch = "orders", p.id, p.epoch
			for _, name := range []string{"orders", "receipts"} {
				req.Topics = append(req.Topics, kmsg.AddPartitionsToTxnRequestTopic{Topic: name, Partitions: []int32{0}})
				one.Topics = append(one.Topics, kmsg.AddPartitionsToTxnRequestTransactionTopic{Topic: name, Partitions: []int32{0}})
			}
			req.Transactions = append(req.Transactions, one)
			resp := p.ask(version, req).(*kmsg.AddPartitionsToTxnResponse)
			for _, t := range resp.Topics {
				codes = append(codes, t.Partitions[0].ErrorCode)
			}
			for _, t := range resp.Transactions {
				codes = append(codes, t.Topics[0].Partitions[0].ErrorCode, t.Topics[1].Partitions[0].ErrorCode)
			}
			return codes
		}
		if got := add(); !slices.Equal(got, []int16{unauthorized, notAttempted}) || fault.Hits() != 1 {
			t.Errorf("version %d: codes %d, %d hits", version, got, fault.Hits())
		}
		if got := add(); !slices.Equal(got, []int16{0, 0}) {
			t.Errorf("version %d: codes %d", version, got)
		}
	}
}

// What a test waits for and drains is what was committed: records and offsets, when the transaction ends.
func TestWaitForTransactions(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("orders", 1))
	p := transactional(t, b)
	codes := func(got ...int16) {
		t.Helper()
		if slices.ContainsFunc(got, func(code int16) bool { return code != 0 }) {
			t.Fatalf("codes %v", got)
		}
	}
	codes(p.write(t, "orders", "undone"), p.end(false), p.write(t, "orders", "tea"), p.commitTo(3))
	samsatest.Equal(t, b, "orders", nil)
	const notCoordinator = 16
	fault := samsatest.Requests(b, kmsg.EndTxn.Int16()).OfTransaction("orders").Next(1).FailWith(samsatest.Code(notCoordinator))
	if got := p.end(true); got != notCoordinator || fault.Hits() != 1 {
		t.Errorf("code %d, %d hits", got, fault.Hits())
	}
	samsatest.Equal(t, b, "orders", nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		samsatest.WaitCommitted(t, b, "billing", "orders", 1)
	}()
	got := make(chan []string)
	go func() { got <- samsatest.Texts(samsatest.WaitRecords(t, b, "orders", 1)) }()
	codes(p.end(true))
	if got := <-got; !slices.Equal(got, []string{"tea"}) {
		t.Errorf("waited for %q", got)
	}
	<-done
	samsatest.Equal(t, b, "orders", []string{"tea"})
}

// A transaction expires, and its producer is fenced, on demand.
func TestExpireTransaction(t *testing.T) {
	const invalidProducerEpoch, producerFenced = 47, 90
	b := samsatest.New(t, samsatest.Topic("orders", 1))
	p := transactional(t, b)
	if code := p.write(t, "orders", "late"); code != 0 {
		t.Fatalf("code %d", code)
	}
	samsatest.ExpireTransaction(t, b, "orders")
	if code := p.write(t, "orders", "later"); code != invalidProducerEpoch {
		t.Errorf("code %d", code)
	}
	p.init(t)
	wantErr(t, b.Transactions().Fence(ctx, "orders"), nil)
	if code := p.end(true); code != invalidProducerEpoch && code != producerFenced {
		t.Errorf("code %d", code)
	}
	samsatest.Equal(t, b, "orders", nil)
	ft := runFake(func(ft *fakeTest) { samsatest.ExpireTransaction(ft, b, "orders") })
	ft.wantErrs(t, "ExpireTransaction: transactional id orders: invalid state of a transaction")
}
