package kafka

import (
	"reflect"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/probe"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
)

// What the test kit has a request fail with is of two kinds. An error of the whole request is answered
// without its handler (call.failed). Partitions and topics that are refused fail in the handler, which
// finds them refused where it looks for them (call.refused): their codes come where those of others do.

// meetFaults lets the test kit interfere with a request, behind the answers to those before it, and
// returns the error that it is to fail with.
func (c *conn) meetFaults(cl *call, q *queue) error {
	points := c.s.in.Committer.Probes()
	if points.Get() == nil {
		return nil
	}
	c.finish(q, true)
	refused, err := points.MeetEach(c.ctx, cl.work())
	if err != nil {
		return err
	}
	cl.refused = refused
	switch cl.entry.key {
	case kmsg.DescribeLogDirs, kmsg.ListPartitionReassignments, kmsg.ShareGroupHeartbeat, kmsg.ConsumerGroupHeartbeat: // have one code for all
		for _, err := range refused {
			return err
		}
	}
	return nil
}

// fail answers with the code that err asks for, or ends the connection.
func (c *conn) fail(cl *call, err error) {
	var resp kmsg.Response
	if code, ok := chosenCode(err); ok {
		resp = cl.failed(code)
	}
	if resp == nil {
		c.breakOff(err)
	}
	cl.blanks = nil // of an answer that was to be given
	c.give(cl, resp)
}

// meetAnswer lets the test kit interfere with an answer, and returns the error that is in its place.
func (c *conn) meetAnswer(cl *call) error {
	points := c.s.in.Committer.Probes()
	if points.Get() == nil || cl.req == nil { // forgotten before there was a test kit
		return nil
	}
	w := cl.work()
	w.Op = probe.RequestAnswer
	return points.Meet(c.ctx, w)
}

// work describes a request to the test kit: the groups, transactional ids and partitions that it names.
func (c *call) work() probe.Work {
	w := probe.Work{Op: probe.Request, Key: c.key, Client: c.clientID, Principal: c.from.String()}
	c.describeWork(&w, reflect.ValueOf(c.req).Elem())
	return w
}

// describeWork adds to w what a request names, or its part about one group.
func (c *call) describeWork(w *probe.Work, req reflect.Value) {
	c.nameTxnIDs(w, req)
	for _, name := range []string{"Group", "GroupID", "CoordinatorKey"} {
		f := req.FieldByName(name)
		if f.IsValid() && f.Kind() == reflect.Pointer {
			f = f.Elem() // not valid if it is nil
		}
		if f.IsValid() && f.Kind() == reflect.String && f.String() != "" {
			names := &w.Groups
			if name == "CoordinatorKey" && coordinatesTransactions(c.req) {
				names = &w.TxnIDs
			}
			*names = append(*names, f.String())
		}
	}
	if f := req.FieldByName("MemberID"); f.IsValid() {
		set(reflect.ValueOf(&w.Member).Elem(), f)
	}
	many := false
	for _, name := range []string{"Groups", "GroupIDs", "CoordinatorKeys"} {
		groups := req.FieldByName(name)
		for i := 0; groups.IsValid() && i < groups.Len(); i++ {
			if g := groups.Index(i); g.Kind() == reflect.String && coordinatesTransactions(c.req) {
				w.TxnIDs = append(w.TxnIDs, g.String())
			} else if g.Kind() == reflect.String {
				w.Groups = append(w.Groups, g.String())
			} else {
				c.describeWork(w, g)
				many = true
			}
		}
	}
	if many {
		return // the topics are those of the groups
	}
	if req, ok := c.req.(*kmsg.FetchRequest); ok && c.conn.session != nil && c.conn.session.id == req.SessionID && req.SessionEpoch > sessionNew {
		for i := range c.conn.session.topics {
			w.Partitions = append(w.Partitions, c.named(reflect.ValueOf(c.conn.session.topics[i].FetchRequestTopic))...)
		}
	}
	if req, ok := c.req.(*kmsg.ShareFetchRequest); ok && req.GroupID != nil && req.MemberID != nil {
		w.Partitions = append(w.Partitions, c.sharedPartitions(shareMember{*req.GroupID, *req.MemberID}, req.ShareSessionEpoch)...)
	}
	for _, name := range []string{"Topics", "TopicNames", "SubscribedTopicNames", "Resources"} {
		topics := req.FieldByName(name)
		for i := 0; topics.IsValid() && i < topics.Len(); i++ {
			w.Partitions = append(w.Partitions, c.named(topics.Index(i))...)
		}
	}
	if topics := req.FieldByName("Topics"); c.entry.long && topics.IsValid() && topics.Len() == 0 && (topics.IsNil() || c.version == 0) {
		for _, t := range c.s.in.Catalogue.List() {
			w.Partitions = append(w.Partitions, everyPartition(t)...)
		}
	}
}

// sharedPartitions returns what a ShareFetch reads besides what it names: the partitions of the member's session.
func (c *call) sharedPartitions(member shareMember, epoch int32) (tps []log.TopicPartition) {
	if epoch <= sessionNew {
		return nil
	}
	s := &c.s.shares
	s.mu.Lock()
	defer s.mu.Unlock()
	if ss := s.byKey[member]; ss != nil {
		for _, p := range ss.parts {
			if t := c.s.in.Catalogue.Find(p.topic); t != nil {
				tps = append(tps, log.TopicPartition{Topic: t.Name(), Partition: p.index})
			}
		}
	}
	return tps
}

// nameTxnIDs adds to w the transactional ids that a request names, and the partitions of AddPartitionsToTxn that has several.
func (c *call) nameTxnIDs(w *probe.Work, req reflect.Value) {
	for _, name := range []string{"TransactionalID", "TransactionID"} {
		var id string
		if f := req.FieldByName(name); f.IsValid() && set(reflect.ValueOf(&id).Elem(), f) && id != "" {
			w.TxnIDs = append(w.TxnIDs, id)
		}
	}
	if ids := req.FieldByName("TransactionalIDs"); ids.IsValid() {
		w.TxnIDs = append(w.TxnIDs, ids.Interface().([]string)...)
	}
	if req, ok := c.req.(*kmsg.AddPartitionsToTxnRequest); ok {
		for _, t := range req.Transactions {
			w.TxnIDs = append(w.TxnIDs, t.TransactionalID)
			for _, topic := range t.Topics {
				w.Partitions = append(w.Partitions, c.named(reflect.ValueOf(topic))...)
			}
		}
	}
}

// coordinatesTransactions reports whether a request asks for the coordinator of transactions, and not of groups.
func coordinatesTransactions(req kmsg.Request) bool {
	find, ok := req.(*kmsg.FindCoordinatorRequest)
	return ok && find.CoordinatorType == 1
}

// named returns what an entry for a topic names: partitions, or the topic itself.
func (c *call) named(entry reflect.Value) (tps []log.TopicPartition) {
	name, partitions := c.topicOf(entry), reflect.Value{}
	if entry.Kind() == reflect.Struct {
		partitions = entry.FieldByName("Partitions")
	}
	if !partitions.IsValid() || partitions.Kind() != reflect.Slice {
		switch t, err := c.s.in.Catalogue.Get(name); {
		case err == nil && (c.entry.key == kmsg.Metadata || c.entry.key == kmsg.DescribeTopicPartitions):
			return everyPartition(t)
		case name == "":
			return nil
		}
		return []log.TopicPartition{{Topic: name, Partition: wholeTopic}}
	}
	for i := range partitions.Len() {
		p := partitions.Index(i)
		if p.Kind() == reflect.Struct {
			p = p.FieldByName("Partition")
		}
		tps = append(tps, log.TopicPartition{Topic: name, Partition: int32(p.Int())})
	}
	return tps
}

// topicOf returns the name of the topic that an entry is about, "" if there is none.
func (c *call) topicOf(entry reflect.Value) (name string) {
	if entry.Kind() == reflect.String {
		return entry.String()
	}
	if kind := entry.FieldByName("ResourceType"); kind.IsValid() && kind.Interface() != kmsg.ConfigResourceTypeTopic {
		return ""
	}
	for _, field := range []string{"Topic", "ResourceName"} {
		if f := entry.FieldByName(field); f.IsValid() {
			set(reflect.ValueOf(&name).Elem(), f)
		}
	}
	if id := entry.FieldByName("TopicID"); id.IsValid() && name == "" {
		if t, err := c.s.topic("", id.Interface().([16]byte), true); err == nil {
			name = t.Name()
		}
	}
	return name
}

// everyPartition returns the topic itself and its partitions.
func everyPartition(t *topic.Topic) []log.TopicPartition {
	tps := []log.TopicPartition{{Topic: t.Name(), Partition: wholeTopic}}
	for i := range t.Partitions() {
		tps = append(tps, log.TopicPartition{Topic: t.Name(), Partition: int32(i)})
	}
	return tps
}
