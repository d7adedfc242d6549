package clienttest

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// franzClient is franz-go.
func franzClient() client {
	return client{name: "franz-go", produce: franzProduce, group: franzGroup, transact: franzTransact,
		consume: func(k *kit, topics []string, n int) map[string][]record {
			return franzConsume(k, kgo.ReadUncommitted(), topics, n)
		},
		committed: func(k *kit, topics []string, n int) map[string][]record {
			return franzConsume(k, kgo.ReadCommitted(), topics, n)
		}}
}

// franz returns a client of the door, which the caller closes.
func (k *kit) franz(opts ...kgo.Opt) *kgo.Client {
	k.t.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(k.addr))...)
	if err != nil {
		k.t.Fatal(err)
	}
	return cl
}

var franzCodecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

func franzProduce(k *kit, jobs []job) {
	for _, j := range jobs {
		cl := k.franz(kgo.ProducerBatchCompression(franzCodecs[j.Codec]))
		var records []*kgo.Record
		for _, r := range j.Records {
			records = append(records, &kgo.Record{Topic: j.Topic, Key: []byte(r.Key), Value: []byte(r.Value),
				Headers: []kgo.RecordHeader{{Key: headerKey, Value: []byte(r.Header)}}})
		}
		if err := cl.ProduceSync(k.ctx, records...).FirstErr(); err != nil {
			k.t.Errorf("%s: %v", j.Topic, err)
		}
		cl.Close()
	}
}

// franzTransact does a story. Who commits offsets reads them first, as a member of the group.
func franzTransact(k *kit, s story) {
	// It asks again when a connection ends with its first request, and for metadata at once.
	session, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(k.addr), kgo.TransactionalID(s.ID), kgo.AlwaysRetryEOF(), kgo.MetadataMinAge(metadataMinAge),
		kgo.ConsumerGroup(s.Group), kgo.ConsumeTopics(s.Input), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		k.t.Fatal(err)
	}
	defer session.Close()
	cl, end, read := session.Client(), session.End, int64(0)
	for _, step := range s.Steps {
		err := cl.BeginTransaction()
		if err == nil {
			var records []*kgo.Record
			for _, r := range step.Records {
				records = append(records, &kgo.Record{Topic: s.Topic, Key: []byte(r.Key), Value: []byte(r.Value),
					Headers: []kgo.RecordHeader{{Key: headerKey, Value: []byte(r.Header)}}})
			}
			err = cl.ProduceSync(k.ctx, records...).FirstErr()
		}
		for err == nil && read < step.Offset {
			fetches := session.PollRecords(k.ctx, int(step.Offset-read))
			read, err = read+int64(fetches.NumRecords()), fetches.Err()
		}
		done := step.End == commit
		switch {
		case err != nil:
		case step.End == fence:
			second := k.franz(kgo.TransactionalID(s.ID))
			defer second.Close()
			if _, _, err = second.ProducerID(k.ctx); err == nil { // which begins with the id
				if done, err := end(k.ctx, kgo.TryCommit); done || err == nil {
					k.t.Fatal("a producer commits that another has replaced")
				}
			}
			cl, end = second, func(ctx context.Context, try kgo.TransactionEndTry) (bool, error) {
				return bool(try), second.EndTransaction(ctx, try)
			}
		default:
			done, err = end(k.ctx, kgo.TransactionEndTry(step.End == commit))
		}
		if err != nil || done != (step.End == commit) {
			k.t.Fatalf("%s: done %v, %v", step.End, done, err)
		}
	}
}

func franzConsume(k *kit, isolation kgo.IsolationLevel, topics []string, n int) map[string][]record {
	cl := k.franz(kgo.ConsumeTopics(topics...), kgo.FetchIsolationLevel(isolation))
	defer cl.Close()
	got := make(map[string][]record)
	for left := n * len(topics); left > 0; {
		records := franzPoll(k, cl, left)
		for _, r := range records {
			got[r.Topic] = append(got[r.Topic], franzPlain(r))
		}
		left -= len(records)
	}
	return got
}

func franzGroup(k *kit, group, topic string, n int) []record {
	cl := k.franz(kgo.ConsumeTopics(topic), kgo.ConsumerGroup(group), kgo.DisableAutoCommit())
	defer cl.Close()
	var got []record
	for len(got) < n {
		records := franzPoll(k, cl, n-len(got))
		for _, r := range records {
			got = append(got, franzPlain(r))
		}
		if err := cl.CommitRecords(k.ctx, records...); err != nil {
			k.t.Fatal(err)
		}
	}
	return got
}

// franzPoll returns some records, at most n.
func franzPoll(k *kit, cl *kgo.Client, n int) []*kgo.Record {
	k.t.Helper()
	fetches := cl.PollRecords(k.ctx, n)
	if err := fetches.Err(); err != nil {
		k.t.Fatal(err)
	}
	return fetches.Records()
}

func franzPlain(r *kgo.Record) record {
	out := record{Key: string(r.Key), Value: string(r.Value)}
	for _, h := range r.Headers {
		if h.Key == headerKey {
			out.Header = string(h.Value)
		}
	}
	return out
}

func same[T comparable](t *testing.T, got, want []T) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d: %v, want %d: %v", len(got), got, len(want), want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("number %d is %v, want %v", i, got[i], want[i])
		}
	}
}

// metadataMinAge lets a client that is asked to look for topics do so soon.
const metadataMinAge = 10 * time.Millisecond
