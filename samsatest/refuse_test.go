package samsatest_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/samsatest"
)

// The topics of requests below, with their partitions.
var asked = []struct {
	topic      string
	partitions []int32
}{{"orders", []int32{0, 1}}, {"receipts", []int32{0}}}

// A fault of one partition, or of one topic, has that fail with its code and nothing done for it; for the
// rest of the request the answer and the effect are those without a fault. So it is for every kind of
// request about topics, at both ends of its versions.
func TestRequestsFailByPartition(t *testing.T) {
	const code = 1234
	full, empty := samsatest.New(t, samsatest.Topic("orders", 2), samsatest.Topic("receipts", 1)), samsatest.New(t)
	p := producer(t, full, samsa.ProducerOptions{Partitioner: samsa.ManualPartitioner()})
	for _, a := range asked {
		for _, i := range a.partitions {
			_, err := p.ProduceSync(ctx, samsa.Record{Topic: a.topic, Partition: i}, samsa.Record{Topic: a.topic, Partition: i})
			wantErr(t, err, nil)
			wantErr(t, full.Groups().AlterOffsets(ctx, "billing", samsa.To(samsa.Latest()), log.TopicPartition{Topic: a.topic, Partition: i}), nil)
		}
	}
	q, err := full.NewQueue(ctx, samsa.QueueOptions{Group: "mailer", Topics: []string{"orders", "receipts"}})
	wantErr(t, err, nil)
	wantErr(t, q.Close(), nil)
	kinds := 0
	for _, kind := range dial(t, samsatest.Kafka(t, full), "kit").ask(3, kmsg.NewPtrApiVersionsRequest()).(*kmsg.ApiVersionsResponse).ApiKeys {
		if !isAboutTopics(kind.ApiKey) {
			continue
		}
		kinds++
		before := full
		if kind.ApiKey == kmsg.CreateTopics.Int16() {
			before = empty
		}
		for _, version := range []int16{kind.MinVersion, kind.MaxVersion} {
			for _, partitions := range [][]int32{nil, {1}} {
				t.Run(fmt.Sprintf("%s/%d/%d", kmsg.NameForKey(kind.ApiKey), version, partitions), func(t *testing.T) {
					b, twin := samsatest.Fork(t, before), samsatest.Fork(t, before)
					fault := samsatest.Requests(b, kind.ApiKey).Of("orders", partitions...).FailWith(samsatest.Code(code))
					got := refusable(t, b, kind.ApiKey, version)
					want := refusable(t, twin, kind.ApiKey, version)
					hit := map[string]bool{}
					for at, c := range want {
						_, whole := want["orders"]
						if at == "orders" && partitions == nil || at == "orders/1" && (partitions != nil || !whole) || at == "orders/0" && partitions == nil && !whole {
							want[at], hit[at] = code, true
						} else if whole && partitions == nil && at != "receipts" && at != "receipts/0" {
							delete(want, at) // a topic that fails has no partitions
						} else if c == code {
							t.Errorf("%s fails with the code anyhow", at)
						}
					}
					if !maps.Equal(got, want) {
						t.Errorf("got codes %v, want %v", got, want)
					}
					if (fault.Hits() == 1) != (len(hit) > 0) || partitions == nil && len(hit) == 0 {
						t.Errorf("%d hits, for %v", fault.Hits(), hit)
					}
					is, was, would := stateOf(t, b), stateOf(t, before), stateOf(t, twin)
					for at := range would {
						if hit[at] || hit["orders"] && at[:len("orders")] == "orders" {
							would[at] = was[at]
						}
						if is[at] != would[at] {
							t.Errorf("%s is %q, want %q", at, is[at], would[at])
						}
					}
				})
			}
		}
	}
	if kinds < 20 {
		t.Errorf("there are only %d kinds", kinds)
	}
}

// isAboutTopics reports whether requests of a kind name topics, and answers have a code for each.
func isAboutTopics(key int16) bool {
	switch kmsg.Key(key) {
	case kmsg.DescribeLogDirs, kmsg.ListPartitionReassignments, kmsg.ConsumerGroupHeartbeat:
		return false
	case kmsg.AddPartitionsToTxn: // all of them or none
		return false
	case kmsg.ShareFetch, kmsg.ShareAcknowledge: // they need a session: TestCodesOfShareGroups
		return false
	}
	req := reflect.TypeOf(kmsg.RequestForKey(key)).Elem()
	_, topics := req.FieldByName("Topics")
	_, resources := req.FieldByName("Resources")
	return topics || resources
}

// refusable asks about what is asked, and returns the codes of the answer by topic and partition.
func refusable(t *testing.T, b *samsa.Broker, key, version int16) map[string]int {
	t.Helper()
	req := kmsg.RequestForKey(key)
	ids := make(map[string][16]byte)
	if key == kmsg.Produce.Int16() && version >= 13 || key == kmsg.Fetch.Int16() && version >= 13 ||
		key == kmsg.TxnOffsetCommit.Int16() && version >= 6 || version >= 10 &&
		(key == kmsg.OffsetCommit.Int16() || key == kmsg.OffsetFetch.Int16()) {
		for _, a := range asked {
			info, err := b.Topics().Describe(ctx, a.topic)
			wantErr(t, err, nil)
			ids[a.topic] = info.ID
		}
	}
	fillAsked(reflect.ValueOf(req).Elem(), version, ids)
	codes := make(map[string]int)
	names := map[[16]byte]string{}
	for name, id := range ids {
		names[id] = name
	}
	codesByName(reflect.ValueOf(dial(t, samsatest.Kafka(t, b), "kit").ask(version, req)).Elem(), "", names, codes)
	return codes
}

// fillAsked has a request, or a part of it, name what is asked, and ask something that changes it.
func fillAsked(v reflect.Value, version int16, ids map[string][16]byte) {
	if d, ok := v.Addr().Interface().(interface{ Default() }); ok {
		d.Default()
	}
	numbers := map[string]int64{"Acks": -1, "MaxBytes": 1 << 20, "PartitionMaxBytes": 1 << 20, "Timestamp": -1, "MaxNumOffsets": 1,
		"Offset": 1, "NumPartitions": 1, "ReplicationFactor": 1, "Count": 5}
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		switch n, ok := numbers[name]; {
		case ok && f.CanInt():
			f.SetInt(n)
		case name == "Group":
			f.SetString("billing")
		case name == "GroupID" && f.Kind() == reflect.String:
			f.SetString("mailer")
		case name == "Groups" && f.Type().Elem().Kind() == reflect.Struct:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
			fillAsked(f.Index(0), version, ids)
		case name == "Records":
			f.SetBytes(oneRecord(version))
		case name == "Configs" && f.Type().Elem().Kind() == reflect.Struct:
			value := "123456"
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
			f.Index(0).FieldByName("Name").SetString("retention.ms")
			if to := f.Index(0).FieldByName("Value"); to.IsValid() {
				to.Set(reflect.ValueOf(&value))
			}
		case name == "TopicNames":
			f.Set(reflect.ValueOf([]string{"orders", "receipts"}))
		case name == "Topics" || name == "Resources":
			f.Set(reflect.MakeSlice(f.Type(), len(asked), len(asked)))
			for j, a := range asked {
				fillAsked(f.Index(j), version, ids)
				nameTopic(f.Index(j), a.topic, a.partitions, version, ids)
			}
		}
	}
}

func nameTopic(entry reflect.Value, topic string, partitions []int32, version int16, ids map[string][16]byte) {
	if f := entry.FieldByName("Topic"); f.IsValid() && f.Kind() == reflect.Pointer {
		f.Set(reflect.ValueOf(&topic))
	} else if f.IsValid() {
		f.SetString(topic)
	}
	if f := entry.FieldByName("TopicID"); f.IsValid() {
		f.Set(reflect.ValueOf(ids[topic]))
	}
	if f := entry.FieldByName("ResourceName"); f.IsValid() {
		f.SetString(topic)
		entry.FieldByName("ResourceType").SetInt(int64(kmsg.ConfigResourceTypeTopic))
	}
	list := entry.FieldByName("Partitions")
	if !list.IsValid() {
		return
	}
	if list.Type().Elem().Kind() == reflect.Int32 {
		list.Set(reflect.ValueOf(partitions))
		return
	}
	list.Set(reflect.MakeSlice(list.Type(), len(partitions), len(partitions)))
	for i, p := range partitions {
		fillAsked(list.Index(i), version, ids)
		list.Index(i).FieldByName("Partition").SetInt(int64(p))
	}
}

// oneRecord is what a version of Produce has for a record.
func oneRecord(version int16) []byte {
	if version < 3 {
		m := kmsg.MessageV0{Value: []byte("x")}
		set := m.AppendTo(nil)
		binary.BigEndian.PutUint32(set[8:], uint32(len(set)-12))
		binary.BigEndian.PutUint32(set[12:], crc32.ChecksumIEEE(set[16:]))
		return set
	}
	var b log.Builder
	b.Append(time.Now().UnixMilli(), nil, []byte("x"), nil)
	env, _ := b.Seal(nil, log.CodecNone)
	return env
}

// codesByName collects the error codes of an answer that belong to topics and partitions.
func codesByName(v reflect.Value, topic string, names map[[16]byte]string, codes map[string]int) {
	for _, name := range []string{"Topic", "ResourceName", "TopicID"} {
		f := v.FieldByName(name)
		switch {
		case !f.IsValid() || f.IsZero():
		case f.Kind() == reflect.Pointer:
			topic = f.Elem().String()
		case f.Kind() == reflect.String:
			topic = f.String()
		case topic == "":
			topic = names[f.Interface().([16]byte)]
		}
	}
	at := topic
	if f := v.FieldByName("Partition"); f.IsValid() {
		at = fmt.Sprintf("%s/%d", topic, f.Int())
	}
	if f := v.FieldByName("ErrorCode"); f.IsValid() && at != "" {
		codes[at] = int(f.Int())
	}
	for i := range v.NumField() {
		f := v.Field(i)
		for j := 0; f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct && j < f.Len(); j++ {
			codesByName(f.Index(j), topic, names, codes)
		}
	}
}

// stateOf describes what a broker has of what is asked.
func stateOf(t *testing.T, b *samsa.Broker) map[string]string {
	t.Helper()
	state := make(map[string]string)
	for _, a := range asked {
		info, err := b.Topics().Describe(ctx, a.topic)
		if errors.Is(err, samsa.ErrUnknownTopic) {
			state[a.topic] = "missing"
			continue
		}
		wantErr(t, err, nil)
		committed, err := b.Groups().Committed(ctx, "billing")
		wantErr(t, err, nil)
		state[a.topic] = fmt.Sprint(info.Config)
		for _, p := range info.Partitions {
			tp := log.TopicPartition{Topic: a.topic, Partition: p.Partition}
			state[tp.String()] = fmt.Sprint(p.LogStart, p.HighWatermark, committed[tp])
		}
	}
	return state
}

// What a request is about without naming it is hit too: a Fetch by its session, and who asks for
// everything. Several faults of one request each have their partitions.
func TestRequestsOfWhatIsNotNamed(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("orders", 2), samsatest.Topic("receipts", 1))
	wantErr(t, b.Groups().AlterOffsets(ctx, "billing", samsa.To(samsa.Earliest()), log.TopicPartition{Topic: "orders", Partition: 0}), nil)
	c := dial(t, samsatest.Kafka(t, b), "shop")
	codes := func(version int16, req kmsg.Request) map[string]int {
		t.Helper()
		got := make(map[string]int)
		codesByName(reflect.ValueOf(c.ask(version, req)).Elem(), "", nil, got)
		maps.DeleteFunc(got, func(_ string, code int) bool { return code == 0 })
		return got
	}
	want := func(got, want map[string]int) {
		t.Helper()
		if !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	session := kmsg.NewPtrFetchRequest()
	fillAsked(reflect.ValueOf(session).Elem(), 12, nil)
	session.SessionEpoch = 0
	id := c.ask(12, session).(*kmsg.FetchResponse).SessionID
	epoch := int32(0)
	next := func() map[string]int {
		epoch++
		req := kmsg.NewPtrFetchRequest()
		req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.SessionID, req.SessionEpoch = 1, 1, 1<<20, id, epoch
		return codes(12, req)
	}
	fetch := samsatest.Requests(b, kmsg.Fetch.Int16())
	fetch.Of("orders", 1).Next(1).FailWith(samsatest.Code(6))
	want(next(), map[string]int{"orders/1": 6})
	want(next(), map[string]int{})
	second := fetch.Of("orders").FailWith(samsatest.Code(3))
	first := fetch.Of("orders", 0, 1).FailWith(samsatest.Code(9))
	third := fetch.Of("receipts").FailWith(samsatest.Code(1))
	want(next(), map[string]int{"orders/0": 3, "orders/1": 3, "receipts/0": 1})
	if first.Hits() != 0 || second.Hits() != 1 || third.Hits() != 1 {
		t.Errorf("hits %d, %d, %d", first.Hits(), second.Hits(), third.Hits())
	}

	samsatest.Requests(b, kmsg.Metadata.Int16()).Of("orders", 1).FailWith(samsatest.Code(5))
	want(codes(9, kmsg.NewPtrMetadataRequest()), map[string]int{"orders/1": 5})
	samsatest.Requests(b, kmsg.OffsetFetch.Int16()).Of("orders", 0).FailWith(samsatest.Code(88))
	offsets := kmsg.NewPtrOffsetFetchRequest()
	offsets.Groups = []kmsg.OffsetFetchRequestGroup{{Group: "billing"}}
	want(codes(8, offsets), map[string]int{"orders/0": 88})

	// A group may be one of several.
	samsatest.Requests(b).OfGroup("shipping").FailWith(samsatest.Code(30))
	describe := kmsg.NewPtrDescribeGroupsRequest()
	describe.Groups = []string{"billing", "shipping"}
	got := codesIn(reflect.ValueOf(c.ask(5, describe)).Elem())
	if got[30] != 2 {
		t.Errorf("got codes %v", got)
	}
	// An answer with one code has it.
	samsatest.Requests(b, kmsg.DescribeLogDirs.Int16()).Of("receipts").FailWith(samsatest.Code(57))
	if code := c.ask(3, kmsg.NewPtrDescribeLogDirsRequest()).(*kmsg.DescribeLogDirsResponse).ErrorCode; code != 57 {
		t.Errorf("got code %d", code)
	}
	// Who waits for no answer is told by the end of the connection.
	samsatest.Requests(b, kmsg.Produce.Int16()).Of("orders", 1).FailWith(samsatest.Code(6))
	produce := kmsg.NewPtrProduceRequest()
	fillAsked(reflect.ValueOf(produce).Elem(), 9, nil)
	produce.Acks = 0
	c.send(9, produce)
	if resp, err := c.receive(); err == nil {
		t.Errorf("got %+v", resp)
	}
	if got := slices.Sorted(maps.Values(stateOf(t, b))); !slices.Contains(got, "0 1 {0 }") || !slices.Contains(got, "0 0 {0 }") {
		t.Errorf("got %q", got)
	}
}
