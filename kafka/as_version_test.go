package kafka

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
)

// Every request has a history, in order, which ends at or beyond what is answered of it, so that without a release nothing differs from
// the newest one but what Kafka 4 has cut off.
func TestReleasesOfAllRequests(t *testing.T) {
	t.Parallel()
	newestRelease := releases[len(releases)-1]
	for _, e := range table {
		most, ok := newest(e.key, newestRelease)
		if !ok || most < e.max {
			t.Errorf("%s is answered up to %d, and %v has %d", e.key.Name(), e.max, newestRelease, most)
		}
		last := int16(-1)
		for _, r := range releases {
			v, ok := newest(e.key, r)
			if v < last || !ok && last >= 0 {
				t.Errorf("%s: %v has %d, and one before it %d", e.key.Name(), r, v, last)
			}
			if ok {
				last = v
			}
		}
	}
	if n := len(tableAs(table, newestRelease)); n != len(table) {
		t.Errorf("the newest release has %d of %d requests", n, len(table))
	}
}

func TestAsVersion(t *testing.T) {
	t.Parallel()
	versions := func(as string) map[kmsg.Key]string {
		k := start(t, samsa.Options{}, Options{AsVersion: as})
		resp := ask[*kmsg.ApiVersionsResponse](k.dial(), 0, kmsg.NewPtrApiVersionsRequest())
		all := make(map[kmsg.Key]string)
		for _, v := range resp.ApiKeys {
			all[kmsg.Key(v.ApiKey)] = fmt.Sprintf("%d-%d", v.MinVersion, v.MaxVersion)
		}
		return all
	}
	for as, want := range map[string]map[kmsg.Key]string{
		"0.11":  {kmsg.Produce: "0-3", kmsg.Fetch: "0-5", kmsg.ApiVersions: "0-1", kmsg.DeleteGroups: "", kmsg.InitProducerID: "0-0"},
		"2.8":   {kmsg.Produce: "0-9", kmsg.Fetch: "0-12", kmsg.DescribeCluster: "0-0", kmsg.ConsumerGroupHeartbeat: "", kmsg.ShareFetch: ""},
		"3.9.1": {kmsg.Produce: "0-11", kmsg.Fetch: "0-17", kmsg.ConsumerGroupHeartbeat: "0-0", kmsg.ShareFetch: "", kmsg.DescribeQuorum: "0-2"},
		"4.1":   {kmsg.Produce: "0-13", kmsg.Fetch: "4-18", kmsg.OffsetCommit: "2-9", kmsg.ShareFetch: "1-1"},
		"4.4":   {kmsg.Fetch: "4-18", kmsg.ApiVersions: "0-5", kmsg.StreamsGroupHeartbeat: "0-1"},
	} {
		got := versions(as)
		for key, want := range want {
			if got[key] != want {
				t.Errorf("%s: %s %q, want %q", as, key.Name(), got[key], want)
			}
		}
	}
	features := func(as string) (names []string) {
		k := start(t, samsa.Options{}, Options{AsVersion: as})
		for _, f := range ask[*kmsg.ApiVersionsResponse](k.dial(), 4, kmsg.NewPtrApiVersionsRequest()).SupportedFeatures {
			names = append(names, f.Name)
		}
		return names
	}
	if got := features("3.9"); len(got) != 0 {
		t.Errorf("3.9 has the features %v", got)
	}
	if got := features("4.1"); len(got) != 2 {
		t.Errorf("4.1 has the features %v", got)
	}
	k := start(t, samsa.Options{}, Options{AsVersion: "2.8"})
	c := k.dial()
	if resp := ask[*kmsg.ApiVersionsResponse](c, 3, kmsg.NewPtrApiVersionsRequest()); resp.ErrorCode != 0 || len(resp.SupportedFeatures) != 0 {
		t.Errorf("%+v", resp)
	}
	c.send(13, kmsg.NewPtrProduceRequest()) // which it does not have
	c.ended()
	for _, as := range []string{"", "2", "2.9", "2.8.x", "5.0", "-1.0", "2.8.1.1.1"} {
		if _, err := Listen(k.Broker, "127.0.0.1:0", Options{AsVersion: as}); (err == nil) != (as == "") || err != nil && !strings.Contains(err.Error(), "AsVersion") {
			t.Errorf("%q: %v", as, err)
		}
	}
}

// Brokers with ZooKeeper leave to clients what only the controller does.
func TestAsVersionControls(t *testing.T) {
	t.Parallel()
	for as, want := range map[string]int16{"2.8": codeNotController, "3.3": 0, "": 0} {
		s := startCluster(t, ClusterOptions{Options: Options{AsVersion: as}})
		for _, node := range s.c.Nodes() {
			req := kmsg.NewPtrCreateTopicsRequest()
			rt := kmsg.NewCreateTopicsRequestTopic()
			rt.Topic, rt.NumPartitions, rt.ReplicationFactor = fmt.Sprint("t", node), 1, 3
			req.Topics = append(req.Topics, rt)
			want := want
			if node == s.c.Controller() {
				want = 0
			}
			if got := ask[*kmsg.CreateTopicsResponse](s.at(node), 4, req).Topics[0].ErrorCode; got != want {
				t.Errorf("as %q node %d answers %d, want %d", as, node, got, want)
			}
		}
	}
}
