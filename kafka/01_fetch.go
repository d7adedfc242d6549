package kafka

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/topic"
)

// Fetch: the batches of partitions from given offsets on, as they are stored.
//
// Versions 0 to 18; up to 3, batches become message sets (message_set.go). It waits for
// MinBytes, at most MaxWait, woken by the partitions, and answers at once when a partition
// has an error. MaxBytes, of the partition and of the answer, are kept by whole batches: the
// first of the answer comes whatever its size. Sessions are in fetch_session.go. Who reads what is committed gets what is before
// the last stable offset, and is told which of it was aborted. Who has read records of an
// epoch that has ended before them is told where it ends (KIP-595), and who says that it is in the rack of another replica to read
// there (KIP-392). Left out: replicas.
func (c *call) fetch(req *kmsg.FetchRequest) kmsg.Response {
	session, err := c.session(req)
	if err != nil {
		resp := kmsg.NewPtrFetchResponse()
		resp.ErrorCode = c.s.codeOf(err)
		return resp
	}
	f := fetching{c: c, iso: isolation(req.IsolationLevel), wanted: c.s.opts.MaxFetchBytes, minBytes: int(req.MinBytes)}
	f.wanted = c.fetchMost(max(0, min(f.wanted, int(req.MaxBytes))))
	f.minBytes = min(f.minBytes, f.wanted)
	f.collect(req)
	f.read()
	if f.bytes < min(f.minBytes, f.maxBytes) && !f.failed && req.MaxWaitMillis > 0 {
		f.drop()
		f.wait(time.Duration(req.MaxWaitMillis) * time.Millisecond)
		f.read()
	}
	if !c.fetchQuota(f.bytes) {
		f.drop()
		return heldBack(session)
	}
	resp := f.answer(req)
	if session != nil {
		session.prune(resp)
	}
	c.blanks = findBlanks(resp, f.parts)
	return resp
}

// heldBack is the answer to a client that has taken too much of late: nothing, which it asks for again.
func heldBack(session *fetchSession) kmsg.Response {
	resp := kmsg.NewPtrFetchResponse()
	if resp.Topics = []kmsg.FetchResponseTopic{}; session != nil {
		resp.SessionID = session.id
	}
	return resp
}

// session returns the session that the request belongs to, nil for none, and fills in the
// request from it.
func (c *call) session(req *kmsg.FetchRequest) (*fetchSession, error) {
	if c.version < firstSessions {
		return nil, nil
	}
	session, err := c.openSession(req)
	if session == nil {
		return nil, err
	}
	session.merge(req)
	if session.fits(c.s.memory) {
		return session, nil
	}
	session.end(c.s.memory)
	c.conn.session = nil
	if req.SessionEpoch == sessionNew {
		return nil, nil // answered without one
	}
	return nil, protocolError{codeFetchSessionIDNotFound, "the fetch session has too many partitions"}
}

// firstSessions is the version of Fetch that brought sessions.
const firstSessions = 7

// fetching is a Fetch request being answered.
type fetching struct {
	c        *call
	iso      log.Isolation
	wanted   int // bytes of the answer, at most
	maxBytes int // the same, as there is memory for
	minBytes int // to wait for
	lacking  int // bytes of the first batch, when there is no memory for it
	parts    []fetchedPart
	bytes    int  // that were read
	failed   bool // a part has an error, or the client is to read it elsewhere
}

// fetchedPart is one partition of the request.
type fetchedPart struct {
	partition *partition.Partition // nil when it is unknown, which err says
	offset    int64
	epoch     int32 // of the leader, as the client knows it
	maxBytes  int
	read      pieces // in the call's memory
	err       error
	elsewhere elsewhere

	aborted  []kmsg.FetchResponseTopicPartitionAbortedTransaction // by first offset
	aborting map[int64]bool                                       // whose last one was, and has not ended
}

// note lists the transaction of a batch that was read, if it was aborted. The list is made of the batches that are there,
// and not of what the log knows by now: it may have been cleaned since they were read.
func (p *fetchedPart) note(sb log.StoredBatch) {
	id := sb.Batch.ProducerID()
	switch {
	case sb.Batch.Control():
		delete(p.aborting, id)
	case sb.Aborted && !p.aborting[id]:
		if p.aborting == nil {
			p.aborting = make(map[int64]bool)
		}
		p.aborting[id] = true
		t := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
		t.ProducerID, t.FirstOffset = id, sb.Batch.BaseOffset()
		p.aborted = append(p.aborted, t)
	}
}

// collect finds the partitions, in the order of the request.
func (f *fetching) collect(req *kmsg.FetchRequest) {
	for i := range req.Topics {
		rt := &req.Topics[i]
		for j := range rt.Partitions {
			rp := &rt.Partitions[j]
			part := fetchedPart{offset: rp.FetchOffset, maxBytes: int(rp.PartitionMaxBytes)}
			part.partition, part.err = f.c.partition(rt.Topic, topic.ID(rt.TopicID), f.c.version >= topicIDFetch, rp.Partition)
			if part.err == nil {
				part.epoch = rp.CurrentLeaderEpoch
				part.err = f.c.checkReads(part.partition, part.epoch)
			}
			if part.err == nil {
				f.direct(&part, rp.LastFetchedEpoch, req.Rack)
			}
			f.failed = f.failed || part.err != nil || part.elsewhere.is
			f.parts = append(f.parts, part)
		}
	}
}

// minFetchMemory is what a fetch waits for before it reads. The memory of an arena is at most
// arenaRatio times what is in it.
const (
	minFetchMemory = 64 << 10
	arenaRatio     = 2
)

// read reads what there is, in place of what it has read before, and as much as there is memory
// for: of the first batch all.
func (f *fetching) read() {
	least, most := minFetchMemory, max(minFetchMemory, arenaRatio*f.wanted)
	for {
		f.drop()
		n, err := f.c.answer.takeUpTo(f.c.s.ctx, least, most)
		if err != nil {
			return // the server closes
		}
		f.maxBytes, f.lacking = min(f.wanted, n/arenaRatio), 0
		f.readParts(n)
		took := f.c.arena.bytes()
		if f.c.version < firstFetchBatches {
			took = arenaRatio * f.bytes
		}
		if took <= n {
			f.c.answer.shrink(n - took)
		} else {
			f.c.answer.force(took - n)
		}
		if f.lacking == 0 {
			return
		}
		least = f.lacking + f.lacking/4
		most = least
	}
}

// drop forgets what was read.
func (f *fetching) drop() {
	f.c.arena.release()
	f.c.answer.end()
	f.bytes = 0
	for i := range f.parts {
		f.parts[i].read, f.parts[i].aborted, f.parts[i].aborting = pieces{}, nil, nil
	}
}

// readParts reads what there is, with so many bytes of memory.
func (f *fetching) readParts(memory int) {
	for i := range f.parts {
		part := &f.parts[i]
		if part.err != nil || part.elsewhere.is {
			continue
		}
		f.readPart(part, memory)
		if f.lacking > 0 {
			return
		}
		f.bytes += part.read.bytes
		f.failed = f.failed || part.err != nil
	}
}

// readPart reads a partition's batches, as many as the limits allow.
func (f *fetching) readPart(part *fetchedPart, room int) {
	limit := min(part.maxBytes, f.maxBytes-f.bytes)
	if f.c.version < firstFetchBatches {
		f.readDowngraded(part, limit)
		return
	}
	memory := &f.c.arena
	var broken error
	place := func(length int) ([]byte, bool) {
		if had := f.bytes+part.read.bytes > 0; had && part.read.bytes+length > limit {
			return nil, false
		} else if !had && length > room && room < f.c.s.memory.mostAnswer() {
			f.lacking = length
			return nil, false
		}
		return memory.place(length), true
	}
	part.err = part.partition.FetchInto(f.c.ctx, f.c.clientID, f.iso, part.offset, place, func(sb log.StoredBatch) bool {
		if sb.Err != nil {
			broken = sb.Err
			return false
		}
		part.read.add(memory, sb.Batch)
		part.note(sb)
		return part.read.bytes < limit
	})
	if part.err == nil && part.read.bytes == 0 {
		part.err = broken // else it comes the next time, first
	}
}

// wait returns when there are minBytes to read, or an error, or no time is left.
func (f *fetching) wait(atMost time.Duration) {
	defer f.c.idled()()
	w := partition.NewWaiter()
	for i := range f.parts {
		p := f.parts[i].partition
		p.Watch(w)
		defer p.Unwatch(w)
	}
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	pressed := f.c.s.memory.requests.pressure()
	moved := f.c.moved()
	if moved != nil { // it may have before
		f.refind()
	}
	for !f.failed && !f.enough() {
		select {
		case <-w.C():
		case <-moved:
			moved = f.c.moved()
			f.refind()
		case <-pressed: // others wait for what this request takes
			return
		case <-timer.C:
			return
		case <-f.c.ctx.Done():
			return
		}
	}
}

// enough reports whether there are minBytes, without reading them. An error is enough too.
func (f *fetching) enough() bool {
	bytes := 0
	for i := range f.parts {
		part := &f.parts[i]
		n, err := part.partition.BytesFrom(f.iso, part.offset, min(part.maxBytes, f.minBytes-bytes))
		if err != nil {
			return true
		}
		if bytes += n; bytes >= f.minBytes {
			return true
		}
	}
	return false
}

// answer makes the answer of what was read.
func (f *fetching) answer(req *kmsg.FetchRequest) *kmsg.FetchResponse {
	resp := kmsg.NewPtrFetchResponse()
	resp.Topics = make([]kmsg.FetchResponseTopic, 0, len(req.Topics))
	var leaders []int32 // of the partitions that others lead
	n := 0
	for i := range req.Topics {
		rt := &req.Topics[i]
		t := kmsg.NewFetchResponseTopic()
		t.Topic, t.TopicID = rt.Topic, rt.TopicID
		t.Partitions = make([]kmsg.FetchResponseTopicPartition, 0, len(rt.Partitions))
		for j := range rt.Partitions {
			out := f.outcome(&f.parts[n], rt.Partitions[j].Partition)
			if leader := out.CurrentLeader.LeaderID; leader >= 0 {
				leaders = append(leaders, leader)
			}
			t.Partitions = append(t.Partitions, out)
			n++
		}
		resp.Topics = append(resp.Topics, t)
	}
	if len(leaders) > 0 {
		for _, b := range f.c.endpoints(leaders) {
			resp.Brokers = append(resp.Brokers, kmsg.FetchResponseBroker{NodeID: b.NodeID, Host: b.Host, Port: b.Port, Rack: b.Rack})
		}
	}
	return resp
}

func (f *fetching) outcome(part *fetchedPart, index int32) kmsg.FetchResponseTopicPartition {
	out := kmsg.NewFetchResponseTopicPartition()
	out.Partition = index
	out.RecordBatches = []byte{}
	if part.read.bytes > 0 {
		out.RecordBatches = placeholders[0]
	}
	out.HighWatermark, out.LastStableOffset, out.LogStartOffset = -1, -1, -1
	if f.iso == log.ReadCommitted {
		out.AbortedTransactions = append([]kmsg.FetchResponseTopicPartitionAbortedTransaction{}, part.aborted...)
	}
	if part.err != nil {
		out.ErrorCode = f.c.s.topicCode(part.err, f.c.version >= topicIDFetch)
		if at, is := f.c.currentLeader(part.partition, out.ErrorCode, leaderFetch); is {
			out.CurrentLeader.LeaderID, out.CurrentLeader.LeaderEpoch = at.leader, at.epoch
		}
		return out
	}
	part.elsewhere.tell(&out)
	p := part.partition
	out.LastStableOffset = p.LastStable() // before the end, which it cannot pass
	out.HighWatermark, out.LogStartOffset = p.HighWatermark(), p.LogStart()
	return out
}

// findBlanks returns where in the answer the records of the parts belong.
func findBlanks(resp *kmsg.FetchResponse, parts []fetchedPart) []blank {
	var blanks []blank
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			slot := &resp.Topics[i].Partitions[j].RecordBatches
			if len(*slot) == 0 {
				continue
			}
			for parts[0].read.bytes == 0 {
				parts = parts[1:]
			}
			blanks = append(blanks, blank{slot, parts[0].read})
			parts = parts[1:]
		}
	}
	return blanks
}

// topicIDFetch is the version of Fetch from which topics have ids.
const topicIDFetch = 13

// isolation returns the isolation that a request asks for: anything but 1 is read_uncommitted, as in Kafka.
func isolation(level int8) log.Isolation {
	if level == 1 {
		return log.ReadCommitted
	}
	return log.ReadUncommitted
}
