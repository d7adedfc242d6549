package kafka

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/txn"
)

// txnClient is a producer with a transactional id that says what it is told to say.
type txnClient struct {
	*client
	id  string
	now txn.Producer
	seq map[string]int32 // the next, by topic
}

// transactional returns a client that has begun with a transactional id.
func (k *kit) transactional(id string) *txnClient {
	k.t.Helper()
	p := &txnClient{client: k.dial(), id: id, seq: map[string]int32{}}
	if code := p.init(4, nil, 60_000); code != 0 {
		k.t.Fatalf("InitProducerID: %d", code)
	}
	return p
}

// init asks for an epoch, as expected or as nobody, and has it from then on.
func (p *txnClient) init(version int16, expected *txn.Producer, timeoutMs int32) int16 {
	p.t.Helper()
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis = &p.id, timeoutMs
	if expected != nil {
		req.ProducerID, req.ProducerEpoch = expected.ID, expected.Epoch
	}
	resp := ask[*kmsg.InitProducerIDResponse](p.client, version, req)
	if resp.ErrorCode == 0 {
		p.now = txn.Producer{ID: resp.ProducerID, Epoch: resp.ProducerEpoch}
		clear(p.seq)
	}
	return resp.ErrorCode
}

// add adds partitions 0 of topics, and returns their codes.
func (p *txnClient) add(version int16, topics ...string) string {
	p.t.Helper()
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = p.id, p.now.ID, p.now.Epoch
	one := kmsg.NewAddPartitionsToTxnRequestTransaction()
	one.TransactionalID, one.ProducerID, one.ProducerEpoch, one.VerifyOnly = p.id, p.now.ID, p.now.Epoch, true
	for _, t := range topics {
		req.Topics = append(req.Topics, kmsg.AddPartitionsToTxnRequestTopic{Topic: t, Partitions: []int32{0}})
		one.Topics = append(one.Topics, kmsg.AddPartitionsToTxnRequestTransactionTopic{Topic: t, Partitions: []int32{0}})
	}
	req.Transactions = append(req.Transactions, one)
	resp := ask[*kmsg.AddPartitionsToTxnResponse](p.client, version, req)
	var codes []int16
	for _, t := range resp.Topics {
		codes = append(codes, t.Partitions[0].ErrorCode)
	}
	for _, t := range resp.Transactions {
		for _, t := range t.Topics {
			codes = append(codes, t.Partitions[0].ErrorCode)
		}
	}
	return strings.Trim(fmt.Sprint(codes), "[]")
}

// produce produces a batch of one transactional record.
func (p *txnClient) produce(version int16, topic, value string) int16 {
	p.t.Helper()
	b := batch(p.t, log.CodecNone, record{1, value, value})
	b[22] |= 1 << 4
	b.SetProducer(p.now.ID, p.now.Epoch, p.seq[topic])
	req := produceRequest(-1, topic, b)
	req.TransactionID = &p.id
	code := ask[*kmsg.ProduceResponse](p.client, version, req).Topics[0].Partitions[0].ErrorCode
	if code == 0 {
		p.seq[topic]++
	}
	return code
}

// end ends the transaction, and goes on with the epoch that comes back.
func (p *txnClient) end(version int16, commit bool) int16 {
	p.t.Helper()
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = p.id, p.now.ID, p.now.Epoch, commit
	resp := ask[*kmsg.EndTxnResponse](p.client, version, req)
	if next := (txn.Producer{ID: resp.ProducerID, Epoch: resp.ProducerEpoch}); resp.ErrorCode == 0 && version >= 5 && next != p.now {
		p.now = next
		clear(p.seq)
	}
	return resp.ErrorCode
}

func (p *txnClient) addOffsets(version int16) int16 {
	p.t.Helper()
	req := kmsg.NewPtrAddOffsetsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = p.id, p.now.ID, p.now.Epoch, "g"
	return ask[*kmsg.AddOffsetsToTxnResponse](p.client, version, req).ErrorCode
}

// commitOffset commits an offset of partition 0 of web_log for the group g in the transaction.
func (p *txnClient) commitOffset(version int16, offset int64, generation int32, topicID [16]byte) int16 {
	p.t.Helper()
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group, req.Generation = p.id, p.now.ID, p.now.Epoch, "g", generation
	rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	rp.Offset = offset
	req.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: "web_log", TopicID: topicID, Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{rp}}}
	return ask[*kmsg.TxnOffsetCommitResponse](p.client, version, req).Topics[0].Partitions[0].ErrorCode
}

// The errors of requests about transactions are those of Kafka 4.4.0, which was asked.
func TestTransactionErrors(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	k.create("out", samsa.TopicConfig{})
	is := func(what string, got, want any) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	p := k.transactional("bank")
	for version, want := range map[int16]int16{9: 48, 10: 48, 11: 120} {
		is(fmt.Sprintf("produce %d to what was not added", version), p.produce(version, "web_log", "x"), want)
	}
	is("nothing open, end 4", p.end(4, true), 48)
	is("nothing open, end 5, commit", p.end(5, true), 48)
	before := p.now
	is("nothing open, end 5, abort", p.end(5, false), 0)
	is("then", p.now, txn.Producer{ID: before.ID, Epoch: before.Epoch + 1})
	is("a generation of an unknown group", p.commitOffset(5, 1, 5, noTopic), 22)
	is("an unknown partition", p.add(3, "web_log", "nowhere", "out"), "55 3 55")
	is("verify 4", p.add(4, "web_log"), "120")
	is("verify 5", p.add(5, "web_log"), "120")
	is("add", p.add(3, "web_log"), "0")
	is("verify", p.add(5, "web_log"), "0")
	is("produce to what was added", p.produce(9, "web_log", "x"), 0)
	is("implicitly", p.produce(12, "web_log", "y"), 0)
	is("offsets not added", p.commitOffset(3, 1, -1, noTopic), 48)
	is("offsets not added", p.commitOffset(4, 1, -1, noTopic), 120)
	is("add offsets", p.addOffsets(3), 0)
	is("offsets", p.commitOffset(3, 1, -1, noTopic), 0)
	is("commit 4", p.end(4, true), 0)
	is("again", p.end(4, true), 0)
	is("otherwise", p.end(4, false), 48)

	is("produce 12", p.produce(12, "web_log", "z"), 0)
	old := p.now
	is("commit 5", p.end(5, true), 0)
	after := p.now
	p.now = old
	is("again", p.end(5, true), 0)
	is("the same answer", p.now, after)
	p.now = old
	is("otherwise", p.end(5, false), 48)
	for version, want := range map[int16]int16{9: 47, 11: 47, 12: 47} {
		is(fmt.Sprintf("old epoch, produce %d", version), p.produce(version, "web_log", "old"), want)
	}
	is("old epoch, add 1", p.add(1, "web_log"), "47")
	is("old epoch, add 3", p.add(3, "web_log"), "90")
	is("old epoch, add offsets 1", p.addOffsets(1), 47)
	is("old epoch, add offsets 2", p.addOffsets(2), 90)
	is("old epoch, offsets 3", p.commitOffset(3, 1, -1, noTopic), 47)
	old.Epoch--
	p.now = old
	is("old epoch, end 1", p.end(1, true), 47)
	is("old epoch, end 3", p.end(3, true), 90)
	is("old epoch, end 5", p.end(5, true), 90)

	p.now = after
	is("go on", p.init(4, &after, 60_000), 0)
	next := p.now
	is("go on again", p.init(4, &after, 60_000), 0)
	is("the same answer", p.now, next)
	is("from the future", p.init(4, &txn.Producer{ID: next.ID, Epoch: next.Epoch + 1}, 60_000), 90)
	is("a foreign id", p.init(4, &txn.Producer{ID: next.ID + 5}, 60_000), 90)
	is("a foreign id 3", p.init(3, &txn.Producer{ID: next.ID + 5}, 60_000), 47)
	is("an id without an epoch", p.init(4, &txn.Producer{ID: next.ID, Epoch: -1}, 60_000), 42)
	is("no time-out", p.init(4, nil, 0), 50)
	is("too long a time-out", p.init(4, nil, 900_001), 50)
	is("the longest", p.init(4, nil, 900_000), 0)
	p.now.ID++
	is("not its id", p.produce(12, "web_log", "x"), 49)
	is("not its id", p.end(5, true), 49)
	other := k.transactional("other")
	other.id = "nobody"
	is("unknown id", other.produce(12, "web_log", "x"), 49)
	is("unknown id", other.add(3, "web_log"), "49")
	is("unknown id", other.end(5, true), 49)
	other.id = ""
	is("no id", other.init(4, nil, 60_000), 42)
	plain := produceRequest(-1, "web_log", func() log.Batch {
		b := batch(t, log.CodecNone, record{1, "", "x"})
		b[22] |= 1 << 4
		b.SetProducer(1, 0, 0)
		return b
	}())
	is("without an id", ask[*kmsg.ProduceResponse](p.client, 12, plain).Topics[0].Partitions[0].ErrorCode, 53)
	if got := strings.Join(k.values("web_log", 3), " "); got != "x y z" {
		t.Errorf("stored are %s", got)
	}
}

// readCommitted asks for what is committed, and what comes with it.
func readCommitted(topic string, offset int64) *kmsg.FetchRequest {
	req := fetchRequest(topic, offset)
	req.IsolationLevel, req.MaxWaitMillis = 1, 0
	return req
}

// Who reads what is committed gets what is before the last stable offset, and is told what was aborted, by first offset.
func TestFetchCommitted(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	a, b, c := k.transactional("a"), k.transactional("b"), k.transactional("c")
	reader := k.dial()
	for i, step := range []struct {
		do   func() int16
		want string // high watermark, last stable offset, aborted ones; batches by producer, or markers
	}{
		{func() int16 { return 0 }, "0 0"},
		{func() int16 { return a.produce(12, "web_log", "a0") }, "1 0"},
		{func() int16 { return b.produce(12, "web_log", "b1") }, "2 0"},
		{func() int16 { return c.produce(12, "web_log", "c2") }, "3 0"},
		{func() int16 { return c.end(5, false) }, "4 0"},
		{func() int16 { return b.end(5, false) }, "5 0"},
		{func() int16 { return a.end(5, true) }, "6 6 b@1 c@2: a0 b1 c2 - - -"},
		{func() int16 { return b.produce(12, "web_log", "b6") }, "7 6 b@1 c@2: a0 b1 c2 - - -"},
		{func() int16 { return a.produce(12, "web_log", "a7") }, "8 6 b@1 c@2: a0 b1 c2 - - -"},
		{func() int16 { return a.end(5, false) }, "9 6 b@1 c@2: a0 b1 c2 - - -"},
		{func() int16 { return b.end(4, true) }, "10 10 b@1 c@2 a@7: a0 b1 c2 - - - b6 a7 - -"},
	} {
		if code := step.do(); code != 0 {
			t.Fatalf("step %d: code %d", i, code)
		}
		resp := ask[*kmsg.FetchResponse](reader, 12, readCommitted("web_log", 0))
		part := resp.Topics[0].Partitions[0]
		got := fmt.Sprintf("%d %d", part.HighWatermark, part.LastStableOffset)
		for _, x := range part.AbortedTransactions {
			for _, p := range []*txnClient{a, b, c} {
				if p.now.ID == x.ProducerID {
					got += fmt.Sprintf(" %s@%d", p.id, x.FirstOffset)
				}
			}
		}
		var words []string
		for rest := part.RecordBatches; len(rest) > 0; {
			length, _, err := log.BatchLength(rest)
			if err != nil {
				t.Fatal(err)
			}
			if batch := log.Batch(rest[:length]); batch.Control() {
				words = append(words, "-")
			} else {
				one := *resp
				one.Topics = []kmsg.FetchResponseTopic{{Partitions: []kmsg.FetchResponseTopicPartition{{RecordBatches: rest[:length]}}}}
				words = append(words, string(fetched(t, &one)[0].Value))
			}
			rest = rest[length:]
		}
		if len(words) > 0 {
			got += ": " + strings.Join(words, " ")
		}
		if got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
		for iso, end := range []int64{part.HighWatermark, part.LastStableOffset} {
			list := kmsg.NewPtrListOffsetsRequest()
			list.IsolationLevel = int8(iso)
			rp := kmsg.NewListOffsetsRequestTopicPartition()
			rp.Timestamp = listLatest
			list.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "web_log", Partitions: []kmsg.ListOffsetsRequestTopicPartition{rp}}}
			if at := ask[*kmsg.ListOffsetsResponse](reader, 6, list).Topics[0].Partitions[0].Offset; at != end {
				t.Errorf("step %d: isolation %d ends at %d, want %d", i, iso, at, end)
			}
		}
	}
	// In the middle only those are told of that reach there.
	resp := ask[*kmsg.FetchResponse](reader, 12, readCommitted("web_log", 5))
	if got := resp.Topics[0].Partitions[0].AbortedTransactions; len(got) != 1 || got[0].FirstOffset != 7 {
		t.Errorf("from offset 5 on: %+v", got)
	}
	if got := strings.Join(k.values("web_log", 5), " "); got != "a0 b1 c2 b6 a7" {
		t.Errorf("who reads everything gets %s", got)
	}
}

// A fetch that waits for what is committed wakes when it is.
func TestFetchCommittedWaits(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	p, reader := k.transactional("bank"), k.dial()
	req := readCommitted("web_log", 0)
	req.MaxWaitMillis = int32(time.Hour / time.Millisecond)
	reader.send(12, req)
	if code := p.produce(12, "web_log", "x"); code != 0 {
		t.Fatal(code)
	}
	if code := p.end(5, true); code != 0 {
		t.Fatal(code)
	}
	part := reader.receive().(*kmsg.FetchResponse).Topics[0].Partitions[0]
	if part.LastStableOffset != 2 || len(part.RecordBatches) == 0 {
		t.Errorf("got %+v", part)
	}
}

// Offsets of a transaction are the group's when it is committed, and till then unstable.
func TestTxnOffsetCommit(t *testing.T) {
	for version := int16(0); version <= 6; version++ {
		t.Run(fmt.Sprint("version ", version), func(t *testing.T) {
			k := start(t, samsa.Options{}, Options{})
			k.create("web_log", samsa.TopicConfig{Partitions: 2})
			tp, err := k.in().Catalogue.Get("web_log")
			if err != nil {
				t.Fatal(err)
			}
			id := [16]byte(tp.ID())
			p := k.transactional("bank")
			for round, commit := range []bool{true, false, true} {
				if version < 5 {
					if code := p.addOffsets(3); code != 0 {
						t.Fatal(code)
					}
				}
				if code := p.commitOffset(version, int64(10+round), -1, id); code != 0 {
					t.Fatalf("code %d", code)
				}
				if got := fetchOffsets(p.client, 7, nil, 0); got != "0@-1/-1!88" {
					t.Errorf("round %d: stable before the end: %q", round, got)
				}
				if got, err := k.Groups().Committed(k.ctx, "g"); err != nil || len(got) != min(round, 1) {
					t.Errorf("round %d: committed before the end: %v, %v", round, got, err)
				}
				if code := p.end(5, commit); code != 0 {
					t.Fatal(code)
				}
				want := []string{"0@10/-1", "0@10/-1", "0@12/-1"}[round]
				if got := fetchOffsets(p.client, 7, nil, 0); got != want {
					t.Errorf("round %d: %q, want %q", round, got, want)
				}
			}
		})
	}
}

// Who administers transactions sees them, and aborts what hangs.
func TestTransactionAdmin(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	k.create("out", samsa.TopicConfig{})
	open, done, idle := k.transactional("open"), k.transactional("done"), k.transactional("idle")
	for _, p := range []*txnClient{open, done} {
		if p.produce(12, "web_log", p.id) != 0 || p.produce(12, "out", p.id) != 0 {
			t.Fatal("not produced")
		}
	}
	if done.end(5, true) != 0 {
		t.Fatal("not ended")
	}
	c := k.dial()
	list := func(version int16, edit func(*kmsg.ListTransactionsRequest)) string {
		req := kmsg.NewPtrListTransactionsRequest()
		edit(req)
		resp := ask[*kmsg.ListTransactionsResponse](c, version, req)
		var words []string
		for _, s := range resp.TransactionStates {
			words = append(words, s.TransactionalID+" "+s.TransactionState)
		}
		return strings.Join(append(words, resp.UnknownStateFilters...), ", ")
	}
	for _, tt := range []struct {
		version int16
		edit    func(*kmsg.ListTransactionsRequest)
		want    string
	}{
		{0, func(*kmsg.ListTransactionsRequest) {}, "done CompleteCommit, idle Empty, open Ongoing"},
		{1, func(r *kmsg.ListTransactionsRequest) { r.StateFilters = []string{"Ongoing", "Gone"} }, "open Ongoing, Gone"},
		{1, func(r *kmsg.ListTransactionsRequest) { r.ProducerIDFilters = []int64{idle.now.ID} }, "idle Empty"},
		{1, func(r *kmsg.ListTransactionsRequest) { r.DurationFilterMillis = 1 << 40 }, "idle Empty"}, // it never began, long ago
		{2, func(r *kmsg.ListTransactionsRequest) { r.TransactionalIDPattern = kmsg.StringPtr("id|do.*") }, "done CompleteCommit"},
	} {
		if got := list(tt.version, tt.edit); got != tt.want {
			t.Errorf("listed: %s; want %s", got, tt.want)
		}
	}
	describe := kmsg.NewPtrDescribeTransactionsRequest()
	describe.TransactionalIDs = []string{"open", "done", "nobody", ""}
	got := ask[*kmsg.DescribeTransactionsResponse](c, 0, describe).TransactionStates
	if s := got[0]; s.ErrorCode != 0 || s.State != "Ongoing" || s.ProducerID != open.now.ID || s.TimeoutMillis != 60_000 || s.StartTimestamp <= 0 ||
		len(s.Topics) != 2 || s.Topics[0].Topic != "out" || s.Topics[1].Topic != "web_log" || !slices.Equal(s.Topics[1].Partitions, []int32{0}) {
		t.Errorf("the open one: %+v", s)
	}
	if s := got[1]; s.ErrorCode != 0 || s.State != "CompleteCommit" || len(s.Topics) != 0 {
		t.Errorf("the one that is done: %+v", s)
	}
	if got[2].ErrorCode != 105 || got[3].ErrorCode != 42 {
		t.Errorf("nobody: %d, no id: %d", got[2].ErrorCode, got[3].ErrorCode)
	}
	since := func() (at []int64) {
		req := kmsg.NewPtrDescribeProducersRequest()
		req.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: "web_log", Partitions: []int32{0}}}
		for _, p := range ask[*kmsg.DescribeProducersResponse](c, 0, req).Topics[0].Partitions[0].ActiveProducers {
			at = append(at, p.CurrentTxnStartOffset)
		}
		return at
	}
	if got := since(); !slices.Equal(got, []int64{0, -1}) {
		t.Errorf("open since %v", got)
	}
	mark := func(p txn.Producer, commit bool, topics ...string) string {
		m := kmsg.NewWriteTxnMarkersRequestMarker()
		m.ProducerID, m.ProducerEpoch, m.Committed = p.ID, p.Epoch, commit
		for _, name := range topics {
			m.Topics = append(m.Topics, kmsg.WriteTxnMarkersRequestMarkerTopic{Topic: name, Partitions: []int32{0}})
		}
		req := kmsg.NewPtrWriteTxnMarkersRequest()
		req.Markers = append(req.Markers, m)
		var codes []int16
		for _, rt := range ask[*kmsg.WriteTxnMarkersResponse](c, 1, req).Markers[0].Topics {
			codes = append(codes, rt.Partitions[0].ErrorCode)
		}
		return fmt.Sprint(codes)
	}
	if got := mark(open.now, true, "web_log"); got != "[31]" {
		t.Errorf("a commit by hand: %s", got)
	}
	if got := mark(txn.Producer{ID: done.now.ID, Epoch: 0}, false, "web_log"); got != "[47]" {
		t.Errorf("an old epoch: %s", got)
	}
	if got := mark(open.now, false, "web_log", "nowhere"); got != "[0 3]" {
		t.Errorf("an abort by hand: %s", got)
	}
	if got := since(); !slices.Equal(got, []int64{-1, -1}) {
		t.Errorf("then open since %v", got)
	}
}

// An abort by hand of what a transactional id has open, in one of its partitions, is the end of all of it: a commit
// that comes later commits no half.
func TestMarkerOfALiveTransaction(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	for _, name := range []string{"web_log", "out", "beside"} {
		k.create(name, samsa.TopicConfig{})
	}
	for _, topics := range [][]string{{"web_log"}, {"web_log", "out"}, {"out", "beside"}} {
		p := k.transactional("live")
		for _, name := range []string{"web_log", "out"} {
			if code := p.produce(12, name, "x"); code != 0 {
				t.Fatalf("produce: %d", code)
			}
		}
		m := kmsg.NewWriteTxnMarkersRequestMarker()
		m.ProducerID, m.ProducerEpoch = p.now.ID, p.now.Epoch
		for _, name := range topics {
			m.Topics = append(m.Topics, kmsg.WriteTxnMarkersRequestMarkerTopic{Topic: name, Partitions: []int32{0}})
		}
		req := kmsg.NewPtrWriteTxnMarkersRequest()
		req.Markers = append(req.Markers, m)
		for _, rt := range ask[*kmsg.WriteTxnMarkersResponse](k.dial(), 1, req).Markers[0].Topics {
			if code := rt.Partitions[0].ErrorCode; code != 0 {
				t.Errorf("%v: %s has code %d", topics, rt.Topic, code)
			}
		}
		if code := p.end(4, true); code != codeProducerFenced {
			t.Errorf("%v: the commit has code %d", topics, code)
		}
		for _, name := range []string{"web_log", "out"} {
			read := ask[*kmsg.FetchResponse](k.dial(), 12, readCommitted(name, 0)).Topics[0].Partitions[0]
			if read.LastStableOffset != read.HighWatermark || len(read.AbortedTransactions) == 0 {
				t.Errorf("%v: %s has %d of %d stable, and %d aborted", topics, name, read.LastStableOffset, read.HighWatermark, len(read.AbortedTransactions))
			}
		}
	}
}
