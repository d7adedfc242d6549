package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
)

// codeName is Kafka's name of a code.
func codeName(code int16) string {
	if code == 0 {
		return "NONE"
	}
	return meanings[Code(code)].name
}

// sharer is a member of a share group, or what claims to be one.
type sharer struct {
	*client
	k           *kit
	group, id   string
	topics      []string
	memberEpoch int32
	epoch       int32 // of the next request of the session
	version     int16
	renews      bool
	limit       bool // ShareAcquireMode is record_limit
	max         int32
	wait        int32
}

// sharer connects one, whose group begins with the first record. It has not joined.
func (k *kit) sharer(group, id string, topics ...string) *sharer {
	k.t.Helper()
	if err := k.Groups().SetConfigs(k.ctx, group, map[string]string{"share.auto.offset.reset": "earliest"}); err != nil {
		k.t.Fatal(err)
	}
	return &sharer{client: k.dial(), k: k, group: group, id: id, topics: topics, version: 2, max: 100}
}

// beat returns what a heartbeat comes to.
func (s *sharer) beat(epoch int32, topics ...string) string {
	s.t.Helper()
	req := kmsg.NewPtrShareGroupHeartbeatRequest()
	req.GroupID, req.MemberID, req.MemberEpoch, req.SubscribedTopicNames = s.group, s.id, epoch, topics
	resp := ask[*kmsg.ShareGroupHeartbeatResponse](s.client, 1, req)
	if resp.ErrorCode != 0 {
		return codeName(resp.ErrorCode)
	}
	s.memberEpoch = resp.MemberEpoch
	text := fmt.Sprintf("epoch %d", resp.MemberEpoch)
	if resp.Assignment != nil {
		for _, t := range resp.Assignment.TopicPartitions {
			text += fmt.Sprint(" ", t.Partitions)
		}
	}
	return text
}

// id returns the id of a topic.
func (k *kit) topicID(name string) [16]byte {
	info, err := k.Topics().Describe(k.ctx, name)
	if err != nil {
		return [16]byte{1}
	}
	return info.ID
}

// ack reads acknowledgements: 0-4:1, or 0-1:1,2, by topic and partition 0 of it.
func ack(text string) kmsg.ShareFetchRequestTopicPartitionAcknowledgementBatch {
	b := kmsg.NewShareFetchRequestTopicPartitionAcknowledgementBatch()
	offsets, types, _ := strings.Cut(text, ":")
	if _, err := fmt.Sscanf(offsets, "%d-%d", &b.FirstOffset, &b.LastOffset); err != nil {
		panic(text)
	}
	for _, t := range strings.Split(types, ",") {
		var n int8
		if t != "" {
			_, _ = fmt.Sscan(t, &n)
			b.AcknowledgeTypes = append(b.AcknowledgeTypes, n)
		}
	}
	return b
}

// fetchRequest is a ShareFetch in the next epoch of the session, with acknowledgements of partition 0 of the first topic.
func (s *sharer) fetchRequest(acks ...string) *kmsg.ShareFetchRequest {
	req := kmsg.NewPtrShareFetchRequest()
	req.GroupID, req.MemberID, req.ShareSessionEpoch = &s.group, &s.id, s.epoch
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.MaxRecords, req.BatchSize = s.wait, 1, 1<<20, s.max, s.max
	if req.IsRenewAck = s.renews; s.renews {
		req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.MaxRecords = 0, 0, 0, 0
	}
	if s.limit {
		req.ShareAcquireMode = 1
	}
	if s.epoch == sessionNew || len(acks) > 0 {
		for i, name := range s.topics {
			t := kmsg.NewShareFetchRequestTopic()
			t.TopicID = s.k.topicID(name)
			p := kmsg.NewShareFetchRequestTopicPartition()
			for _, a := range acks {
				if i == 0 {
					p.AcknowledgementBatches = append(p.AcknowledgementBatches, ack(a))
				}
			}
			t.Partitions = append(t.Partitions, p)
			req.Topics = append(req.Topics, t)
		}
	}
	return req
}

// fetch returns what a ShareFetch comes to: for each partition what was acquired, with the delivery count, or its error,
// and what became of acknowledgements. The session goes on with its next epoch.
func (s *sharer) fetch(acks ...string) string {
	s.t.Helper()
	return s.told(ask[*kmsg.ShareFetchResponse](s.client, s.version, s.fetchRequest(acks...)))
}

func (s *sharer) told(resp *kmsg.ShareFetchResponse) string {
	s.t.Helper()
	if resp.ErrorCode != 0 {
		return codeName(resp.ErrorCode)
	}
	s.epoch++
	var all []string
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			text := ""
			for _, a := range p.AcquiredRecords {
				text += fmt.Sprintf(" %d-%dx%d", a.FirstOffset, a.LastOffset, a.DeliveryCount)
			}
			if (len(p.Records) > 0) != (text != "") {
				s.t.Errorf("%d bytes, acquired%s", len(p.Records), text)
			}
			if p.ErrorCode != 0 {
				text += " " + codeName(p.ErrorCode)
			}
			if p.AcknowledgeErrorCode != 0 {
				text += " ack " + codeName(p.AcknowledgeErrorCode)
			}
			if text == "" {
				text = " -"
			}
			all = append(all, text[1:])
		}
	}
	if len(all) == 0 {
		return "nothing"
	}
	return strings.Join(all, "; ")
}

// acknowledge returns what a ShareAcknowledge comes to.
func (s *sharer) acknowledge(acks ...string) string {
	s.t.Helper()
	req := kmsg.NewPtrShareAcknowledgeRequest()
	req.GroupID, req.MemberID, req.ShareSessionEpoch, req.IsRenewAck = &s.group, &s.id, s.epoch, s.renews
	t := kmsg.NewShareAcknowledgeRequestTopic()
	t.TopicID = s.k.topicID(s.topics[0])
	p := kmsg.NewShareAcknowledgeRequestTopicPartition()
	for _, a := range acks {
		b := ack(a)
		p.AcknowledgementBatches = append(p.AcknowledgementBatches, kmsg.ShareAcknowledgeRequestTopicPartitionAcknowledgementBatch{
			FirstOffset: b.FirstOffset, LastOffset: b.LastOffset, AcknowledgeTypes: b.AcknowledgeTypes})
	}
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	resp := ask[*kmsg.ShareAcknowledgeResponse](s.client, s.version, req)
	if resp.ErrorCode != 0 {
		return codeName(resp.ErrorCode)
	}
	s.epoch++
	if code := resp.Topics[0].Partitions[0].ErrorCode; code != 0 {
		return codeName(code)
	}
	return "done"
}

func (k *kit) is(what, got, want string) {
	k.t.Helper()
	if got != want {
		k.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// produce stores records, one batch for each text, whose letters are the values.
func (k *kit) produce(topic string, batches ...string) {
	k.t.Helper()
	c := k.dial()
	for _, letters := range batches {
		var records []record
		for _, r := range letters {
			records = append(records, record{1, "", string(r)})
		}
		ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, topic, batch(k.t, log.CodecNone, records...)))
	}
}

// The life of a member: it joins, fetches, says what became of records, in both requests that can, and leaves.
func TestShareMember(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("mails", samsa.TopicConfig{})
	k.produce("mails", "abc", "de")
	s := k.sharer("mailer", "a", "mails")
	k.is("join", s.beat(0, "mails"), "epoch 1 [0]")
	k.is("beat", s.beat(1), "epoch 1")
	k.is("fetch", s.fetch(), "0-2x1 3-4x1")
	k.is("nothing more", s.fetch(), "nothing")
	k.is("acknowledge", s.acknowledge("0-0:1", "1-1:2", "2-2:3"), "done")
	k.is("acknowledge and fetch", s.fetch("3-4:1,2"), "1-1x2 4-4x2")
	k.is("done", s.fetch("1-1:1", "4-4:1"), "-")
	s.epoch = sessionNone
	k.is("the last one", s.fetch(), "nothing")
	k.is("leave", s.beat(-1), "epoch -1")
	k.is("gone", s.beat(1), "UNKNOWN_MEMBER_ID")

	info, err := k.Groups().Describe(k.ctx, "mailer")
	if err != nil || info.Kind != samsa.GroupShare || info.State != samsa.GroupEmpty {
		t.Errorf("described: %+v, %v", info, err)
	}
}

// A member may leave before its last acknowledgements: they count, and what it has not acknowledged is another's then. Of
// one that says nothing more all is another's when its connection ends.
func TestShareLeavesFirst(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("mails", samsa.TopicConfig{})
	k.produce("mails", "abc", "d")
	s := k.sharer("mailer", "a", "mails")
	k.is("join", s.beat(0, "mails"), "epoch 1 [0]")
	k.is("fetch", s.fetch(), "0-2x1 3-3x1")
	k.is("leave", s.beat(-1), "epoch -1")
	s.epoch = sessionNone
	k.is("the last ones", s.acknowledge("0-0:1", "2-2:1"), "done")

	other := k.sharer("mailer", "b", "mails")
	k.is("another joins", other.beat(0, "mails"), "epoch 3 [0]")
	k.is("another fetches", other.fetch(), "1-1x2 3-3x2")
	k.is("another leaves", other.beat(-1), "epoch -1")
	_ = other.Close()
	third := k.sharer("mailer", "c", "mails")
	k.is("a third joins", third.beat(0, "mails"), "epoch 5 [0]")
	third.wait = 10000 // until the one before is gone
	k.is("a third fetches", third.fetch(), "1-1x3 3-3x3")
}

// What sessions are refused, and that their epochs go on though partitions fail.
func TestShareSession(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("mails", samsa.TopicConfig{})
	s := k.sharer("mailer", "a", "mails")
	for epoch, want := range map[int32]string{-1: "SHARE_SESSION_NOT_FOUND", 1: "SHARE_SESSION_NOT_FOUND"} {
		s.epoch = epoch
		k.is("fetch", s.fetch(), want)
		k.is("acknowledge", s.acknowledge("0-0:1"), want)
	}
	s.epoch = sessionNew
	k.is("begin with acknowledgements", s.fetch("0-0:1"), "INVALID_REQUEST")
	k.is("acknowledge begins none", s.acknowledge("0-0:1"), "INVALID_SHARE_SESSION_EPOCH")
	k.is("begin", s.fetch(), "-")
	s.epoch = 7
	k.is("epoch", s.fetch(), "INVALID_SHARE_SESSION_EPOCH")
	k.is("epoch", s.acknowledge("0-0:1"), "INVALID_SHARE_SESSION_EPOCH")
	s.epoch = 1
	k.is("nobody was given it", s.fetch("0-0:1"), "ack INVALID_REQUEST")
	s.topics = []string{"mails", "none"}
	k.is("a topic that is not there", s.fetch("0-0:1"), "UNKNOWN_TOPIC_ID; ack INVALID_REQUEST")
	k.is("it is told every time", s.fetch(), "UNKNOWN_TOPIC_ID")
	req := s.fetchRequest()
	f := kmsg.NewShareFetchRequestForgottenTopicsData()
	f.TopicID, f.Partitions = [16]byte{1}, []int32{0}
	req.ForgottenTopicsData = append(req.ForgottenTopicsData, f)
	k.is("forgotten", s.told(ask[*kmsg.ShareFetchResponse](s.client, 2, req)), "nothing")
	k.produce("mails", "a")
	k.is("a record", s.fetch(), "0-0x1")
	s.epoch = sessionNew
	s.topics = s.topics[:1]
	k.is("begun anew", s.fetch(), "-")
	k.is("what it had is still its own", s.fetch("0-0:1"), "-")

	for _, id := range []string{"", strings.Repeat("x", 37)} {
		bad := k.sharer("mailer", id, "mails")
		k.is("member "+id, bad.fetch(), "INVALID_REQUEST")
		k.is("member "+id, bad.acknowledge("0-0:1"), "INVALID_REQUEST")
		k.is("member "+id, bad.beat(0, "mails"), "INVALID_REQUEST")
	}
}

func TestShareSessionLimit(t *testing.T) {
	k := start(t, samsa.Options{Groups: samsa.GroupOptions{Configs: map[string]string{
		"group.share.max.share.sessions": "2", "group.share.max.size": "2",
	}}}, Options{})
	k.create("mails", samsa.TopicConfig{})
	a, b, c := k.sharer("mailer", "a", "mails"), k.sharer("mailer", "b", "mails"), k.sharer("mailer", "c", "mails")
	k.is("first", a.fetch(), "-")
	k.is("second", b.fetch(), "-")
	k.is("third", c.fetch(), "SHARE_SESSION_LIMIT_REACHED")
	a.epoch = sessionNone
	k.is("one ends", a.fetch(), "nothing")
	k.is("there is room", c.fetch(), "-")
	a.beat(0, "mails")
	b.beat(0, "mails")
	k.is("the group is full", c.beat(0, "mails"), "GROUP_MAX_SIZE_REACHED")
}

// Acknowledgements that make no sense, or are not the member's to give. Those of a partition are carried out all or not at all.
func TestShareBadAcknowledgements(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("mails", samsa.TopicConfig{})
	k.produce("mails", "abcdef")
	s, other := k.sharer("mailer", "a", "mails"), k.sharer("mailer", "b", "mails")
	k.is("fetch", s.fetch(), "0-5x1")
	k.is("other", other.fetch(), "-")
	for acks, want := range map[string]string{
		"1-0:1": "INVALID_REQUEST", "0-1:": "INVALID_REQUEST", "0-2:1,1": "INVALID_REQUEST", "0-0:5": "INVALID_REQUEST",
		"0-0:-1": "INVALID_REQUEST", "0-0:4": "INVALID_REQUEST", "2-2:1 0-0:1": "INVALID_REQUEST", "6-6:1": "INVALID_REQUEST", "0-3:1 3-4:1": "INVALID_RECORD_STATE", "0-0:1 99-99:1": "INVALID_REQUEST",
	} {
		k.is(acks, s.acknowledge(strings.Fields(acks)...), want)
	}
	k.is("another's", other.acknowledge("0-0:1"), "INVALID_RECORD_STATE")
	s.version = 1
	s.renews = false
	k.is("before there were renewals", s.acknowledge("0-0:4"), "INVALID_REQUEST")
	s.version, s.renews = 2, true
	k.is("renew", s.acknowledge("0-5:4"), "done")
	req := s.fetchRequest("0-5:4")
	req.MaxRecords = 1
	k.is("renew and fetch", s.told(ask[*kmsg.ShareFetchResponse](s.client, 2, req)), "INVALID_REQUEST")
	k.is("renew with a fetch", s.fetch("0-5:4"), "-")
	if err := k.Groups().SetConfigs(k.ctx, "mailer", map[string]string{"share.renew.acknowledge.enable": "false"}); err != nil {
		t.Fatal(err)
	}
	k.is("renew where it is off", s.acknowledge("0-5:4"), "INVALID_RECORD_STATE")
	s.renews = false
	k.is("all at once", s.acknowledge("0-5:1,1,1,1,1,1"), "done")
	k.is("again, which is behind the start offset now", s.acknowledge("0-5:1"), "done")
}

// What a request acknowledges in a partition is one commit, whatever becomes of the records, and their dead letters are in it.
// Without a topic for those the rest is done, and the member hears of it.
func TestShareMixedAcknowledgements(t *testing.T) {
	for name, acknowledge := range map[string]func(s *sharer, acks ...string) string{"ShareAcknowledge": (*sharer).acknowledge, "ShareFetch": (*sharer).fetch} {
		t.Run(name, func(t *testing.T) {
			k := start(t, samsa.Options{}, Options{})
			k.create("mails", samsa.TopicConfig{})
			k.create("dlq.mails", samsa.TopicConfig{DeadLetters: true})
			if err := k.Groups().SetConfigs(k.ctx, "mailer", map[string]string{"errors.deadletterqueue.topic.name": "dlq.mails"}); err != nil {
				t.Fatal(err)
			}
			k.produce("mails", "abcdef")
			s := k.sharer("mailer", "a", "mails")
			k.is("fetch", s.fetch(), "0-5x1")
			k.produce("mails", "g") // comes behind what is stored of the fetch
			before := k.commits()
			s.renews = false
			if got := acknowledge(s, "0-3:1,3,2,1", "5-5:3"); got != "done" && got != "2-2x2 6-6x1" {
				t.Errorf("acknowledged: %s", got)
			}
			after := k.commits()
			if n, letters := after.Commits-before.Commits, after.Records-before.Records; letters != 2 || name == "ShareAcknowledge" && n != 1 {
				t.Errorf("%d commits with %d dead letters", n, letters)
			}
			if err := k.Topics().Delete(k.ctx, "dlq.mails"); err != nil {
				t.Fatal(err)
			}
			k.is("without a topic", s.acknowledge("4-4:3"), "INVALID_CONFIG")
			k.is("again", s.acknowledge("4-4:3"), "INVALID_RECORD_STATE")
		})
	}
}

// commits returns what the broker has done.
func (k *kit) commits() samsa.Stats {
	k.t.Helper()
	s, err := k.Stats(k.ctx)
	if err != nil {
		k.t.Fatal(err)
	}
	return s
}

// What a member has goes back with its session, and with its connection.
func TestShareReleases(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("mails", samsa.TopicConfig{})
	k.produce("mails", "ab")
	deliveries := 0
	for what, end := range map[string]func(s *sharer){
		"session by fetch":       func(s *sharer) { s.epoch = sessionNone; s.fetch() },
		"session by acknowledge": func(s *sharer) { s.epoch = sessionNone; s.acknowledge("0-0:2") },
		"connection":             func(s *sharer) { _ = s.Close() },
		"one that has left":      func(s *sharer) { s.beat(-1); _ = s.Close() },
	} {
		s := k.sharer("mailer", what, "mails")
		s.beat(0, "mails")
		s.wait = 10000 // until the one before is gone
		deliveries++
		k.is(what, s.fetch(), fmt.Sprintf("0-1x%d", deliveries))
		end(s)
	}
}

// One who waits is woken by a record, by a release, by a lock that runs out, and not for nothing.
func TestShareWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{}, Options{})
		k.create("mails", samsa.TopicConfig{})
		s, other := k.sharer("mailer", "a", "mails"), k.sharer("mailer", "b", "mails")
		began := time.Now()
		s.wait = 3000
		k.is("nothing", s.fetch(), "-")
		if d := time.Since(began); d != 3*time.Second {
			t.Errorf("it waited for %s", d)
		}
		k.is("other", other.fetch(), "-")
		waits := func(what, want string, then func()) {
			t.Helper()
			s.wait = 60000
			s.send(2, s.fetchRequest())
			synctest.Wait()
			then()
			k.is(what, s.told(s.receive().(*kmsg.ShareFetchResponse)), want)
		}
		waits("a record", "0-0x1", func() { k.produce("mails", "a") })
		k.is("acknowledged", s.acknowledge("0-0:1"), "done")
		k.produce("mails", "b")
		k.is("other", other.fetch(), "1-1x1")
		waits("a release", "1-1x2", func() { other.acknowledge("1-1:2") })
		k.is("released", s.acknowledge("1-1:2"), "done")
		k.is("other", other.fetch(), "1-1x3")
		began = time.Now()
		waits("a lock", "1-1x4", func() {})
		if d := time.Since(began); d != 30*time.Second {
			t.Errorf("it waited for %s", d)
		}
	})
}

// Records in one batch: with record_limit a member gets so many, else all of the batch. Partitions take turns.
func TestShareAcquireModes(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("mails", samsa.TopicConfig{})
	k.create("more", samsa.TopicConfig{})
	k.produce("mails", "abcde")
	s := k.sharer("mailer", "a", "mails", "more")
	s.max, s.limit = 2, true
	k.is("limit", s.fetch(), "0-1x1; -")
	k.produce("more", "x")
	k.is("the turn of the other topic", s.fetch(), "0-0x1; 2-2x1")
	s.limit = false
	k.is("the whole batch", s.fetch(), "3-4x1")
}

// Offsets are described, altered and deleted; members forbid it.
func TestShareOffsets(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("mails", samsa.TopicConfig{Partitions: 2})
	k.produce("mails", "abc")
	c := k.dial()
	describe := func(all bool) string {
		t.Helper()
		req := kmsg.NewPtrDescribeShareGroupOffsetsRequest()
		g := kmsg.NewDescribeShareGroupOffsetsRequestGroup()
		g.GroupID = "mailer"
		if !all {
			g.Topics = []kmsg.DescribeShareGroupOffsetsRequestGroupTopic{{Topic: "mails", Partitions: []int32{0, 7}}, {Topic: "none", Partitions: []int32{0}}}
		}
		req.Groups = append(req.Groups, g)
		r := ask[*kmsg.DescribeShareGroupOffsetsResponse](c, 1, req).Groups[0]
		if r.ErrorCode != 0 {
			return codeName(r.ErrorCode)
		}
		var text []string
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				text = append(text, fmt.Sprintf("%s/%d %d lag %d code %d", t.Topic, p.Partition, p.StartOffset, p.Lag, p.ErrorCode))
			}
		}
		return strings.Join(text, ", ")
	}
	alter := func(topic string, partition int32, start int64) string {
		t.Helper()
		req := kmsg.NewPtrAlterShareGroupOffsetsRequest()
		req.GroupID = "mailer"
		req.Topics = []kmsg.AlterShareGroupOffsetsRequestTopic{{Topic: topic, Partitions: []kmsg.AlterShareGroupOffsetsRequestTopicPartition{{Partition: partition, StartOffset: start}}}}
		r := ask[*kmsg.AlterShareGroupOffsetsResponse](c, 0, req)
		if r.ErrorCode != 0 {
			return codeName(r.ErrorCode)
		}
		return codeName(r.Topics[0].Partitions[0].ErrorCode)
	}
	remove := func(topic string) string {
		t.Helper()
		req := kmsg.NewPtrDeleteShareGroupOffsetsRequest()
		req.GroupID, req.Topics = "mailer", []kmsg.DeleteShareGroupOffsetsRequestTopic{{Topic: topic}}
		r := ask[*kmsg.DeleteShareGroupOffsetsResponse](c, 0, req)
		if r.ErrorCode != 0 {
			return codeName(r.ErrorCode)
		}
		return codeName(r.Topics[0].ErrorCode)
	}
	const nowhere = "mails/0 -1 lag -1 code 0, mails/7 -1 lag -1 code 0, none/0 -1 lag -1 code 0"
	k.is("no group", describe(true), "")
	k.is("no group", describe(false), nowhere)
	k.is("no group", remove("mails"), "GROUP_ID_NOT_FOUND")
	k.is("alter", alter("mails", 0, 1), "NONE")
	k.is("alter", alter("mails", 7, 1), "UNKNOWN_TOPIC_OR_PARTITION")
	k.is("alter", alter("none", 0, 1), "UNKNOWN_TOPIC_OR_PARTITION")
	k.is("described", describe(true), "mails/0 1 lag 2 code 0")
	s := k.sharer("mailer", "a", "mails")
	k.is("join", s.beat(0, "mails"), "epoch 1 [0 1]")
	for _, got := range []string{alter("mails", 0, 2), remove("mails")} {
		k.is("with members", got, "NON_EMPTY_GROUP")
	}
	k.is("fetch", s.fetch(), "1-2x1")
	k.is("leave", s.beat(-1), "epoch -1")
	k.is("described", describe(true), "mails/0 1 lag 2 code 0, mails/1 0 lag 0 code 0")
	k.is("remove", remove("none"), "UNKNOWN_TOPIC_OR_PARTITION")
	k.is("remove", remove("mails"), "NONE")
	k.is("remove again", remove("mails"), "UNKNOWN_TOPIC_OR_PARTITION")
	k.is("nowhere", describe(false), nowhere)
}

// A name is of one kind of group, and who asks for it as another is told so.
func TestShareGroupsByName(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("mails", samsa.TopicConfig{})
	s := k.sharer("mailer", "a", "mails")
	s.beat(0, "mails")
	c := k.dial()
	join := (&wireMember{}).joinRequest()
	join.Group = "mailer"
	if code := ask[*kmsg.JoinGroupResponse](c, 3, join).ErrorCode; code != codeInconsistentGroupProtocol {
		t.Errorf("a classic member: %d", code)
	}
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Group, commit.Generation = "mailer", -1
	commit.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "mails", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: 1}}}}
	if code := ask[*kmsg.OffsetCommitResponse](c, 7, commit).Topics[0].Partitions[0].ErrorCode; code != codeGroupIDNotFound {
		t.Errorf("a commit: %d", code)
	}
	join.Group = "classic"
	ask[*kmsg.JoinGroupResponse](c, 3, join)
	other := k.sharer("classic", "a", "mails")
	k.is("share member of a classic group", other.beat(0, "mails"), "GROUP_ID_NOT_FOUND")

	list := kmsg.NewPtrListGroupsRequest()
	list.TypesFilter = []string{"Share"}
	groups := ask[*kmsg.ListGroupsResponse](c, 5, list).Groups
	if len(groups) != 1 || groups[0].Group != "mailer" || groups[0].GroupState != "Stable" || groups[0].GroupType != "share" || groups[0].ProtocolType != "share" {
		t.Errorf("listed: %+v", groups)
	}
	describe := kmsg.NewPtrShareGroupDescribeRequest()
	describe.GroupIDs, describe.IncludeAuthorizedOperations = []string{"mailer", "classic", "none"}, true
	described := ask[*kmsg.ShareGroupDescribeResponse](c, 1, describe).Groups
	var codes []int16
	for _, g := range described {
		codes = append(codes, g.ErrorCode)
	}
	if !slices.Equal(codes, []int16{0, codeGroupIDNotFound, codeGroupIDNotFound}) {
		t.Errorf("described: %v", codes)
	}
	if g := described[0]; g.GroupState != "Stable" || g.Assignor != "simple" || len(g.Members) != 1 || g.Members[0].Assignment.TopicPartitions[0].Topic != "mails" || g.AuthorizedOperations == 0 {
		t.Errorf("described: %+v", g)
	}
}

// With share.version 0 there are no share groups.
func TestShareVersionZero(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("mails", samsa.TopicConfig{})
	if err := k.in().Features.Set(k.ctx, map[string]int16{"share.version": 0}); err != nil {
		t.Fatal(err)
	}
	s := k.sharer("mailer", "a", "mails")
	k.is("join", s.beat(0, "mails"), "UNSUPPORTED_VERSION")
	k.is("fetch", s.fetch(), "UNSUPPORTED_VERSION")
	k.is("acknowledge", s.acknowledge("0-0:1"), "UNSUPPORTED_VERSION")
}

// A queue of the process and a member from elsewhere share the records, and are told of together.
func TestShareWithQueue(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("mails", samsa.TopicConfig{})
	s := k.sharer("mailer", "a", "mails")
	q, err := k.NewQueue(k.ctx, samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	k.produce("mails", "a", "b")
	k.is("join", s.beat(0, "mails"), "epoch 1 [0]")
	got, err := q.Receive(k.ctx, 1)
	if err != nil || len(got) != 1 || string(got[0].Record.Value) != "a" {
		t.Fatalf("received %+v, %v", got, err)
	}
	k.is("fetch", s.fetch(), "1-1x1")
	if err := got[0].Release(-1); err != nil {
		t.Fatal(err)
	}
	k.is("what the queue has released", s.fetch(), "0-0x2")
	k.is("acknowledge", s.acknowledge("0-1:1"), "done")
	info, err := k.Groups().Describe(k.ctx, "mailer")
	if err != nil || len(info.Members) != 2 || len(info.Partitions) != 1 {
		t.Fatalf("described: %+v, %v", info, err)
	}
	if p := info.Partitions[0]; p.Committed != 2 || p.Lag != 0 || p.Share.Deliveries != 3 || p.MemberID != "" {
		t.Errorf("described: %+v", p)
	}
	tp := samsa.TopicPartition{Topic: "mails"}
	for what, err := range map[string]error{
		"alter": k.Groups().AlterOffsets(k.ctx, "mailer", samsa.To(samsa.Earliest())), "delete": k.Groups().DeleteOffsets(k.ctx, "mailer", tp),
	} {
		if !errors.Is(err, samsa.ErrGroupNotEmpty) {
			t.Errorf("%s with members: %v", what, err)
		}
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	s.beat(-1)
	if err := k.Groups().AlterOffsets(k.ctx, "mailer", samsa.Shift(-1)); err != nil {
		t.Fatal(err)
	}
	again := k.sharer("mailer", "b", "mails")
	k.is("from where it was put", again.fetch(), "1-1x1")
	if err := k.Groups().DeleteOffsets(k.ctx, "mailer", tp); err != nil {
		t.Fatal(err)
	}
	if info, err = k.Groups().Describe(k.ctx, "mailer"); err != nil || len(info.Partitions) != 0 {
		t.Errorf("described: %+v, %v", info, err)
	}
}

// A batch that is larger than what a fetch has memory for at first comes whole, and alone.
func TestShareLargeBatch(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("mails", samsa.TopicConfig{MaxMessageBytes: 8 << 20})
	c := k.dial()
	large := strings.Repeat("x", 5<<20)
	ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "mails", batch(t, log.CodecNone, record{1, "", large})))
	ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "mails", batch(t, log.CodecNone, record{1, "", "y"})))
	s := k.sharer("mailer", "a", "mails")
	resp := ask[*kmsg.ShareFetchResponse](s.client, 2, s.fetchRequest())
	if n := len(resp.Topics[0].Partitions[0].Records); n < len(large) {
		t.Errorf("%d bytes", n)
	}
	k.is("the large one", s.told(resp), "0-0x1")
	k.is("the next one", s.fetch(), "1-1x1")
}

// Members that come and go, on connections that break, with a queue of the process among them: each record is accepted
// by one of them, once, and none is lost.
func TestShareCrowd(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("mails", samsa.TopicConfig{})
	const n = 600
	for range n / 20 {
		k.produce("mails", strings.Repeat("x", 20))
	}
	var mu sync.Mutex // guards what follows
	accepted := make(map[int64]string)
	left := n
	take := func(who string, offset int64) {
		mu.Lock()
		defer mu.Unlock()
		if had, ok := accepted[offset]; ok {
			t.Errorf("%d was accepted by %s and %s", offset, had, who)
		}
		accepted[offset] = who
		left--
	}
	more := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return left > 0
	}
	ctx, cancel := context.WithCancel(k.ctx)
	var wg sync.WaitGroup
	q, err := k.NewQueue(k.ctx, samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}, MaxDeliveries: samsa.Unlimited, Start: samsa.Earliest(),
		Retry: samsa.Retry{Min: time.Millisecond, Max: time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	wg.Go(func() {
		for ctx.Err() == nil {
			got, err := q.Receive(ctx, 3)
			if err != nil {
				return
			}
			for _, d := range got {
				if d.Ack() == nil {
					take("the queue", d.Record.Offset)
				}
			}
		}
	})
	var members sync.WaitGroup
	for m := range 3 {
		members.Go(func() {
			for life := 0; more(); life++ {
				s := k.sharer("mailer", fmt.Sprintf("m%d-%d", m, life), "mails")
				s.beat(0, "mails")
				s.max, s.wait = 5, 50
				s.fetch()
				for turn := 0; turn < 6 && more(); turn++ {
					resp := ask[*kmsg.ShareFetchResponse](s.client, 2, s.fetchRequest())
					if s.epoch++; len(resp.Topics) == 0 {
						continue
					}
					for i, a := range resp.Topics[0].Partitions[0].AcquiredRecords {
						kind := 1 + (turn+i)%2 // accept, or release
						text := fmt.Sprintf("%d-%d:%d", a.FirstOffset, a.LastOffset, kind)
						if s.acknowledge(text) == "done" && kind == 1 {
							for offset := a.FirstOffset; offset <= a.LastOffset; offset++ {
								take(s.id, offset)
							}
						}
					}
				}
				if life%2 == 1 {
					s.beat(-1) // which ends no session
				}
				_ = s.Close() // and what it has goes back
			}
		})
	}
	members.Wait()
	cancel()
	wg.Wait()
	if err := q.Close(); err != nil {
		t.Error(err)
	}
	info, err := k.Groups().Describe(k.ctx, "mailer")
	if err != nil || len(accepted) != n || info.Partitions[0].Lag != 0 {
		t.Errorf("%d of %d accepted, %+v, %v", len(accepted), n, info, err)
	}
}
