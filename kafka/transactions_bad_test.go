package kafka

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/txn"
)

// committed returns the values of a topic that a reader of what is committed gets, and the last stable offset.
func committed(c *client, topic string) (values string, stable int64) {
	c.t.Helper()
	resp := ask[*kmsg.FetchResponse](c, 12, readCommitted(topic, 0))
	part := &resp.Topics[0].Partitions[0]
	if part.ErrorCode != 0 {
		c.t.Fatalf("fetch: %d", part.ErrorCode)
	}
	aborted := make(map[int64][]int64) // by producer: where its aborted transactions begin
	for _, x := range part.AbortedTransactions {
		aborted[x.ProducerID] = append(aborted[x.ProducerID], x.FirstOffset)
	}
	var words []string
	for rest := part.RecordBatches; len(rest) > 0; {
		length, _, err := log.BatchLength(rest)
		if err != nil {
			c.t.Fatal(err)
		}
		b := log.Batch(rest[:length])
		id := b.ProducerID()
		starts := aborted[id]
		hidden := len(starts) > 0 && b.BaseOffset() >= starts[0]
		if b.Control() {
			if hidden {
				aborted[id] = starts[1:]
			}
		} else if !hidden {
			one := *resp
			one.Topics = []kmsg.FetchResponseTopic{{Partitions: []kmsg.FetchResponseTopicPartition{{RecordBatches: rest[:length]}}}}
			for _, r := range fetched(c.t, &one) {
				words = append(words, string(r.Value))
			}
		}
		rest = rest[length:]
	}
	return strings.Join(words, " "), part.LastStableOffset
}

// What a client sends that no transaction can have is refused with its code, and the transaction goes on or can be aborted.
func TestBadTransactions(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	k.create("gone", samsa.TopicConfig{})
	reader := k.dial()
	is := func(what string, got, want any) {
		t.Helper()
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	reads := func(values string, stable int64) {
		t.Helper()
		if got, end := committed(reader, "web_log"); got != values || end != stable {
			t.Errorf("committed are %q up to %d, want %q up to %d", got, end, values, stable)
		}
	}
	p := k.transactional("bank")

	is("the first", p.produce(12, "web_log", "a"), 0)
	p.seq["web_log"] = 5
	is("a gap", p.produce(12, "web_log", "gap"), codeOutOfOrderSequenceNumber)
	p.seq["web_log"] = 1
	is("what was missing", p.produce(12, "web_log", "b"), 0)
	reads("", 0)
	is("abort", p.end(5, false), 0)
	reads("", 3)
	p.seq["web_log"] = 2
	is("a gap after the end", p.produce(12, "web_log", "gap"), codeOutOfOrderSequenceNumber)
	p.seq["web_log"] = 0
	is("from 0 on", p.produce(12, "web_log", "c"), 0)
	is("commit", p.end(5, true), 0)
	reads("c", 5)

	for _, commit := range []bool{true, false} {
		marker := log.Marker(p.now.ID, p.now.Epoch, commit, 1)
		for what, b := range map[string]log.Batch{"a marker": marker, "a control batch": func() log.Batch {
			b := batch(t, log.CodecNone, record{1, "", "x"})
			b[22] |= 3 << 4
			b.SetProducer(p.now.ID, p.now.Epoch, p.seq["web_log"])
			return b
		}()} {
			req := produceRequest(-1, "web_log", b)
			req.TransactionID = &p.id
			is(what, ask[*kmsg.ProduceResponse](p.client, 12, req).Topics[0].Partitions[0].ErrorCode, codeInvalidRecord)
		}
	}
	reads("c", 5)

	now := p.now
	p.now.Epoch += 3
	is("from the future: produce", p.produce(12, "web_log", "x"), codeInvalidProducerEpoch)
	is("from the future: add", p.add(3, "web_log"), codeProducerFenced)
	is("from the future: add offsets", p.addOffsets(3), codeProducerFenced)
	is("from the future: offsets", p.commitOffset(5, 1, -1, noTopic), codeInvalidProducerEpoch)
	is("from the future: end", p.end(5, true), codeProducerFenced)
	p.now = now
	is("a record", p.produce(12, "web_log", "d"), 0)
	is("commit", p.end(5, true), 0)
	reads("c d", 7)

	is("a record", p.produce(12, "web_log", "e"), 0)
	is("a record", p.produce(12, "gone", "e"), 0)
	if err := k.Topics().Delete(k.ctx, "gone"); err != nil {
		t.Fatal(err)
	}
	is("to what is deleted", p.produce(12, "gone", "f"), codeUnknownTopicOrPartition)
	k.create("gone", samsa.TopicConfig{})
	is("commit", p.end(5, true), 0)
	reads("c d e", 9)
	// Partitions have names: the new one may get a marker, as in Kafka, and no more.
	got, _ := committed(reader, "gone")
	is("the new topic", got, "")
}

// A transaction of more partitions than a commit can end is refused what is too much, and can be ended.
func TestTransactionOfTooManyPartitions(t *testing.T) {
	const many = 10_000
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{Partitions: many})
	p := k.transactional("bank")
	add := func(from, to int32) (codes map[int16]int) {
		req := kmsg.NewPtrAddPartitionsToTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch = p.id, p.now.ID, p.now.Epoch
		rt := kmsg.AddPartitionsToTxnRequestTopic{Topic: "web_log"}
		for i := from; i < to; i++ {
			rt.Partitions = append(rt.Partitions, i)
		}
		req.Topics = append(req.Topics, rt)
		codes = make(map[int16]int)
		for _, rp := range ask[*kmsg.AddPartitionsToTxnResponse](p.client, 3, req).Topics[0].Partitions {
			codes[rp.ErrorCode]++
		}
		return codes
	}
	if got := add(0, many); len(got) != 1 || got[codeRecordListTooLarge] != many {
		t.Errorf("all at once: codes %v, want %d of all", got, codeRecordListTooLarge)
	}
	const step = 100
	n, last := int32(0), map[int16]int(nil)
	for ; n < many; n += step {
		if last = add(n, n+step); last[0] != step {
			break
		}
	}
	if n < 1000 || n == many || last[codeRecordListTooLarge] != step {
		t.Errorf("after %d partitions: codes %v", n, last)
	}
	if code := p.produce(9, "web_log", "x"); code != 0 {
		t.Errorf("a record: %d", code)
	}
	if code := p.end(4, false); code != 0 {
		t.Errorf("abort: %d", code)
	}
	if got := add(0, step); got[0] != step {
		t.Errorf("the next transaction: codes %v", got)
	}
	if code := p.end(4, true); code != 0 {
		t.Errorf("commit: %d", code)
	}
}

// maxIDBytes is what a transactional id with an open transaction takes in memory, at most.
const maxIDBytes = 8 << 10

// Many transactions are open at once in one partition. They take what is known, readers wait for all of them, and they end.
func TestManyTransactions(t *testing.T) {
	many := long("TRANSACTIONS", 2000)
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	reader := k.dial()
	p := &txnClient{client: k.dial(), seq: map[string]int32{}}
	producers := make([]txn.Producer, many)
	each := func(step string, do func(i int) int16) {
		t.Helper()
		for i := range many {
			p.id, p.now = fmt.Sprint("producer ", i), producers[i]
			clear(p.seq)
			if code := do(i); code != 0 {
				t.Fatalf("%s of %s: %d", step, p.id, code)
			}
			producers[i] = p.now
		}
	}
	before := live()
	each("init", func(int) int16 { return p.init(4, nil, 60_000) })
	each("record", func(i int) int16 { return p.produce(12, "web_log", fmt.Sprint(i)) })
	if took := live() - before; took > int64(many)*maxIDBytes {
		t.Errorf("%d open transactions take %d bytes", many, took)
	}
	if _, stable := committed(reader, "web_log"); stable != 0 {
		t.Errorf("stable up to %d, want 0", stable)
	}
	list := kmsg.NewPtrListTransactionsRequest()
	list.StateFilters = []string{"Ongoing"}
	if got := len(ask[*kmsg.ListTransactionsResponse](reader, 1, list).TransactionStates); got != many {
		t.Errorf("%d are listed, want %d", got, many)
	}
	each("end", func(i int) int16 { return p.end(5, i%1000 == 999) })
	values, stable := committed(reader, "web_log")
	var kept []string
	for i := 999; i < many; i += 1000 {
		kept = append(kept, fmt.Sprint(i))
	}
	if want := strings.Join(kept, " "); values != want || stable != int64(2*many) {
		t.Errorf("committed are %s up to %d, want %s up to %d", values, stable, want, 2*many)
	}
}

// A transaction that is left open is aborted when its time is over, which lets waiting readers go on; who comes back with it is
// told, and goes on with a new epoch.
func TestTransactionLeftOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{}, Options{})
		k.create("web_log", samsa.TopicConfig{})
		p, next := k.transactional("bank"), k.transactional("next")
		if p.produce(12, "web_log", "left") != 0 || next.produce(12, "web_log", "kept") != 0 || next.end(5, true) != 0 {
			t.Fatal("not produced")
		}
		_ = p.Close()
		reader := k.dial()
		if values, stable := committed(reader, "web_log"); values != "" || stable != 0 {
			t.Errorf("committed are %q up to %d before the end", values, stable)
		}
		began := time.Now()
		req := readCommitted("web_log", 0)
		req.MaxWaitMillis = int32(time.Hour / time.Millisecond)
		if part := ask[*kmsg.FetchResponse](reader, 12, req).Topics[0].Partitions[0]; part.LastStableOffset != 4 {
			t.Errorf("woken with %d stable, want 4", part.LastStableOffset)
		}
		if took := time.Since(began); took < 59*time.Second || took > 62*time.Second {
			t.Errorf("aborted after %v", took)
		}
		if values, _ := committed(reader, "web_log"); values != "kept" {
			t.Errorf("committed are %q", values)
		}
		p.client = k.dial()
		if code := p.produce(12, "web_log", "late"); code != codeInvalidProducerEpoch {
			t.Errorf("produce after the time-out: %d", code)
		}
		if code := p.end(5, true); code != codeInvalidTxnState {
			t.Errorf("commit after the time-out: %d", code)
		}
		if code := p.init(4, &p.now, 60_000); code != 0 {
			t.Errorf("go on: %d", code)
		}
		if p.produce(12, "web_log", "again") != 0 || p.end(5, true) != 0 {
			t.Error("does not go on")
		}
		if values, _ := committed(reader, "web_log"); values != "kept again" {
			t.Errorf("committed are %q", values)
		}
	})
}

// A connection that is cut takes nothing of its transaction away and ends nothing: it goes on at another one.
func TestTransactionCut(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("web_log", samsa.TopicConfig{})
	p, reader := k.transactional("bank"), k.dial()
	for i, half := range []int{2, 10, 25} { // of the length, the header and the body
		value := fmt.Sprint(i)
		if code := p.produce(12, "web_log", value); code != 0 {
			t.Fatal(code)
		}
		req := kmsg.NewPtrEndTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = p.id, p.now.ID, p.now.Epoch, true
		req.SetVersion(5)
		p.write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)[:half])
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		p.client = k.dial()
		if _, stable := committed(reader, "web_log"); stable != int64(3*i) {
			t.Errorf("cut at %d: stable up to %d, want %d", half, stable, 3*i)
		}
		if p.produce(12, "web_log", value+"'") != 0 || p.end(5, true) != 0 {
			t.Fatal("does not go on")
		}
	}
	if values, stable := committed(reader, "web_log"); values != "0 0' 1 1' 2 2'" || stable != 9 {
		t.Errorf("committed are %q up to %d", values, stable)
	}
}
