package kafka

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
)

// A topic that was deleted and created again is met by those who know the old one: newer clients
// by its id, which nothing has any more, older ones by its name, which the new one has.

// recreated is a broker whose topic t, with nine records and a commit at 9 of the group g, was
// replaced by one with three records.
type recreated struct {
	*kit
	c        *client
	old, now [16]byte
}

func newRecreated(t *testing.T) *recreated {
	k := start(t, samsa.Options{}, Options{})
	r := &recreated{kit: k, c: k.dial()}
	r.old = r.fill(9)
	req := commitRequest("t", kmsg.OffsetCommitRequestTopicPartition{Offset: 9})
	if resp := ask[*kmsg.OffsetCommitResponse](r.c, 9, req); resp.Topics[0].Partitions[0].ErrorCode != codeNone {
		t.Fatalf("commit: %+v", resp)
	}
	r.replace()
	return r
}

// fill creates t with n records, at 1, 2, ... seconds.
func (r *recreated) fill(n int) [16]byte {
	r.t.Helper()
	r.create("t", samsa.TopicConfig{})
	var records []record
	for i := range n {
		records = append(records, record{ms: int64(i+1) * 1000, value: fmt.Sprint(n, " ", i)})
	}
	ask[*kmsg.ProduceResponse](r.c, 9, produceRequest(1, "t", batch(r.t, log.CodecNone, records...)))
	info, err := r.Topics().Describe(r.ctx, "t")
	if err != nil {
		r.t.Fatal(err)
	}
	return info.ID
}

func (r *recreated) replace() {
	r.t.Helper()
	if err := r.Topics().Delete(r.ctx, "t"); err != nil {
		r.t.Fatal(err)
	}
	r.now = r.fill(3)
}

func (r *recreated) fetch(version int16, id [16]byte, offset int64) kmsg.FetchResponseTopicPartition {
	r.t.Helper()
	req := fetchRequest("t", offset)
	req.Topics[0].TopicID = id
	return ask[*kmsg.FetchResponse](r.c, version, req).Topics[0].Partitions[0]
}

func TestFetchOfATopicCreatedAnew(t *testing.T) {
	r := newRecreated(t)
	for _, tc := range []struct {
		version int16
		id      [16]byte
		offset  int64
		want    int16
	}{
		{13, r.old, 9, codeUnknownTopicID},
		{13, r.old, 0, codeUnknownTopicID},
		{13, r.now, 0, codeNone},
		{12, noTopic, 9, codeOffsetOutOfRange}, // the position in the old topic
		{12, noTopic, 0, codeNone},
	} {
		if p := r.fetch(tc.version, tc.id, tc.offset); p.ErrorCode != tc.want || (tc.want == codeNone) != (len(p.RecordBatches) > 0) {
			t.Errorf("version %d of %x from %d: error %d and %d bytes, want %d", tc.version, tc.id, tc.offset, p.ErrorCode, len(p.RecordBatches), tc.want)
		}
	}
}

// A fetch that waits for more of the old topic is told, and so is a session.
func TestFetchesThatMeetANewTopic(t *testing.T) {
	for version, want := range map[int16]int16{12: codeUnknownTopicOrPartition, 13: codeUnknownTopicID} {
		synctest.Test(t, func(t *testing.T) {
			k := startPipe(t, samsa.Options{}, Options{})
			r := &recreated{kit: k, c: k.dial()}
			r.old = r.fill(9)
			waiting, session := k.dial(), k.dial()
			req := fetchRequest("t", 9)
			req.Topics[0].TopicID = r.old
			waiting.send(version, req)
			open := fetchRequest("t", 0)
			open.Topics[0].TopicID, open.SessionEpoch = r.old, sessionNew
			first := ask[*kmsg.FetchResponse](session, version, open)
			if len(first.Topics[0].Partitions[0].RecordBatches) == 0 {
				t.Fatal("the session begins with nothing")
			}
			synctest.Wait()
			r.replace()
			if p := waiting.receive().(*kmsg.FetchResponse).Topics[0].Partitions[0]; p.ErrorCode != want {
				t.Errorf("version %d: a waiting fetch got error %d, want %d", version, p.ErrorCode, want)
			}
			more := kmsg.NewPtrFetchRequest()
			more.MaxBytes, more.SessionID, more.SessionEpoch = 1<<20, first.SessionID, 1
			p := ask[*kmsg.FetchResponse](session, version, more).Topics[0].Partitions[0]
			if version == 12 {
				if p.ErrorCode != codeNone || p.HighWatermark != 3 || len(p.RecordBatches) == 0 {
					t.Errorf("the session by name got %+v, want the three new records", p)
				}
			} else if p.ErrorCode != codeUnknownTopicID {
				t.Errorf("the session by id got error %d", p.ErrorCode)
			}
		})
	}
}

// Offsets of the old topic are gone. Whoever commits by its id is refused; who commits by name,
// as older clients do, means the topic that has the name, as in Kafka.
func TestCommitsForATopicCreatedAnew(t *testing.T) {
	r := newRecreated(t)
	at := func() int64 {
		t.Helper()
		offsets, err := r.Groups().Committed(r.ctx, "g")
		if err != nil {
			t.Fatal(err)
		}
		if o, ok := offsets[samsa.TopicPartition{Topic: "t"}]; ok {
			return o.Offset
		}
		return -1
	}
	commit := func(version int16, id [16]byte, offset int64) int16 {
		t.Helper()
		req := commitRequest("t", kmsg.OffsetCommitRequestTopicPartition{Offset: offset})
		req.Topics[0].TopicID = id
		return ask[*kmsg.OffsetCommitResponse](r.c, version, req).Topics[0].Partitions[0].ErrorCode
	}
	fetched := func(version int16, id [16]byte) (int64, int16) {
		t.Helper()
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Groups = []kmsg.OffsetFetchRequestGroup{{Group: "g", Topics: []kmsg.OffsetFetchRequestGroupTopic{{Topic: "t", TopicID: id, Partitions: []int32{0}}}}}
		p := ask[*kmsg.OffsetFetchResponse](r.c, version, req).Groups[0].Topics[0].Partitions[0]
		return p.Offset, p.ErrorCode
	}
	if got := at(); got != -1 {
		t.Errorf("the group is at %d in the new topic, want nothing", got)
	}
	if code := commit(10, r.old, 9); code != codeUnknownTopicID || at() != -1 {
		t.Errorf("a commit by the old id got error %d, and the group is at %d", code, at())
	}
	if offset, code := fetched(10, r.old); offset != -1 || code != codeUnknownTopicID {
		t.Errorf("by the old id the group is at %d, error %d", offset, code)
	}
	if code := commit(10, r.now, 2); code != codeNone || at() != 2 {
		t.Errorf("a commit by the new id got error %d, and the group is at %d", code, at())
	}
	if code := commit(9, noTopic, 3); code != codeNone || at() != 3 {
		t.Errorf("a commit by name got error %d, and the group is at %d", code, at())
	}
	for version, id := range map[int16][16]byte{9: noTopic, 10: r.now} {
		if offset, code := fetched(version, id); offset != 3 || code != codeNone {
			t.Errorf("version %d: the group is at %d, error %d", version, offset, code)
		}
	}
}

func TestTimeQueriesOfATopicCreatedAnew(t *testing.T) {
	r := newRecreated(t)
	for ms, want := range map[int64]int64{0: 0, 2000: 1, 3000: 2, 9000: -1} {
		req := kmsg.NewPtrListOffsetsRequest()
		req.ReplicaID = -1
		req.Topics = []kmsg.ListOffsetsRequestTopic{{Topic: "t", Partitions: []kmsg.ListOffsetsRequestTopicPartition{{Timestamp: ms, CurrentLeaderEpoch: -1}}}}
		if p := ask[*kmsg.ListOffsetsResponse](r.c, 6, req).Topics[0].Partitions[0]; p.Offset != want || p.ErrorCode != codeNone {
			t.Errorf("at %d ms: offset %d, error %d, want %d", ms, p.Offset, p.ErrorCode, want)
		}
	}
}

func TestProduceToATopicCreatedAnew(t *testing.T) {
	r := newRecreated(t)
	for id, want := range map[[16]byte]int16{r.old: codeUnknownTopicID, r.now: codeNone} {
		req := produceRequest(1, "t", batch(t, log.CodecNone, record{1, "", "x"}))
		req.Topics[0].TopicID = id
		if p := ask[*kmsg.ProduceResponse](r.c, 13, req).Topics[0].Partitions[0]; p.ErrorCode != want {
			t.Errorf("error %d, want %d", p.ErrorCode, want)
		}
	}
	if n := len(r.values("t", 4)); n != 4 {
		t.Errorf("%d records in the new topic, want 4", n)
	}
}
