package peer

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

// Every peer keeps the promises of Log, with each durability and with several partitions.
func TestPeersConform(t *testing.T) {
	for _, p := range All(Settings{}) {
		for _, o := range []Options{
			{Partitions: 1, Codec: p.Codec("snappy"), BatchBytes: 1 << 20, Writers: 8},
			{Partitions: 3, Codec: "none", BatchBytes: 1 << 20, Writers: 8, Synced: p.NoSync == ""},
		} {
			t.Run(fmt.Sprintf("%s/partitions=%d/synced=%t", p.Name, o.Partitions, o.Synced), func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if err := Conform(ctx, p, t.TempDir(), o); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// A broker that is not ours is a peer too, and nothing of a log is left there.
func TestOutsideBroker(t *testing.T) {
	broker, err := startKfake()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := broker.stop(); err != nil {
			t.Error(err)
		}
	}()
	peers, err := Select(Settings{Kafka: broker.addr}, []string{"kafka"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := Conform(ctx, peers[0], t.TempDir(), Options{Partitions: 2, Codec: "zstd", BatchBytes: 1 << 20, Writers: 8, Synced: true, KeepBytes: 1 << 30}); err != nil {
		t.Error(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.addr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if topics, err := kadm.NewClient(client).ListTopics(ctx); err != nil || len(topics) > 0 {
		t.Errorf("left behind: topics %v, %v", topics.Names(), err)
	}
	if groups, err := kadm.NewClient(client).ListGroups(ctx); err != nil || len(groups) > 0 {
		t.Errorf("left behind: groups %v, %v", groups.Groups(), err)
	}
}

func TestSelect(t *testing.T) {
	all, err := Select(Settings{}, nil)
	if err != nil || len(all) != len(All(Settings{})) {
		t.Errorf("%d peers, %v", len(all), err)
	}
	some, err := Select(Settings{}, []string{"sqlite", "samsa"})
	if err != nil || len(some) != 2 || some[0].Name != "samsa" {
		t.Errorf("%v, %v", some, err)
	}
	if _, err := Select(Settings{}, []string{"samsa", "kafka"}); err == nil || !strings.Contains(err.Error(), `"kafka"`) {
		t.Errorf("a peer that is not there: %v", err)
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
