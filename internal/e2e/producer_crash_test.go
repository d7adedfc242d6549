package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
)

// work is what the child has to produce, once: record i has a key of its own group and the
// value i.
const (
	workRecords    = 20_000
	workKeys       = 7
	workPartitions = 3
)

// replayUntilKilled is a child that begins the work again and again from its first record,
// as a program does that has no idea how far it got. It tells how many were acknowledged.
func replayUntilKilled(args []string) error {
	ctx := context.Background()
	b, err := samsa.Open(args[0], samsa.Options{})
	if err != nil {
		return err
	}
	p, err := b.NewProducer(ctx, samsa.ProducerOptions{ID: "work", Replay: true, BatchBytes: 1 << 10})
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	for i := 0; ; i++ {
		i := i % (workRecords + 1)
		if i == workRecords { // done, from the first again
			if err := p.Close(); err != nil {
				return err
			}
			if p, err = b.NewProducer(ctx, samsa.ProducerOptions{ID: "work", Replay: true}); err != nil {
				return err
			}
			continue
		}
		r := samsa.Record{Topic: "t", Key: fmt.Append(nil, i%workKeys), Value: fmt.Append(nil, i)}
		p.Produce(ctx, r, func(r samsa.Record, err error) {
			if err == nil {
				err = tell("%s\n", r.Value)
			}
			if err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
		select {
		case err := <-failed:
			return err
		default:
		}
	}
}

// A program that is killed again and again, and each time begins its work from the start, has done it exactly once in
// the end.
func TestReplayAfterKills(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	b := mustOpen(t, dir, samsa.Options{})
	mustCreate(t, b, "t", workPartitions)
	mustClose(t, b)
	acked := make(map[string]bool)
	for round, all := range kills(t, 4) {
		for _, value := range killWhen(t, "replay", after(rng.IntN((round+1)*workRecords/all)), dir) {
			acked[value] = true
		}
	}
	t.Logf("%d of %d records were acknowledged by then", len(acked), workRecords)

	b = mustOpen(t, dir, samsa.Options{})
	there, _ := workFound(t, b)
	for value := range acked {
		if !there[value] {
			t.Fatalf("record %s was acknowledged and is lost", value)
		}
	}
	p, err := b.NewProducer(t.Context(), samsa.ProducerOptions{ID: "work", Replay: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := range workRecords {
		p.Produce(patient(t), samsa.Record{Topic: "t", Key: fmt.Append(nil, i%workKeys), Value: fmt.Append(nil, i)}, func(_ samsa.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	mustClose(t, p)
	if there, twice := workFound(t, b); len(there) != workRecords || len(twice) > 0 {
		t.Errorf("in the end %d of %d records are there, and twice are %s", len(there), workRecords, strings.Join(twice, " "))
	}
}

// workFound reads the topic.
func workFound(t *testing.T, b *samsa.Broker) (there map[string]bool, twice []string) {
	t.Helper()
	there = make(map[string]bool)
	readRange(t, b, nil, ends(t, b), func(r samsa.Record, err error) {
		if err != nil {
			t.Fatal(err)
		}
		if v := string(r.Value); there[v] {
			twice = append(twice, v)
		} else {
			there[v] = true
		}
	})
	return there, twice
}
