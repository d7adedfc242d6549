package kafka

import (
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/share"
)

// ShareFetch: the batches of partitions that hold records for a member of a share group, as they are stored, with which
// of the records it has acquired; and what became of others (KIP-932).
//
// Versions 1 and 2, which has the mode in which MaxRecords is no batch more (KIP-1206), and locks that begin anew
// (KIP-1222). It waits for the first records, whatever MinBytes says, at most MaxWait, and answers at once when a
// partition has an error. Sessions are in share_session.go. Left out: BatchSize, as every record has a lock of its own.
func (c *call) shareFetch(req *kmsg.ShareFetchRequest) kmsg.Response {
	resp := kmsg.NewPtrShareFetchResponse()
	f := &shareFetching{c: c, req: req, resp: resp}
	if err := f.begin(); err != nil {
		resp.ErrorCode, resp.ErrorMessage = c.s.groupCodeOf(err), message(err)
		return resp
	}
	lock := c.s.in.Configs.Values(f.member.group).ShareLock()
	resp.AcquisitionLockTimeoutMillis = int32(lock.Milliseconds())
	acked := c.acknowledgeFetch(req, f.member)
	if !req.IsRenewAck {
		f.fetch()
	}
	f.answer(acked)
	if req.ShareSessionEpoch == sessionNone && c.s.shares.end(c.s.memory, f.member, nil) {
		c.s.in.Shares.ReleaseAll(f.member.group, f.member.id)
	}
	c.blanks = f.findBlanks()
	return resp
}

// shareFetching is a ShareFetch being answered.
type shareFetching struct {
	c        *call
	req      *kmsg.ShareFetchRequest
	resp     *kmsg.ShareFetchResponse
	member   shareMember
	session  *shareSession
	parts    []sharedPart
	records  int // that may still be acquired
	maxBytes int
	bytes    int // that were read
	lacking  int // bytes of the first batch, when there is no memory for it
	failed   bool
	leaders  []int32           // of the partitions that others lead
	waiter   *partition.Waiter // nil: it does not wait
}

// sharedPart is one partition of a ShareFetch.
type sharedPart struct {
	sharePart
	key      share.Key // unless err says why there is none
	read     pieces    // in the call's memory
	acquired []share.Range
	err      error

	partition *partition.Partition // nil unless there is one
}

// begin checks the request and opens its session.
func (f *shareFetching) begin() error {
	c, req := f.c, f.req
	if err := c.checkShare(req.GroupID, req.MemberID); err != nil {
		return err
	}
	if req.IsRenewAck && (req.MaxBytes != 0 || req.MinBytes != 0 || req.MaxRecords != 0 || req.MaxWaitMillis != 0) {
		return protocolError{codeInvalidRequest, "MaxBytes, MinBytes, MaxRecords and MaxWaitMs are 0 where IsRenewAck is true"}
	}
	f.member = shareMember{*req.GroupID, *req.MemberID}
	session, parts, err := c.s.shares.open(c, req, c.s.in.Configs.Broker().MaxShareSessions())
	if err != nil {
		if errors.Is(err, errShareLimit) {
			c.idle(time.Duration(req.MaxWaitMillis) * time.Millisecond)
		}
		return err
	}
	f.session = session
	for _, p := range parts {
		f.parts = append(f.parts, sharedPart{sharePart: p})
	}
	return nil
}

// idle waits for a while: a client that is refused would come again at once.
func (c *call) idle(d time.Duration) {
	defer c.idled()()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.ctx.Done():
	}
}

// fetch acquires records, and waits for them.
func (f *shareFetching) fetch() {
	f.maxBytes = max(0, min(f.c.s.opts.MaxFetchBytes, int(f.req.MaxBytes)))
	wants := f.req.MaxRecords > 0 && f.maxBytes > 0
	if wants && len(f.parts) > 0 && f.req.MaxWaitMillis > 0 {
		f.waiter = partition.NewWaiter()
	}
	for i := range f.parts {
		p := &f.parts[i]
		t, err := f.c.led("", p.topic, true, p.index)
		p.partition = t
		if err == nil {
			p.key = share.Key{Group: f.member.group, TopicPartition: t.TopicPartition()}
			if f.waiter != nil {
				if err = f.c.s.in.Shares.Watch(p.key, f.waiter); err == nil {
					defer f.c.s.in.Shares.Unwatch(p.key, f.waiter)
				}
			}
		}
		p.err = err
		f.failed = f.failed || err != nil
	}
	if !wants {
		f.parts = slices.DeleteFunc(f.parts, func(p sharedPart) bool { return p.err == nil })
		return
	}
	f.read()
	if f.waiter == nil || f.failed || f.bytes > 0 {
		return
	}
	f.wait(time.Duration(f.req.MaxWaitMillis) * time.Millisecond)
}

// wait reads as often as there may be something, until there is, or an error, or no time is left.
func (f *shareFetching) wait(atMost time.Duration) {
	defer f.c.idled()()
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	pressed := f.c.s.memory.requests.pressure()
	moved := f.c.moved()
	for f.bytes == 0 && !f.failed {
		f.drop()
		select {
		case <-moved:
			moved = f.c.moved()
			f.refind()
		case <-f.waiter.C():
			f.read()
		case <-pressed: // others wait for what this request takes
			return
		case <-timer.C:
			return
		case <-f.c.ctx.Done():
			return
		}
	}
}

// drop gives memory back in which nothing is.
func (f *shareFetching) drop() {
	f.c.arena.release()
	f.c.answer.end()
}

// read acquires what there is, as much as there is memory for: of the first batch all.
func (f *shareFetching) read() {
	f.records = int(f.req.MaxRecords)
	least, most := minFetchMemory, max(minFetchMemory, arenaRatio*f.maxBytes)
	for {
		f.drop()
		n, err := f.c.answer.takeUpTo(f.c.s.ctx, least, most)
		if err != nil {
			return // the server closes
		}
		f.lacking = 0
		f.acquire(n)
		if took := f.c.arena.bytes(); took <= n {
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

// acquire acquires what there is, with so many bytes of memory.
func (f *shareFetching) acquire(room int) {
	most := min(f.maxBytes, room/arenaRatio)
	for i := range f.parts {
		p := &f.parts[i]
		if p.err != nil || f.records <= 0 || f.bytes > 0 && f.bytes >= most {
			continue
		}
		memory := &f.c.arena
		p.err = f.c.s.in.Shares.AcquireInto(f.c.ctx, share.AcquireRequest{
			Key: p.key, Member: f.member.id, MaxRecords: f.records, WholeBatches: f.req.ShareAcquireMode == 0, Client: f.c.clientID,
		}, func(length int) ([]byte, bool) {
			switch {
			case f.bytes > 0 && f.bytes+length > most:
				return nil, false
			case f.bytes == 0 && length > room && room < f.c.s.memory.mostAnswer():
				f.lacking = length
				return nil, false
			}
			return memory.place(length), true
		}, func(sb log.StoredBatch, ranges []share.Range) {
			p.read.add(memory, sb.Batch)
			f.bytes += len(sb.Batch)
			for _, r := range ranges {
				f.records -= int(r.Last - r.First + 1)
			}
			p.acquired = append(p.acquired, ranges...)
		})
		f.failed = f.failed || p.err != nil && !errors.Is(p.err, log.ErrCorruptRecord)
		if f.lacking > 0 {
			return
		}
	}
}

// answer fills in the answer, with what became of acknowledgements.
func (f *shareFetching) answer(acked []ackedTopic) {
	out := topicsOf[kmsg.ShareFetchResponseTopic]{at: make(map[[16]byte]int)}
	add := func(id [16]byte, p kmsg.ShareFetchResponseTopicPartition) *kmsg.ShareFetchResponseTopicPartition {
		t := out.find(id, func() kmsg.ShareFetchResponseTopic {
			t := kmsg.NewShareFetchResponseTopic()
			t.TopicID = id
			return t
		})
		t.Partitions = append(t.Partitions, p)
		return &t.Partitions[len(t.Partitions)-1]
	}
	for i := range f.parts {
		p := &f.parts[i]
		if f.c.s.shares.tell(f.session, p.sharePartition, p.read.bytes > 0, p.err != nil) {
			add(p.topic, f.outcome(p))
		}
	}
	for _, t := range acked {
		for _, a := range t.partitions {
			o := f.outcomeOf(&out, t.id, a.index)
			if o == nil {
				p := kmsg.NewShareFetchResponseTopicPartition()
				p.Partition, p.Records = a.index, []byte{}
				o = add(t.id, p)
			}
			if at, is := f.c.currentLeaderByID(t.id, a.index, f.c.ackCode(a.err)); is {
				o.CurrentLeader.LeaderID, o.CurrentLeader.LeaderEpoch = at.leader, at.epoch
				f.leaders = append(f.leaders, at.leader)
			}
			o.AcknowledgeErrorCode, o.AcknowledgeErrorMessage = f.c.ackCode(a.err), message(a.err)
		}
	}
	f.resp.Topics = out.all
	if len(f.leaders) == 0 {
		return
	}
	for _, b := range f.c.endpoints(f.leaders) {
		f.resp.NodeEndpoints = append(f.resp.NodeEndpoints, kmsg.ShareFetchResponseNodeEndpoint{NodeID: b.NodeID, Host: b.Host, Port: b.Port, Rack: b.Rack})
	}
}

// refind looks again who leads, after something has moved while the request waited.
func (f *shareFetching) refind() {
	for i := range f.parts {
		if p := &f.parts[i]; p.err == nil {
			p.err = f.c.checkLeads(p.partition)
			f.failed = f.failed || p.err != nil
		}
	}
}

// outcomeOf returns the part of the answer about a partition, nil if there is none.
func (f *shareFetching) outcomeOf(out *topicsOf[kmsg.ShareFetchResponseTopic], id [16]byte, index int32) *kmsg.ShareFetchResponseTopicPartition {
	i, ok := out.at[id]
	if !ok {
		return nil
	}
	ps := out.all[i].Partitions
	for j := range ps {
		if ps[j].Partition == index {
			return &ps[j]
		}
	}
	return nil
}

func (f *shareFetching) outcome(p *sharedPart) kmsg.ShareFetchResponseTopicPartition {
	out := kmsg.NewShareFetchResponseTopicPartition()
	out.Partition, out.Records = p.index, []byte{}
	if p.read.bytes > 0 {
		out.Records = placeholders[0]
	}
	for _, r := range p.acquired {
		a := kmsg.NewShareFetchResponseTopicPartitionAcquiredRecord()
		a.FirstOffset, a.LastOffset, a.DeliveryCount = r.First, r.Last, int16(min(r.Deliveries, 1<<15-1))
		out.AcquiredRecords = append(out.AcquiredRecords, a)
	}
	if p.err != nil && p.read.bytes == 0 {
		out.ErrorCode, out.ErrorMessage = f.c.s.topicCode(p.err, true), messageOf(p.err, maxPartitionMessageBytes)
		if at, is := f.c.currentLeader(p.partition, out.ErrorCode, 0); is {
			out.CurrentLeader.LeaderID, out.CurrentLeader.LeaderEpoch = at.leader, at.epoch
			f.leaders = append(f.leaders, at.leader)
		}
	}
	return out
}

// findBlanks returns where in the answer the records of the parts belong.
func (f *shareFetching) findBlanks() []blank {
	read := make(map[sharePartition]pieces)
	for i := range f.parts {
		if p := &f.parts[i]; p.read.bytes > 0 {
			read[p.sharePartition] = p.read
		}
	}
	var blanks []blank
	for i := range f.resp.Topics {
		t := &f.resp.Topics[i]
		for j := range t.Partitions {
			if p := &t.Partitions[j]; len(p.Records) > 0 {
				blanks = append(blanks, blank{&p.Records, read[sharePartition{t.TopicID, p.Partition}]})
			}
		}
	}
	return blanks
}

// topicsOf is a list of the topics of an answer, in the order in which they come.
type topicsOf[T any] struct {
	all []T
	at  map[[16]byte]int
}

// find returns the topic of that id, which add makes if it is not there.
func (l *topicsOf[T]) find(id [16]byte, add func() T) *T {
	i, ok := l.at[id]
	if !ok {
		i = len(l.all)
		l.at[id] = i
		l.all = append(l.all, add())
	}
	return &l.all[i]
}
