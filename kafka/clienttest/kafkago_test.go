package clienttest

import (
	"context"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// kafkaGoClient is segmentio/kafka-go: its Writer, its Reader, and its Reader in a group.
func kafkaGoClient() client {
	return client{name: "kafka-go", produce: kafkaGoProduce, consume: kafkaGoConsume, group: kafkaGoGroup}
}

func kafkaGoProduce(k *kit, jobs []job) {
	for _, j := range jobs {
		var codec kafkago.Compression
		if j.Codec != "none" {
			if err := codec.UnmarshalText([]byte(j.Codec)); err != nil {
				k.t.Fatal(err)
			}
		}
		w := &kafkago.Writer{Addr: kafkago.TCP(k.addr), Topic: j.Topic, Compression: codec, RequiredAcks: kafkago.RequireAll, BatchSize: len(j.Records)}
		var messages []kafkago.Message
		for _, r := range j.Records {
			messages = append(messages, kafkago.Message{Key: []byte(r.Key), Value: []byte(r.Value),
				Headers: []kafkago.Header{{Key: headerKey, Value: []byte(r.Header)}}})
		}
		if err := w.WriteMessages(k.ctx, messages...); err != nil {
			k.t.Errorf("%s: %v", j.Topic, err)
		}
		if err := w.Close(); err != nil {
			k.t.Error(err)
		}
	}
}

// kafkaGoMaxWait is how long the broker may hold a fetch; Close of a Reader waits for one.
const kafkaGoMaxWait = 100 * time.Millisecond

func kafkaGoConsume(k *kit, topics []string, n int) map[string][]record {
	got := make(map[string][]record)
	for _, topic := range topics {
		r := kafkago.NewReader(kafkago.ReaderConfig{Brokers: []string{k.addr}, Topic: topic, MaxWait: kafkaGoMaxWait})
		got[topic] = kafkaGoRead(k, n, r.ReadMessage)
		if err := r.Close(); err != nil {
			k.t.Error(err)
		}
	}
	return got
}

func kafkaGoGroup(k *kit, group, topic string, n int) []record {
	r := kafkago.NewReader(kafkago.ReaderConfig{Brokers: []string{k.addr}, Topic: topic, GroupID: group, MaxWait: kafkaGoMaxWait, StartOffset: kafkago.FirstOffset})
	got := kafkaGoRead(k, n, r.ReadMessage) // which commits
	if err := r.Close(); err != nil {
		k.t.Error(err)
	}
	return got
}

func kafkaGoRead(k *kit, n int, read func(context.Context) (kafkago.Message, error)) []record {
	k.t.Helper()
	var got []record
	for len(got) < n {
		m, err := read(k.ctx)
		if err != nil {
			k.t.Fatalf("after %d records: %v", len(got), err)
		}
		rec := record{Key: string(m.Key), Value: string(m.Value)}
		for _, h := range m.Headers {
			if h.Key == headerKey {
				rec.Header = string(h.Value)
			}
		}
		got = append(got, rec)
	}
	return got
}
