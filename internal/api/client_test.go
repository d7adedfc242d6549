package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// everyClient runs a test with a client of each way to a broker.
func everyClient(t *testing.T, o Options, test func(t *testing.T, b *samsa.Broker, c *Client)) {
	t.Run("direct", func(t *testing.T) {
		b := samsatest.New(t)
		test(t, b, Direct(Handler(b, o)))
	})
	t.Run("http", func(t *testing.T) {
		b := samsatest.New(t)
		srv := httptest.NewServer(http.StripPrefix("/some/prefix", Handler(b, o)))
		defer srv.Close()
		c, err := NewClient(srv.URL + "/some/prefix/")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		test(t, b, c)
	})
}

func TestTopics(t *testing.T) {
	everyClient(t, Options{Write: true}, func(t *testing.T, _ *samsa.Broker, c *Client) {
		ctx := t.Context()
		hour := "3600000"
		must(t, c.CreateTopic(ctx, NewTopic{Name: "web_log", Partitions: 2, Configs: map[string]string{"retention.ms": hour}}))
		wantError(t, c.CreateTopic(ctx, NewTopic{Name: "web_log"}), samsa.ErrTopicExists)
		created, err := c.EnsureTopic(ctx, NewTopic{Name: "web_log"})
		if created || err != nil {
			t.Fatal(created, err)
		}
		created, err = c.EnsureTopic(ctx, NewTopic{Name: "__hidden"})
		if !created || err != nil {
			t.Fatal(created, err)
		}
		must(t, c.GrowTopic(ctx, "web_log", 3))
		wantError(t, c.GrowTopic(ctx, "web_log", 2), samsa.ErrInvalidPartitions)
		must(t, c.AlterTopic(ctx, "web_log", map[string]*string{"retention.ms": nil, "cleanup.policy": ref("compact")}))
		wantError(t, c.AlterTopic(ctx, "web_log", map[string]*string{"no.such": nil}), samsa.ErrInvalidConfig)
		info, err := c.Topic(ctx, "web_log")
		must(t, err)
		if got := config(info, "cleanup.policy"); got.Value != "compact" || got.Default {
			t.Errorf("cleanup.policy is %+v", got)
		}
		if got := config(info, "retention.ms"); got.Value != "604800000" || !got.Default {
			t.Errorf("retention.ms is %+v", got)
		}
		if len(info.Parts) != 3 || info.Partitions != 3 {
			t.Errorf("the topic has %d partitions, %+v", info.Partitions, info.Parts)
		}
		if got := listed(t, c, TopicsRequest{}); !slices.Equal(got, []string{"web_log"}) {
			t.Error(got)
		}
		if got := listed(t, c, TopicsRequest{Internal: true, Limit: 1}); !slices.Equal(got, []string{"__hidden", "web_log"}) {
			t.Error(got)
		}
		must(t, c.DeleteTopic(ctx, "web_log"))
		_, err = c.Topic(ctx, "web_log")
		wantError(t, err, samsa.ErrUnknownTopic)
		wantError(t, err, samsa.ErrUnknown)
	})
}

func TestRecords(t *testing.T) {
	everyClient(t, Options{Write: true}, func(t *testing.T, b *samsa.Broker, c *Client) {
		ctx := t.Context()
		must(t, c.CreateTopic(ctx, NewTopic{Name: "t", Partitions: 2}))
		at := At(time.Now().Add(-time.Minute))
		in := []NewRecord{
			{Partition: ref(int32(1)), Timestamp: at, Key: Bytes("k"), Value: Bytes{0xff, 0}, Headers: []Header{{Key: "a", Value: Bytes("1")}, {Key: "a"}}},
			{Partition: ref(int32(1)), Timestamp: at, Key: nil, Value: Bytes{}},
			{Partition: ref(int32(1)), Timestamp: at, Key: Bytes("<&>\u2028"), Value: Bytes("18446744073709551615")},
		}
		places, err := c.Produce(ctx, "t", ProduceRequest{Records: in, Acks: "synced"})
		must(t, err)
		if len(places) != 3 || places[2].Offset != 2 || places[2].Partition != 1 || !places[0].Timestamp.Equal(at.Time) {
			t.Fatalf("%+v", places)
		}
		page, err := c.Read(ctx, ReadRequest{Topic: "t", Partition: 1})
		must(t, err)
		if len(page.Records) != 3 || !page.End || page.Next != Offset(3) || page.Scanned != 3 || page.Stop != 3 {
			t.Fatalf("%+v", page)
		}
		for i, r := range page.Records {
			want := Record{Topic: "t", Partition: 1, Offset: int64(i), Timestamp: at, Key: in[i].Key, Value: in[i].Value, Headers: in[i].Headers}
			if !reflect.DeepEqual(r, want) {
				t.Errorf("record %d is\n%#v, want\n%#v", i, r, want)
			}
		}
		back, err := c.Read(ctx, ReadRequest{Topic: "t", Partition: 1, Backward: true, Limit: 2})
		must(t, err)
		if len(back.Records) != 2 || back.Records[0].Offset != 2 || back.Next != Offset(1) || back.End {
			t.Fatalf("%+v", back)
		}
		back, err = c.Read(ctx, ReadRequest{Topic: "t", Partition: 1, Backward: true, From: back.Next})
		must(t, err)
		if len(back.Records) != 1 || back.Records[0].Offset != 0 || !back.End {
			t.Fatalf("%+v", back)
		}
		found, err := c.Read(ctx, ReadRequest{Topic: "t", Partition: 1, Filter: Filter{Header: "a=1"}})
		must(t, err)
		if len(found.Records) != 1 || found.Records[0].Offset != 0 || found.Scanned != 3 {
			t.Fatalf("%+v", found)
		}
		cut, err := c.Read(ctx, ReadRequest{Topic: "t", Partition: 1, From: Last(1), MaxValue: 5})
		must(t, err)
		if r := cut.Records[0]; string(r.Value) != "18446" || r.ValueSize != 20 || string(r.Key) != "<&>" || r.KeySize != 6 {
			t.Fatalf("%+v", r)
		}
		one, err := c.Record(ctx, "t", 1, 0)
		must(t, err)
		if !bytes.Equal(one.Value, in[0].Value) {
			t.Fatalf("%+v", one)
		}
		_, err = c.Record(ctx, "t", 1, 3)
		wantError(t, err, samsa.ErrOffsetOutOfRange)
		_, err = c.Read(ctx, ReadRequest{Topic: "t", Partition: 2})
		wantError(t, err, samsa.ErrUnknownPartition)
		_ = b
	})
}

func TestFollow(t *testing.T) {
	everyClient(t, Options{Write: true}, func(t *testing.T, b *samsa.Broker, c *Client) {
		ctx := t.Context()
		must(t, c.CreateTopic(ctx, NewTopic{Name: "t", Partitions: 3}))
		produce := func(from, to int) {
			for i := from; i < to; i++ {
				_, err := b.Produce(ctx, samsa.Record{Topic: "t", Key: fmt.Append(nil, i), Value: fmt.Append(nil, i)})
				must(t, err)
			}
		}
		produce(0, 20)
		var got []string
		take := func(r Record) error {
			got = append(got, string(r.Value))
			if len(got) == 20 {
				return errEnough
			}
			return nil
		}
		must(t, c.Follow(ctx, FollowRequest{Topic: "t", From: Earliest(), Until: true}, func(r Record) error { _ = take(r); return nil }))
		if len(got) != 20 {
			t.Fatalf("%d records until now", len(got))
		}
		got = nil
		must(t, c.Follow(ctx, FollowRequest{Topic: "t", From: Last(2), Limit: 3}, take))
		if len(got) != 3 {
			t.Fatalf("%d records of 3", len(got))
		}
		got = nil
		done := make(chan error, 1)
		began := make(chan struct{})
		go func() {
			close(began)
			done <- c.Follow(ctx, FollowRequest{Topic: "t", From: Earliest(), Offsets: map[int32]int64{0: 1}}, take)
		}()
		<-began
		produce(20, 40)
		if err := <-done; !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
		ctx2, cancel := context.WithCancel(ctx)
		go cancel()
		if err := c.Follow(ctx2, FollowRequest{Topic: "t"}, take); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		wantError(t, c.Follow(ctx, FollowRequest{Topic: "nobody"}, take), samsa.ErrUnknownTopic)
	})
}

func listed(t *testing.T, c *Client, r TopicsRequest) (names []string) {
	t.Helper()
	for {
		p, err := c.Topics(t.Context(), r)
		must(t, err)
		for _, topic := range p.Topics {
			names = append(names, topic.Name)
		}
		if p.Next == "" {
			return names
		}
		r.After = p.Next
	}
}

func config(t Topic, name string) Config {
	for _, c := range t.Configs {
		if c.Name == name {
			return c
		}
	}
	return Config{}
}

func ref[T any](v T) *T { return &v }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("the error is %v, want %v", err, want)
	}
}
