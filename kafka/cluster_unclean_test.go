package kafka

import (
	"errors"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
)

// After an unclean election the log ends earlier, in whole batches, and goes on there in a new epoch; who has read more hears where
// the old one ends, and what is appended takes the offsets of what is lost.
func TestClusterElectsUnclean(t *testing.T) {
	t.Parallel()
	s := startCluster(t, ClusterOptions{})
	produce := func(value string) int64 {
		t.Helper()
		p := ask[*kmsg.ProduceResponse](s.at(s.leader(0)), 9, oneProduce(0, -1, batch(t, 0, record{1, "", value}, record{1, "", value + "+"}))).Topics[0].Partitions[0]
		if p.ErrorCode != 0 {
			t.Fatalf("%+v", p)
		}
		return p.BaseOffset
	}
	for i := range 4 {
		produce(fmt.Sprint("old ", i)) // offsets 0 to 7, epoch 1
	}
	to := s.other(s.leader(0))
	s.must(s.c.ElectUnclean("web_log", 0, to, 5)) // within the batch that begins at 4
	fetch := func(offset int64, last int32) kmsg.FetchResponseTopicPartition {
		req := fetchRequest("web_log", offset)
		req.Topics[0].Partitions[0].LastFetchedEpoch, req.MaxWaitMillis = last, 0
		return ask[*kmsg.FetchResponse](s.at(to), 12, req).Topics[0].Partitions[0]
	}
	if p := fetch(8, -1); p.ErrorCode != codeOffsetOutOfRange {
		t.Errorf("behind the end: %+v", p)
	}
	if p := fetch(8, 1); p.DivergingEpoch.Epoch != 1 || p.DivergingEpoch.EndOffset != 4 {
		t.Errorf("who has read to 8 in epoch 1: %+v", p)
	}
	if p := fetch(4, 1); p.ErrorCode != 0 || p.DivergingEpoch.Epoch >= 0 || p.HighWatermark != 4 {
		t.Errorf("at the end: %+v", p)
	}
	if got := produce("new"); got != 4 {
		t.Errorf("the log goes on at %d", got)
	}
	if got, want := fmt.Sprint(s.values("web_log", 6)), "[old 0 old 0+ old 1 old 1+ new new+]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	_, epoch, err := s.c.Leader("web_log", 0)
	s.must(err)
	if p := fetch(6, epoch); p.ErrorCode != 0 || p.DivergingEpoch.Epoch >= 0 || s.leader(0) != to {
		t.Errorf("in the new epoch: %+v", p)
	}
	for _, err := range []error{s.c.ElectUnclean("web_log", 0, to, 7), s.c.ElectUnclean("web_log", 0, 9, 0), s.c.ElectUnclean("nobody", 0, to, 0)} {
		if err == nil {
			t.Error("an election that cannot be was held")
		}
	}
	disk, err := samsa.Open(t.TempDir(), samsa.Options{})
	s.must(err)
	defer func() { s.must(disk.Close()) }()
	s.must(disk.Topics().Create(s.ctx, "web_log", samsa.TopicConfig{}))
	c, err := ListenCluster(disk, 1, "127.0.0.1:0", ClusterOptions{})
	s.must(err)
	if err := c.ElectUnclean("web_log", 0, 1, 0); !errors.Is(err, samsa.ErrUnsupported) {
		t.Errorf("on disk: %v", err)
	}
}

// A producer goes on from what the log still knows of it: what was lost comes as a gap, as from Kafka.
func TestClusterElectsUncleanUnderProducers(t *testing.T) {
	t.Parallel()
	s := startCluster(t, ClusterOptions{})
	send := func(sequence int32) int16 {
		b := batch(t, 0, record{1, "", fmt.Sprint(sequence)})
		b.SetProducer(7, 0, sequence)
		return ask[*kmsg.ProduceResponse](s.at(s.leader(0)), 9, oneProduce(0, -1, b)).Topics[0].Partitions[0].ErrorCode
	}
	for i := range int32(3) {
		if code := send(i); code != 0 {
			t.Fatalf("sequence %d: %d", i, code)
		}
	}
	s.must(s.c.ElectUnclean("web_log", 0, s.other(s.leader(0)), 1))
	for _, tt := range []struct {
		sequence int32
		want     int16
	}{{3, codeOutOfOrderSequenceNumber}, {1, 0}, {2, 0}, {3, 0}} {
		if got := send(tt.sequence); got != tt.want {
			t.Errorf("sequence %d: %d, want %d", tt.sequence, got, tt.want)
		}
	}
}

// What a share group has acknowledged stays so, also where the log goes on anew below it: such records it is not given, as in Kafka.
func TestClusterElectsUncleanUnderShareGroups(t *testing.T) {
	t.Parallel()
	s := startCluster(t, ClusterOptions{})
	s.must(s.c.MoveLeader("web_log", 0, 1), s.c.MoveGroup("sharers", 1))
	s.at(1)
	m := s.sharer("sharers", "one", "web_log")
	produce := func(value string) {
		t.Helper()
		if p := ask[*kmsg.ProduceResponse](s.at(1), 9, oneProduce(0, -1, batch(t, 0, record{1, "", value}, record{1, "", value + "+"}))).Topics[0].Partitions[0]; p.ErrorCode != 0 {
			t.Fatalf("%+v", p)
		}
	}
	for range 4 {
		produce("old")
	}
	s.is("joined", m.beat(0, "web_log"), "epoch 1 [0 1 2]")
	s.is("the old ones", m.fetch(), "0-1x1 2-3x1 4-5x1 6-7x1")
	s.is("done", m.fetch("0-5:1"), "-")
	s.must(s.c.ElectUnclean("web_log", 0, 1, 4))
	s.is("nothing is there", m.fetch(), "nothing")
	s.is("what is lost is done", m.fetch("6-7:1"), "-")
	for range 3 {
		produce("new") // 4 to 9
	}
	s.is("the new ones", m.fetch(), "8-9x1")
}
