package kafka

import (
	"cmp"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/topic"
)

// Produce: appends a batch to each of any number of partitions.
//
// Versions 0 to 13. Batches are stored as they were sent, once they were checked (admit.go);
// of the message sets of versions 0 to 2 batches are made (message_set.go).
// Each partition succeeds or fails on its own. acks=1 and acks=all wait until the store has
// the records, or with Options.SyncAll all for fsync; acks=0 waits for nothing, gets no
// answer, and a failure ends the connection, as in Kafka. The timeout is not looked at: it is
// for replicas. A transactional batch is for a partition of its producer's transaction; from version 12 on the partition is
// taken into it (KIP-890).
func (c *call) produce(req *kmsg.ProduceRequest) pending {
	pr := &producing{c: c, req: req, ready: make(chan struct{})}
	n := 0
	for i := range req.Topics {
		n += len(req.Topics[i].Partitions)
	}
	pr.parts = make([]producedPart, n)
	pr.left.Store(1) // these loops
	pr.find()
	pr.refuseTwice()
	n = 0
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			pr.begin(&pr.parts[n], req.Topics[i].Partitions[j].Records)
			n++
		}
	}
	c.lease.shrink(pr.unused)
	pr.leave()
	return pr
}

// producing is a Produce request that was begun.
type producing struct {
	c      *call
	req    *kmsg.ProduceRequest // its records are not to be touched once it is begun
	parts  []producedPart       // in the order of the request
	unused int                  // bytes of the request's memory: records that were not copied
	left   atomic.Int32         // of parts, without an outcome
	ready  chan struct{}        // closed when none is left
}

// producedPart is the batch of one partition.
type producedPart struct {
	partition *partition.Partition
	tx        writer.Tx
	append    [1]writer.Append
	err       error
}

// The versions of Produce that differ.
const (
	leaderProduce    = 10 // clients are told who leads (KIP-951)
	abortableProduce = 11 // clients know TRANSACTION_ABORTABLE
	implicitProduce  = 12 // partitions need not be added before (KIP-890)
)

// foldableBytes is the size below which a plain batch may be stored together with others.
const foldableBytes = 4 << 10

// find finds the partitions.
func (pr *producing) find() {
	wrongAcks := pr.checkAcks()
	n := 0
	for i := range pr.req.Topics {
		rt := &pr.req.Topics[i]
		for j := range rt.Partitions {
			part := &pr.parts[n]
			n++
			if part.err = wrongAcks; wrongAcks == nil {
				part.partition, part.err = pr.c.led(rt.Topic, topic.ID(rt.TopicID), pr.c.version >= topicIDProduce, rt.Partitions[j].Partition)
			}
		}
	}
}

// refuseTwice refuses partitions that the request names more than once: the client could
// not tell the outcomes apart.
func (pr *producing) refuseTwice() {
	if len(pr.parts) < 2 {
		return
	}
	times := make(map[*partition.Partition]int, len(pr.parts))
	for i := range pr.parts {
		times[pr.parts[i].partition]++
	}
	for i := range pr.parts {
		part := &pr.parts[i]
		if n := times[part.partition]; part.err == nil && n > 1 {
			part.err = protocolError{codeInvalidRequest, fmt.Sprintf("the request names %s %d times", part.partition.TopicPartition(), n)}
		}
	}
}

// begin checks a batch and hands it to the committer.
func (pr *producing) begin(part *producedPart, records []byte) {
	if part.err != nil {
		return
	}
	c := pr.c
	if _, transactional := claimsProducer(records); transactional && pr.req.TransactionID == nil {
		part.err = protocolError{codeTransactionalIDAuthorizationFailed, "a transactional batch in a request without a transactional id"}
		return
	}
	var batch log.Batch
	var err error
	c.s.memory.inspect(func() { batch, err = admit(part.partition, c.version, records, c.s.opts.TrustCompressed) })
	if err != nil {
		part.err = err
		return
	}
	if &batch[0] == &records[0] {
		pr.unused += copiedRecords(len(records))
	}
	part.append[0] = writer.Append{
		Partition: part.partition, Batch: batch,
		Foldable: batch.Codec() == log.CodecNone && batch.ProducerID() < 0 && len(batch) < foldableBytes,
	}
	part.tx.Appends = part.append[:]
	part.tx.Synced = pr.req.Acks == -1 && c.s.opts.SyncAll
	part.tx.Client = c.clientID
	if batch.Transactional() {
		c.s.in.Txns.Guard(&part.tx, *pr.req.TransactionID, c.version >= implicitProduce)
	}
	part.tx.Done = func(err error) {
		part.err = err
		pr.leave()
	}
	pr.left.Add(1)
	c.s.in.Committer.Submit(&part.tx)
}

// claimsProducer reports whether the header of a batch, which is not checked yet, says that it is an idempotent producer's, and that it is transactional.
func claimsProducer(records []byte) (idempotent, transactional bool) {
	_, magic, err := log.BatchLength(records)
	if err != nil || magic != 2 || len(records) < log.BatchHeaderSize {
		return false, false
	}
	return log.Batch(records).ProducerID() >= 0, log.Batch(records).Transactional()
}

func (pr *producing) checkAcks() error {
	if pr.req.Acks < -1 || pr.req.Acks > 1 {
		return protocolError{codeInvalidRequiredAcks, fmt.Sprintf("acks %d, want -1, 0 or 1", pr.req.Acks)}
	}
	return nil
}

// leave notes that one part has its outcome.
func (pr *producing) leave() {
	if pr.left.Add(-1) == 0 {
		close(pr.ready)
	}
}

func (pr *producing) done() <-chan struct{} { return pr.ready }

// answer returns the outcomes, none for acks=0.
func (pr *producing) answer() (kmsg.Response, error) {
	resp := kmsg.NewPtrProduceResponse()
	var failed error    // the first
	var leaders []int32 // of the partitions that others lead
	n := 0
	for i := range pr.req.Topics {
		rt := &pr.req.Topics[i]
		t := kmsg.NewProduceResponseTopic()
		t.Topic, t.TopicID = rt.Topic, rt.TopicID
		t.Partitions = make([]kmsg.ProduceResponseTopicPartition, 0, len(rt.Partitions))
		for j := range rt.Partitions {
			part := &pr.parts[n]
			n++
			out := pr.outcome(part, rt.Partitions[j].Partition)
			if leader := out.CurrentLeader.LeaderID; leader >= 0 {
				leaders = append(leaders, leader)
			}
			t.Partitions = append(t.Partitions, out)
			failed = cmp.Or(failed, part.err)
		}
		resp.Topics = append(resp.Topics, t)
	}
	if len(leaders) > 0 {
		for _, b := range pr.c.endpoints(leaders) {
			resp.Brokers = append(resp.Brokers, kmsg.ProduceResponseBroker{NodeID: b.NodeID, Host: b.Host, Port: b.Port, Rack: b.Rack})
		}
	}
	if pr.req.Acks != 0 {
		return resp, nil
	}
	if failed != nil {
		return nil, fmt.Errorf("produce without acks: %w", failed)
	}
	return nil, nil
}

func (pr *producing) outcome(part *producedPart, index int32) kmsg.ProduceResponseTopicPartition {
	out := kmsg.NewProduceResponseTopicPartition()
	out.Partition = index
	if part.err != nil {
		code := pr.c.s.topicCode(part.err, pr.c.version >= topicIDProduce)
		out.ErrorCode, out.ErrorMessage = pr.c.notAdded(part.err, code, abortableProduce), messageOf(part.err, maxPartitionMessageBytes)
		out.BaseOffset, out.LogAppendTime, out.LogStartOffset = -1, -1, -1
		if at, is := pr.c.currentLeader(part.partition, out.ErrorCode, leaderProduce); is {
			out.CurrentLeader.LeaderID, out.CurrentLeader.LeaderEpoch = at.leader, at.epoch
		}
		var bad badRecords
		if errors.As(part.err, &bad) {
			out.ErrorRecords = bad.answer()
		}
		return out
	}
	a := &part.append[0]
	out.BaseOffset, out.LogAppendTime, out.LogStartOffset = a.BaseOffset, a.AppendTime, part.partition.LogStart()
	return out
}
