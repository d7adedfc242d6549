package samsatest_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/samsatest"
)

// Any request can be answered with any code, at both ends of its versions.
func TestEveryKindOfRequestFailsWithACode(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	failWithACode(t, b, func(key int16) samsatest.Target { return samsatest.Requests(b, key).Target })
	samsatest.Equal(t, b, "t", nil) // nothing was done
}

// So can any that was carried out.
func TestEveryKindOfAnswerIsACode(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	failWithACode(t, b, func(key int16) samsatest.Target { return samsatest.Requests(b, key).Answers() })
}

func failWithACode(t *testing.T, b *samsa.Broker, of func(key int16) samsatest.Target) {
	t.Helper()
	const code = 1234 // whatever it means
	addr := samsatest.Kafka(t, b)
	kinds := dial(t, addr, "kit").ask(3, kmsg.NewPtrApiVersionsRequest()).(*kmsg.ApiVersionsResponse).ApiKeys
	if len(kinds) < 28 {
		t.Fatalf("there are only %d", len(kinds))
	}
	for _, kind := range kinds {
		if kind.ApiKey == kmsg.DescribeLogDirs.Int16() {
			kind.MinVersion = 3 // before it the code is of each directory, and none is named
		}
		for _, version := range []int16{kind.MinVersion, kind.MaxVersion} {
			t.Run(fmt.Sprintf("%s/%d", kmsg.NameForKey(kind.ApiKey), version), func(t *testing.T) {
				fault := of(kind.ApiKey).FailWith(samsatest.Code(code))
				defer fault.Remove()
				req := kmsg.RequestForKey(kind.ApiKey)
				fillIn(reflect.ValueOf(req).Elem())
				got := codesIn(reflect.ValueOf(dial(t, addr, "kit").ask(version, req)).Elem())
				if got[code] == 0 || len(got) > 2 || len(got) == 2 && got[0] == 0 {
					t.Errorf("the codes are %v", got) // 0 is of fields that the version does not have
				}
				if fault.Hits() != 1 {
					t.Errorf("%d hits", fault.Hits())
				}
			})
		}
	}
}

// fillIn has a request name something of every kind.
func fillIn(v reflect.Value) {
	if d, ok := v.Addr().Interface().(interface{ Default() }); ok {
		d.Default()
	}
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		text := "t"
		switch {
		case name == "Acks":
			f.SetInt(-1)
		case f.Kind() == reflect.String:
			f.SetString(text)
		case f.Type() == reflect.TypeFor[*string]():
			f.Set(reflect.ValueOf(&text))
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
			fillIn(f.Index(0))
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.String:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
			f.Index(0).SetString(text)
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Int32:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
		}
	}
}

// codesIn counts the error codes of an answer.
func codesIn(v reflect.Value) map[int]int {
	found := make(map[int]int)
	for i := range v.NumField() {
		f := v.Field(i)
		if v.Type().Field(i).Name == "ErrorCode" {
			found[int(f.Int())]++
		}
		if f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct {
			for j := range f.Len() {
				for code, n := range codesIn(f.Index(j)) {
					found[code] += n
				}
			}
		}
	}
	return found
}

// A fault of requests hits those that name its topic, partition or group.
func TestRequestsOf(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("orders", 2), samsatest.Topic("receipts", 1))
	c := dial(t, samsatest.Kafka(t, b), "shop")
	list := func(topic string, partition int32) int16 {
		req := kmsg.NewPtrListOffsetsRequest()
		rt, rp := kmsg.NewListOffsetsRequestTopic(), kmsg.NewListOffsetsRequestTopicPartition()
		rt.Topic, rp.Partition, rp.Timestamp = topic, partition, -1
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		return c.ask(5, req).(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0].ErrorCode
	}
	samsatest.Requests(b, kmsg.ListOffsets.Int16()).Of("orders", 1).FailWith(samsatest.Code(6))
	if a, b, c := list("orders", 0), list("orders", 1), list("receipts", 0); a != 0 || b != 6 || c != 0 {
		t.Errorf("got codes %d, %d, %d", a, b, c)
	}
	heartbeat := func(group string) int16 {
		req := kmsg.NewPtrHeartbeatRequest()
		req.Group, req.MemberID = group, "m"
		return c.ask(4, req).(*kmsg.HeartbeatResponse).ErrorCode
	}
	samsatest.Requests(b).OfGroup("billing").By("shop").Next(1).FailWith(samsatest.Code(27))
	const unknownMember = 25
	if a, b, c := heartbeat("shipping"), heartbeat("billing"), heartbeat("billing"); a != unknownMember || b != 27 || c != unknownMember {
		t.Errorf("got codes %d, %d, %d", a, b, c)
	}
	// Who hears of metadata still hears of the broker.
	samsatest.Requests(b, kmsg.Metadata.Int16()).Next(1).FailWith(samsatest.Code(5))
	metadata := c.ask(9, kmsg.NewPtrMetadataRequest()).(*kmsg.MetadataResponse)
	if len(metadata.Brokers) != 1 || len(metadata.Topics) != 2 || metadata.Topics[0].ErrorCode != 5 {
		t.Errorf("got %+v", metadata)
	}
}

// A code at a point below the doors reaches clients as it is, and callers of the Go API as an error
// that they know.
func TestCodesThroughBothDoors(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("orders", 2))
	c := dial(t, samsatest.Kafka(t, b), "shop")
	for _, tt := range []struct {
		code samsatest.Code
		is   error
	}{
		{6, samsa.ErrUnavailable}, // NOT_LEADER_OR_FOLLOWER
		{1, samsa.ErrOffsetOutOfRange},
		{3, samsa.ErrUnknownTopic},
		{10, samsa.ErrRecordTooLarge},
		{13, samsa.ErrUnavailable}, // NETWORK_EXCEPTION
		{13, samsa.ErrOutcomeUnknown},
		{56, samsa.ErrUnavailable},
		{29, kafka.Code(29)}, // TOPIC_AUTHORIZATION_FAILED
		{81, samsa.ErrGroupFull},
	} {
		f := samsatest.Appends(b, "orders", 0).FailWith(tt.code)
		if got := c.produce("orders", "lost"); got != int16(tt.code) {
			t.Errorf("%v: a producer got %d", tt.code, got)
		}
		p := producer(t, b, samsa.ProducerOptions{Partitioner: samsa.ManualPartitioner()})
		_, err := p.ProduceSync(ctx, samsatest.Record("orders", "lost"))
		var code kafka.Code
		if !errors.As(err, &code) || code != tt.code || !errors.Is(err, tt.is) || !errors.Is(err, tt.code) || errors.Is(err, samsatest.ErrInjected) ||
			samsa.Retriable(err) != (errors.Is(tt.is, samsa.ErrUnavailable) || tt.code == 13) {
			t.Errorf("%v: got error %v, retriable: %t", tt.code, err, samsa.Retriable(err))
		}
		_, err = p.ProduceSync(ctx, samsa.Record{Topic: "orders", Partition: 1})
		wantErr(t, err, nil)
		f.Remove()

		f = samsatest.Fetches(b, "orders", 0).FailWith(tt.code)
		if got, _ := c.fetch("orders"); got != int16(tt.code) {
			t.Errorf("%v: a consumer got %d", tt.code, got)
		}
		f.Remove()
		f = samsatest.Joins(b, "billing").FailWith(tt.code)
		join := kmsg.NewPtrJoinGroupRequest()
		join.Group = "billing"
		if got := c.ask(2, join).(*kmsg.JoinGroupResponse).ErrorCode; got != int16(tt.code) {
			t.Errorf("%v: a member got %d", tt.code, got)
		}
		f.Remove()
	}
	// 0 is no error, and what failed was not done.
	samsatest.Appends(b, "orders").Next(1).FailWith(samsatest.Code(0))
	if got := c.produce("orders", "lost"); got != -1 {
		t.Errorf("got %d", got)
	}
}

// Faults of requests about share groups: of their group, and of partitions of a session, which a request does not name.
func TestCodesOfShareGroups(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("orders", 1))
	c := dial(t, samsatest.Kafka(t, b), "shop")
	if err := b.Groups().SetConfigs(t.Context(), "billing", map[string]string{"share.auto.offset.reset": "earliest"}); err != nil {
		t.Fatal(err)
	}
	info, err := b.Topics().Describe(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	fetch := func(epoch int32) (whole, part int16) {
		t.Helper()
		group, member := "billing", "m"
		req := kmsg.NewPtrShareFetchRequest()
		req.GroupID, req.MemberID, req.ShareSessionEpoch, req.MaxBytes, req.MaxRecords = &group, &member, epoch, 1<<20, 1
		if epoch == 0 {
			req.Topics = []kmsg.ShareFetchRequestTopic{{TopicID: info.ID, Partitions: []kmsg.ShareFetchRequestTopicPartition{{}}}}
		}
		resp := c.ask(2, req).(*kmsg.ShareFetchResponse)
		if len(resp.Topics) > 0 {
			part = resp.Topics[0].Partitions[0].ErrorCode
		}
		return resp.ErrorCode, part
	}
	key := kmsg.ShareFetch.Int16()
	for i, want := range [][2]int16{{0, 0}, {0, 6}, {16, 0}, {0, 0}} {
		epoch := int32(i)
		switch i {
		case 1:
			samsatest.Requests(b, key).Of("orders", 0).Next(1).FailWith(samsatest.Code(6))
		case 2:
			samsatest.Requests(b, key).OfGroup("billing").Next(1).FailWith(samsatest.Code(16))
		case 3:
			epoch-- // the one before did not come to the session
		}
		if whole, part := fetch(epoch); whole != want[0] || part != want[1] {
			t.Errorf("step %d: got %d and %d, want %v", i, whole, part, want)
		}
	}
}
