package kafka

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
)

// hostile makes requests about groups that are well-formed and otherwise anything.
type hostile struct {
	*rand.Rand
	ids    [][16]byte // of topics
	epochs []int32    // that somebody was told
}

func (h *hostile) text() string {
	of := []string{"g", "g", "h", "s", "s", "u", "m1", "m1", "m2", "m3", "i1", "a", "b", "gone", "", "uniform", "range", "0", "1", "[a-z]+", "(", ".{1000}{1000}", "\xff\xfe", "x\x00y", strings.Repeat("n", 300), "share.auto.offset.reset", "earliest", "consumer"}
	return of[h.IntN(len(of))]
}

func (h *hostile) number(bits int) int64 {
	switch h.IntN(8) {
	case 0:
		return []int64{math.MaxInt64, math.MinInt64, math.MaxInt32, math.MinInt32, math.MaxInt16, 255, 256, 1 << 40}[h.IntN(8)] >> (64 - bits) << (64 - bits) >> (64 - bits)
	case 1:
		return -int64(h.IntN(4))
	case 2:
		return int64(h.IntN(2000))
	}
	return int64(h.IntN(8))
}

// fill gives every field some value.
func (h *hostile) fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "UnknownTags" && name != "Version" && v.Field(i).CanSet() {
				h.fill(v.Field(i))
			}
		}
	case reflect.Pointer:
		if h.IntN(4) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			h.fill(v.Elem())
		}
	case reflect.Slice:
		n := h.IntN(5) - 1
		if n < 0 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			h.fill(v.Index(i))
		}
	case reflect.Array:
		reflect.Copy(v, reflect.ValueOf(h.ids[h.IntN(len(h.ids))]))
	case reflect.String:
		v.SetString(h.text())
	case reflect.Bool:
		v.SetBool(h.IntN(3) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n := h.number(v.Type().Bits())
		if v.OverflowInt(n) {
			n = int64(int8(n))
		}
		v.SetInt(n)
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		v.SetUint(uint64(uint8(h.number(8))))
	case reflect.Float64:
		v.SetFloat([]float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 0, 0.5, 1e9, math.MaxFloat64}[h.IntN(8)])
	}
}

// mend makes of some requests what a client would say, so that others meet groups that are something.
func (h *hostile) mend(req kmsg.Request) {
	one := func(of ...string) string { return of[h.IntN(len(of))] }
	epoch := func() int32 { return h.epochs[h.IntN(len(h.epochs))] }
	none := []kmsg.TaskIDs{}
	switch r := req.(type) {
	case *kmsg.ConsumerGroupHeartbeatRequest:
		r.Group, r.MemberID, r.MemberEpoch = one("g", "h"), one("m1", "m2", "m3"), epoch()
		r.InstanceID, r.RackID, r.ServerAssignor, r.SubscribedTopicRegex = nil, nil, nil, nil
		if h.IntN(3) == 0 {
			r.InstanceID = kmsgString(one("i1", "i2"))
		}
		if h.IntN(2) == 0 {
			r.MemberEpoch, r.RebalanceTimeoutMillis, r.Topics = 0, 1000, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
			r.SubscribedTopicNames, r.SubscribedTopicRegex = []string{one("a", "b", "gone")}, kmsgString(one("a|b", "", "c+"))
		}
	case *kmsg.ShareGroupHeartbeatRequest:
		r.GroupID, r.MemberID, r.MemberEpoch, r.RackID = one("s", "u"), one("m1", "m2", "m3"), epoch(), nil
		if h.IntN(2) == 0 {
			r.MemberEpoch, r.SubscribedTopicNames = 0, []string{one("a", "b"), "b"}
		}
	case *kmsg.ShareFetchRequest:
		r.GroupID, r.MemberID, r.ShareSessionEpoch = kmsgString(one("s", "u")), kmsgString(one("m1", "m2")), epoch()
		r.MaxBytes, r.MinBytes, r.IsRenewAck, r.MaxRecords = 1<<20, 1, false, 7
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				p := &r.Topics[i].Partitions[j]
				if r.ShareSessionEpoch == 0 {
					p.AcknowledgementBatches = nil
				}
				for k := range p.AcknowledgementBatches {
					b := &p.AcknowledgementBatches[k]
					b.FirstOffset = h.Int64N(60)
					b.LastOffset, b.AcknowledgeTypes = b.FirstOffset+h.Int64N(4), []int8{int8(h.IntN(5))}
				}
			}
		}
	case *kmsg.ShareAcknowledgeRequest:
		r.GroupID, r.MemberID, r.ShareSessionEpoch = kmsgString(one("s", "u")), kmsgString(one("m1", "m2")), epoch()
		for i := range r.Topics {
			for j := range r.Topics[i].Partitions {
				p := &r.Topics[i].Partitions[j]
				for k := range p.AcknowledgementBatches {
					b := &p.AcknowledgementBatches[k]
					b.FirstOffset = h.Int64N(60)
					b.LastOffset, b.AcknowledgeTypes = b.FirstOffset+h.Int64N(4), []int8{int8(h.IntN(5))}
				}
			}
		}
	case *kmsg.AlterShareGroupOffsetsRequest:
		r.GroupID = one("s", "u")
	case *kmsg.StreamsGroupHeartbeatRequest:
		r.Group, r.MemberID, r.MemberEpoch = one("x", "y"), one("m1", "m2", "m3"), epoch()
		r.InstanceID, r.RackID, r.TaskOffsets, r.TaskEndOffsets = nil, nil, nil, nil
		if r.Topology = nil; h.IntN(3) == 0 {
			join := streamsJoin(r.MemberID)
			join.Group, join.UserEndpoint, join.ClientTags = r.Group, r.UserEndpoint, r.ClientTags
			join.Topology.Subtopologies[1].SourceTopics = []string{one("a", "b", "gone")}
			*r = *join
		} else if h.IntN(2) == 0 {
			r.ActiveTasks, r.StandbyTasks, r.WarmupTasks = none, none, none
		}
	}
}

// unknown returns where in an answer UNKNOWN_SERVER_ERROR stands.
func unknown(v reflect.Value, at string) string {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return unknown(v.Elem(), at)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if strings.HasSuffix(name, "ErrorCode") && v.Field(i).Int() == -1 {
				return fmt.Sprintf("%s.%s of %+v", at, name, v.Interface())
			}
			if found := unknown(v.Field(i), at+"."+name); found != "" {
				return found
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if found := unknown(v.Index(i), at); found != "" {
				return found
			}
		}
	}
	return ""
}

// Whatever a client says of groups, it gets an answer that knows why not, and the groups of others go on.
func TestHostileClientsOfGroups(t *testing.T) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{}, Options{})
		for _, name := range []string{"a", "b", "gone"} {
			k.create(name, samsa.TopicConfig{Partitions: 3})
		}
		h := &hostile{Rand: rand.New(rand.NewPCG(seed, 0))}
		h.ids = [][16]byte{k.topicID("a"), k.topicID("a"), k.topicID("b"), k.topicID("gone"), {}, {9}}
		k.produce("a", strings.TrimSpace(strings.Repeat("v ", 50)))
		if err := k.Topics().Delete(k.ctx, "gone"); err != nil {
			t.Fatal(err)
		}
		keys := []kmsg.Key{kmsg.ConsumerGroupHeartbeat, kmsg.ConsumerGroupDescribe, kmsg.ShareGroupHeartbeat, kmsg.ShareGroupDescribe,
			kmsg.ShareFetch, kmsg.ShareAcknowledge, kmsg.StreamsGroupHeartbeat, kmsg.StreamsGroupDescribe, kmsg.DescribeShareGroupOffsets,
			kmsg.AlterShareGroupOffsets, kmsg.DeleteShareGroupOffsets, kmsg.OffsetCommit, kmsg.OffsetFetch, kmsg.OffsetDelete,
			kmsg.DescribeGroups, kmsg.ListGroups, kmsg.DeleteGroups, kmsg.Heartbeat, kmsg.LeaveGroup, kmsg.JoinGroup, kmsg.SyncGroup, kmsg.IncrementalAlterConfigs}
		for _, name := range []string{"s", "u"} {
			if err := k.Groups().SetConfigs(k.ctx, name, map[string]string{"share.auto.offset.reset": "earliest"}); err != nil {
				t.Fatal(err)
			}
		}
		h.epochs = []int32{0, 1, 2, 3, 1, 2}
		c := k.dial()
		seen := make(map[string]int)
		for n := range 10_000 {
			key := keys[h.IntN(len(keys))]
			req := key.Request()
			h.fill(reflect.ValueOf(req).Elem())
			if h.IntN(4) > 0 {
				h.mend(req)
			}
			e, _ := k.srv.find(int16(key))
			version := e.min + int16(h.IntN(int(e.max-e.min)+1))
			if r, ok := req.(*kmsg.JoinGroupRequest); ok {
				r.RebalanceTimeoutMillis = min(r.RebalanceTimeoutMillis, 10000)
			}
			if r, ok := req.(*kmsg.IncrementalAlterConfigsRequest); ok {
				for i := range r.Resources {
					r.Resources[i].ResourceType = 32
				}
			}
			resp := ask[kmsg.Response](c, version, req)
			if found := unknown(reflect.ValueOf(resp), key.Name()); found != "" {
				t.Errorf("%d: %s %d: %s\n%+v", n, key.Name(), version, found, req)
				return
			}
			if f := reflect.ValueOf(resp).Elem().FieldByName("ErrorCode"); f.IsValid() {
				seen[key.Name()+" "+codeName(int16(f.Int()))]++
			}
			if f := reflect.ValueOf(resp).Elem().FieldByName("MemberEpoch"); f.IsValid() {
				h.epochs[h.IntN(len(h.epochs))] = int32(f.Int())
			}
			h.epochs[h.IntN(len(h.epochs))] = int32(h.IntN(10) - 2)
			switch h.IntN(300) {
			case 0:
				_ = c.Close()
				c = k.dial()
			case 1, 2, 3, 4:
				k.produce("a", "vwx")
			case 5:
				if err := k.Topics().Delete(k.ctx, "b"); err != nil {
					t.Fatal(err)
				}
				k.create("b", samsa.TopicConfig{Partitions: 1 + h.IntN(5)})
				h.ids[2] = k.topicID("b")
			}
			if h.IntN(20) == 0 {
				time.Sleep(time.Duration(h.IntN(20_000)) * time.Millisecond)
			}
		}
		for s, n := range seen {
			t.Log(n, s)
		}
	})
}

// A session of an epoch that cannot be is none.
func TestShareSessionsOfImpossibleEpochs(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("mails", samsa.TopicConfig{})
	s := k.sharer("mailer", "a", "mails")
	for _, epoch := range []int32{-2, math.MinInt32, 1, math.MaxInt32} {
		s.epoch = epoch
		k.is("fetch", s.fetch(), "SHARE_SESSION_NOT_FOUND")
		s.epoch = epoch
		k.is("acknowledge", s.acknowledge("0-0:1"), "SHARE_SESSION_NOT_FOUND")
	}
	s.epoch = 0
	k.is("fetch", s.fetch(), "-")
	s.epoch = -2
	k.is("fetch", s.fetch(), "INVALID_SHARE_SESSION_EPOCH")
}

// Of a streams group that is gone nothing is left that a member of another kind of group could be in.
func TestMembersOfAStreamsGroupThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{}, Options{})
		k.create("lines", samsa.TopicConfig{})
		c := k.dial()
		ask[*kmsg.StreamsGroupHeartbeatResponse](c, 1, streamsJoin("a"))
		fetch := kmsg.NewPtrOffsetFetchRequest()
		group := kmsg.NewOffsetFetchRequestGroup()
		group.Group = "app"
		fetch.Groups = append(fetch.Groups, group)
		ask[*kmsg.OffsetFetchResponse](c, 8, fetch)
		leave := streamsBeat("a", &kmsg.StreamsGroupHeartbeatResponse{MemberEpoch: -1})
		ask[*kmsg.StreamsGroupHeartbeatResponse](c, 1, leave)
		if err := k.Groups().Delete(k.ctx, "app"); err != nil {
			t.Fatal(err)
		}
		beat := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		beat.Group, beat.MemberID, beat.MemberEpoch = "app", "a", 5
		k.is("heartbeat", codeName(ask[*kmsg.ConsumerGroupHeartbeatResponse](c, 1, beat).ErrorCode), "GROUP_ID_NOT_FOUND")
		join := kmsg.NewPtrJoinGroupRequest()
		join.Group, join.MemberID, join.SessionTimeoutMillis, join.ProtocolType = "app", "a", 10_000, "consumer"
		k.is("join", codeName(ask[*kmsg.JoinGroupResponse](c, 9, join).ErrorCode), "UNKNOWN_MEMBER_ID")
	})
}
