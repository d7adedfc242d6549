package peer

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
)

const (
	franzModule = "github.com/twmb/franz-go"
	kfakeModule = "github.com/twmb/franz-go/pkg/kfake"
)

var kafkaCodecNames = []string{"gzip", "snappy", "lz4", "zstd"}

// kafkaPeers returns the peers that speak Kafka's protocol. One that runs in this process
// is a Peer whose Open is embedded(start).
func kafkaPeers(s Settings) []*Peer {
	peers := []*Peer{
		{
			Name:    "samsa-kafka",
			Title:   "Samsa over the wire",
			About:   "The samsa peer's broker behind its Kafka listener in the same process, through a franz-go client on loopback. Synced: SyncAll.",
			Module:  SamsaModule,
			Retains: true,
			Codecs:  kafkaCodecNames,
			Open:    embedded(startSamsa),
		},
		{
			Name:     "kfake-memory",
			Title:    "kfake in memory",
			About:    "franz-go's fake broker in the same process, records in memory, through a franz-go client on loopback.",
			Module:   kfakeModule,
			Volatile: true,
			NoSync:   "it has no disk",
			Retains:  true,
			Codecs:   kafkaCodecNames,
			Open:     embedded(func(_ string, _ Options) (*broker, error) { return startKfake() }),
		},
		{
			Name:    "kfake",
			Title:   "kfake on disk",
			About:   "franz-go's fake broker in the same process, with DataDir, through a franz-go client on loopback. Synced: SyncWrites.",
			Module:  kfakeModule,
			Retains: true,
			Codecs:  kafkaCodecNames,
			Open: embedded(func(dir string, o Options) (*broker, error) {
				opts := []kfake.Opt{kfake.DataDir(dir)}
				if o.Synced {
					opts = append(opts, kfake.SyncWrites())
				}
				return startKfake(opts...)
			}),
		},
	}
	if s.Kafka == "" {
		return peers
	}
	title, about := "Kafka at "+s.Kafka, "The broker at "+s.Kafka
	if s.KafkaVersion != "" {
		title, about = "Kafka", "One broker of Apache Kafka "+s.KafkaVersion+" in KRaft mode with its defaults and a heap of 1 GB, on loopback"
	}
	return append(peers, &Peer{
		Name:     "kafka",
		Title:    title,
		About:    about + ", through a franz-go client, acks=all. Stored: as its flush settings say. Synced: flush.messages=1.",
		Version:  s.KafkaVersion,
		Module:   franzModule,
		Volatile: true, // as to this process: the topic is removed at Close
		Retains:  true,
		Outside:  true,
		Codecs:   kafkaCodecNames,
		Open: func(ctx context.Context, _ string, o Options) (Log, error) {
			return openKafka(ctx, &broker{addr: s.Kafka}, outsideTopic(time.Now()), o)
		},
	})
}

// embedded opens a log at a broker that start starts in this process on dir.
func embedded(start func(dir string, o Options) (*broker, error)) func(context.Context, string, Options) (Log, error) {
	return func(ctx context.Context, dir string, o Options) (Log, error) {
		b, err := start(dir, o)
		if err != nil {
			return nil, err
		}
		return openKafka(ctx, b, topicName, o)
	}
}

// startSamsa starts the wire door of a broker on dir.
func startSamsa(dir string, o Options) (*broker, error) {
	b, err := samsa.Open(dir, samsa.Options{})
	if err != nil {
		return nil, err
	}
	srv, err := kafka.Listen(b, "127.0.0.1:0", kafka.Options{SyncAll: o.Synced})
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return &broker{addr: srv.Addr().String(), noFiles: true, stop: b.Close}, nil // which closes the door too
}

func startKfake(opts ...kfake.Opt) (*broker, error) {
	c, err := kfake.NewCluster(append(opts, kfake.NumBrokers(1))...)
	if err != nil {
		return nil, err
	}
	return &broker{addr: c.ListenAddrs()[0], stop: func() error { c.Close(); return nil }}, nil
}
