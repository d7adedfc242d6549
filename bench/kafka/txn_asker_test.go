package kafka

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
)

// txnAsker is a producer with a transactional id, its topics and its group.
type txnAsker struct {
	*asker
	id      string
	in, out string // topics
	group   string
	now     producer
	seq     map[string]int32 // the next, by topic
	level   int16            // of the feature transaction.version
}

// coordinated waits until the coordinator of the transactional id knows that it is: the first who ask make Kafka
// create its topic of transactions, and the coordinator begin.
func (a *txnAsker) coordinated() {
	a.t.Helper()
	find := func(kind int8, key string) {
		code := a.soon(func() int16 {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorType, req.CoordinatorKey = kind, key
			return ask[*kmsg.FindCoordinatorResponse](a.asker, 2, req).ErrorCode
		})
		if code != 0 {
			a.t.Fatalf("%s: find the coordinator of %s: %s", a.story, key, codeName(code))
		}
	}
	find(0, a.group)
	find(1, a.id)
	for begun := time.Now(); a.state(a.id) != "TRANSACTIONAL_ID_NOT_FOUND"; time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			a.t.Fatalf("%s: the coordinator says %s", a.story, a.state(a.id))
		}
	}
	code := a.soon(func() int16 { // it fetches ids when it is first asked for one
		code, _ := a.initOnce(4, nil, nil, 60_000)
		return code
	})
	if code != 0 {
		a.t.Fatalf("%s: a producer id: %s", a.story, codeName(code))
	}
}

// init begins as nobody, or goes on as expected, and has from then on what it gets.
func (a *txnAsker) init(version int16, expected *producer, timeoutMs int32) int16 {
	a.t.Helper()
	code, p := a.initOnce(version, &a.id, expected, timeoutMs)
	if code == 0 {
		a.now = p
		clear(a.seq)
	}
	return code
}

// begin is init until it is answered, which it has to be with success.
func (a *txnAsker) begin(timeout time.Duration) {
	a.t.Helper()
	if code := a.soon(func() int16 { return a.init(4, nil, int32(timeout.Milliseconds())) }); code != 0 {
		a.t.Fatalf("%s: begin: %s", a.story, codeName(code))
	}
}

func (a *txnAsker) initOnce(version int16, id *string, expected *producer, timeoutMs int32) (int16, producer) {
	a.t.Helper()
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID, req.TransactionTimeoutMillis = id, timeoutMs
	if expected != nil {
		req.ProducerID, req.ProducerEpoch = expected.ID, expected.Epoch
	}
	resp := ask[*kmsg.InitProducerIDResponse](a.asker, version, req)
	return resp.ErrorCode, producer{resp.ProducerID, resp.ProducerEpoch}
}

// add adds partitions 0 of topics, or verifies from version 4 on, and returns the codes.
func (a *txnAsker) add(version int16, topics ...string) string {
	a.t.Helper()
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = a.id, a.now.ID, a.now.Epoch
	one := kmsg.NewAddPartitionsToTxnRequestTransaction()
	one.TransactionalID, one.ProducerID, one.ProducerEpoch, one.VerifyOnly = a.id, a.now.ID, a.now.Epoch, true
	for _, t := range topics {
		req.Topics = append(req.Topics, kmsg.AddPartitionsToTxnRequestTopic{Topic: t, Partitions: []int32{0}})
		one.Topics = append(one.Topics, kmsg.AddPartitionsToTxnRequestTransactionTopic{Topic: t, Partitions: []int32{0}})
	}
	req.Transactions = append(req.Transactions, one)
	resp := ask[*kmsg.AddPartitionsToTxnResponse](a.asker, version, req)
	if resp.ErrorCode != 0 {
		return codeName(resp.ErrorCode)
	}
	code := make(map[string]int16)
	for _, t := range resp.Topics {
		code[t.Topic] = t.Partitions[0].ErrorCode
	}
	for _, x := range resp.Transactions {
		for _, t := range x.Topics {
			code[t.Topic] = t.Partitions[0].ErrorCode
		}
	}
	var words []string
	for _, t := range topics {
		words = append(words, codeName(code[t]))
	}
	return strings.Join(words, " ")
}

// added adds a partition, which has to succeed.
func (a *txnAsker) added(topic string) {
	a.t.Helper()
	var answer string
	a.soon(func() int16 {
		if answer = a.add(3, topic); answer == "CONCURRENT_TRANSACTIONS" {
			return 51
		}
		return 0
	})
	if answer != "ok" {
		a.t.Fatalf("%s: add: %s", a.story, answer)
	}
}

// produce produces a transactional batch of one record.
func (a *txnAsker) produce(version int16, topic, value string) int16 {
	a.t.Helper()
	code, _ := a.send(version, -1, &a.id, topic, a.batch(transactional, a.now, a.seq[topic], value))
	if code == 0 {
		a.seq[topic]++
	}
	return code
}

// produced produces, which has to succeed.
func (a *txnAsker) produced(topic, value string) {
	a.t.Helper()
	version := int16(12)
	if a.level < 2 {
		version = 11
		a.added(topic)
	}
	if code := a.soon(func() int16 { return a.produce(version, topic, value) }); code != 0 {
		a.t.Fatalf("%s: produce: %s", a.story, codeName(code))
	}
}

// send produces a batch to partition 0, and returns where it is.
func (a *txnAsker) send(version, acks int16, id *string, topic string, b log.Batch) (int16, int64) {
	a.t.Helper()
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TransactionID, req.TimeoutMillis = acks, id, 30_000
	rt, rp := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	rt.Topic, rp.Records = topic, b
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	p := ask[*kmsg.ProduceResponse](a.asker, version, req).Topics[0].Partitions[0]
	return p.ErrorCode, p.BaseOffset
}

// end ends the transaction, and goes on as it is answered.
func (a *txnAsker) end(version int16, commit bool) int16 {
	a.t.Helper()
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = a.id, a.now.ID, a.now.Epoch, commit
	resp := ask[*kmsg.EndTxnResponse](a.asker, version, req)
	if next := (producer{resp.ProducerID, resp.ProducerEpoch}); resp.ErrorCode == 0 && version >= 5 && next != a.now {
		a.now = next
		clear(a.seq)
	}
	return resp.ErrorCode
}

// ended ends the transaction, in a version of the level, which has to succeed, and waits until it has ended everywhere.
func (a *txnAsker) ended(version int16, commit bool) {
	a.t.Helper()
	if a.level < 2 {
		version = min(version, 4)
	}
	if code := a.soon(func() int16 { return a.end(version, commit) }); code != 0 {
		a.t.Fatalf("%s: end: %s", a.story, codeName(code))
	}
	a.settled()
}

// settled waits until nothing of the transactional id is under way.
func (a *txnAsker) settled() {
	a.t.Helper()
	for begun := time.Now(); strings.HasPrefix(a.state(a.id), "Prepare"); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			a.t.Fatalf("%s: it ends for ever", a.story)
		}
	}
}

// state is the state of a transactional id, or the error.
func (a *txnAsker) state(id string) string {
	a.t.Helper()
	req := kmsg.NewPtrDescribeTransactionsRequest()
	req.TransactionalIDs = []string{id}
	s := ask[*kmsg.DescribeTransactionsResponse](a.asker, 0, req).TransactionStates[0]
	if s.ErrorCode != 0 {
		return codeName(s.ErrorCode)
	}
	return s.State
}

// described is what is told of a transactional id. Kafka has partitions of its topic of committed offsets among the
// others.
func (a *txnAsker) described() string {
	a.t.Helper()
	req := kmsg.NewPtrDescribeTransactionsRequest()
	req.TransactionalIDs = []string{a.id}
	s := ask[*kmsg.DescribeTransactionsResponse](a.asker, 0, req).TransactionStates[0]
	var topics []string
	for _, t := range s.Topics {
		if t.Topic == "__consumer_offsets" {
			continue
		}
		topics = append(topics, fmt.Sprint(t.Topic, t.Partitions))
	}
	slices.Sort(topics)
	return fmt.Sprintf("%s %s time-out %d begun %t %v %s", codeName(s.ErrorCode), s.State, s.TimeoutMillis, s.StartTimestamp > 0,
		topics, a.name(producer{s.ProducerID, s.ProducerEpoch}))
}

// listed is what ListTransactions tells of ids that begin with that of the asker.
func (a *txnAsker) listed(version int16, edit func(*kmsg.ListTransactionsRequest)) string {
	a.t.Helper()
	req := kmsg.NewPtrListTransactionsRequest()
	edit(req)
	resp := ask[*kmsg.ListTransactionsResponse](a.asker, version, req)
	words := []string{codeName(resp.ErrorCode)}
	for _, s := range resp.TransactionStates {
		if strings.HasPrefix(s.TransactionalID, a.id) {
			words = append(words, s.TransactionalID+" "+s.TransactionState)
		}
	}
	slices.Sort(words[1:])
	return strings.Join(append(words, resp.UnknownStateFilters...), ", ")
}

func (a *txnAsker) addOffsets(version int16, group string) int16 {
	a.t.Helper()
	req := kmsg.NewPtrAddOffsetsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = a.id, a.now.ID, a.now.Epoch, group
	return ask[*kmsg.AddOffsetsToTxnResponse](a.asker, version, req).ErrorCode
}

// offsets commits an offset of partition 0 of topic in, as edit has it.
func (a *txnAsker) offsets(version int16, offset int64, edit ...func(*kmsg.TxnOffsetCommitRequest)) int16 {
	a.t.Helper()
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group, req.Generation = a.id, a.now.ID, a.now.Epoch, a.group, -1
	rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	rp.Offset = offset
	req.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: a.in, Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{rp}}}
	for _, f := range edit {
		f(req)
	}
	return ask[*kmsg.TxnOffsetCommitResponse](a.asker, version, req).Topics[0].Partitions[0].ErrorCode
}

// fetchOffset is what the group has committed of partition 0 of topic in.
func (a *txnAsker) fetchOffset(stable bool) string {
	a.t.Helper()
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group, req.RequireStable = a.group, stable
	req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: a.in, Partitions: []int32{0}}}
	resp := ask[*kmsg.OffsetFetchResponse](a.asker, 7, req)
	p := resp.Topics[0].Partitions[0]
	return fmt.Sprint(codeName(resp.ErrorCode), " ", codeName(p.ErrorCode), " ", p.Offset)
}

// fetch is what a fetch of partition 0 of a topic brings: the high watermark, the last stable offset, what is aborted,
// and the batches. Of aborted transactions Kafka tells in the order of their markers, and we in that of their first
// offsets; both are noted in the latter. Those of which the answer has no records are left out: Kafka tells of some.
func (a *txnAsker) fetch(topic string, isolation int8, from int64) string {
	a.t.Helper()
	req := kmsg.NewPtrFetchRequest()
	req.MinBytes, req.MaxBytes, req.SessionEpoch, req.IsolationLevel = 0, 1<<20, -1, isolation
	rt, rp := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
	rt.Topic, rp.FetchOffset, rp.PartitionMaxBytes = topic, from, 1<<20
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	p := ask[*kmsg.FetchResponse](a.asker, 12, req).Topics[0].Partitions[0]
	words := []string{codeName(p.ErrorCode), fmt.Sprint("ends ", p.HighWatermark), fmt.Sprint("stable ", p.LastStableOffset)}
	batches := a.batches(p.RecordBatches)
	slices.SortFunc(p.AbortedTransactions, func(x, y kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
		return cmp.Compare(x.FirstOffset, y.FirstOffset)
	})
	for _, x := range p.AbortedTransactions {
		i := slices.IndexFunc(batches, func(b log.Batch) bool { return b.ProducerID() == x.ProducerID && b.LastOffset() >= x.FirstOffset })
		if i >= 0 && !batches[i].Control() { // not its end
			words = append(words, fmt.Sprintf("aborted %s@%d", strings.TrimSuffix(a.name(producer{ID: x.ProducerID}), "/0"), x.FirstOffset))
		}
	}
	for _, b := range batches {
		words = append(words, a.batchWord(b))
	}
	return strings.Join(words, " ")
}

// batches are those of an answer.
func (a *txnAsker) batches(raw []byte) (all []log.Batch) {
	a.t.Helper()
	for len(raw) > 0 {
		length, _, err := log.BatchLength(raw)
		if err != nil || length > int64(len(raw)) {
			a.t.Fatalf("%s: a batch of %d bytes in %d: %v", a.story, length, len(raw), err)
		}
		all, raw = append(all, log.Batch(raw[:length])), raw[length:]
	}
	return all
}

// batchWord tells of a batch.
func (a *txnAsker) batchWord(b log.Batch) string {
	word := fmt.Sprintf("%d..%d", b.BaseOffset(), b.LastOffset())
	if b.Transactional() {
		word += fmt.Sprintf(" of %s", a.name(producer{b.ProducerID(), b.ProducerEpoch()}))
	}
	raw, err := b.AppendRecords(nil)
	if err != nil {
		a.t.Fatal(err)
	}
	var rec log.Record
	for r := log.NewRecordReader(b, raw); ; {
		more, err := r.Next(&rec)
		if err != nil {
			a.t.Fatal(err)
		}
		if !more {
			return "[" + word + "]"
		}
		if b.Control() {
			word += fmt.Sprintf(" marker seq %d key %x value %d bytes", b.BaseSequence(), rec.Key, len(rec.Value))
		} else {
			word += fmt.Sprintf(" seq %d %s", b.BaseSequence(), rec.Value)
		}
	}
}

// list is what ListOffsets tells of partition 0 of a topic.
func (a *txnAsker) list(topic string, isolation int8, timestamp int64) string {
	a.t.Helper()
	req := kmsg.NewPtrListOffsetsRequest()
	req.IsolationLevel = isolation
	rp := kmsg.NewListOffsetsRequestTopicPartition()
	rp.Timestamp = timestamp
	req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.ListOffsetsRequestTopicPartition{rp}}}
	p := ask[*kmsg.ListOffsetsResponse](a.asker, 7, req).Topics[0].Partitions[0]
	return fmt.Sprint(codeName(p.ErrorCode), " ", p.Offset)
}

// producers is what DescribeProducers tells of partition 0 of a topic, but for the epoch of the coordinator, which is
// -1 in Kafka until it has written a marker there.
func (a *txnAsker) producers(topic string) string {
	a.t.Helper()
	req := kmsg.NewPtrDescribeProducersRequest()
	req.Topics = []kmsg.DescribeProducersRequestTopic{{Topic: topic, Partitions: []int32{0}}}
	p := ask[*kmsg.DescribeProducersResponse](a.asker, 0, req).Topics[0].Partitions[0]
	words := []string{codeName(p.ErrorCode)}
	for _, x := range p.ActiveProducers {
		p := a.name(producer{x.ProducerID, int16(x.ProducerEpoch)})
		words = append(words, fmt.Sprintf("%s last %d since %d", p, x.LastSequence, x.CurrentTxnStartOffset))
	}
	return strings.Join(words, ", ")
}

// mark asks to write a marker to partition 0 of a topic.
func (a *txnAsker) mark(version int16, p producer, commit bool, topic string) int16 {
	a.t.Helper()
	m := kmsg.NewWriteTxnMarkersRequestMarker()
	m.ProducerID, m.ProducerEpoch, m.Committed = p.ID, p.Epoch, commit
	m.Topics = []kmsg.WriteTxnMarkersRequestMarkerTopic{{Topic: topic, Partitions: []int32{0}}}
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	req.Markers = append(req.Markers, m)
	return ask[*kmsg.WriteTxnMarkersResponse](a.asker, version, req).Markers[0].Topics[0].Partitions[0].ErrorCode
}
