package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

// childBodies gets the child of this test.
var _ = func() bool { childBodies["queue"] = workUntilKilled; return true }()

const (
	killedWorkers = 4
	maxKilledDone = 300 // mails done before a kill, at most
)

// mailQueue is the queue of these tests. A worker that is killed is no reason to give a mail up.
func mailQueue(b *samsa.Broker, order bool) (*samsa.Queue, error) {
	return b.NewQueue(context.Background(), samsa.QueueOptions{
		Group: "mailer", Topics: []string{"mails"}, MaxDeliveries: samsa.Unlimited, OrderByKey: order,
		Retry: samsa.Retry{Min: time.Millisecond, Max: 5 * time.Millisecond},
	})
}

// workUntilKilled is the child. Its arguments are the directory and the round. It writes a line "fed MAIL" for each mail
// that is produced, and "done MAIL" for each whose effect was acknowledged.
func workUntilKilled(args []string) error {
	b, err := samsa.Open(args[0], samsa.Options{})
	if err != nil {
		return err
	}
	q, err := mailQueue(b, strings.HasSuffix(args[1], "1"))
	if err != nil {
		return err
	}
	ctx := context.Background()
	failed := make(chan error)
	go func() { failed <- feedMails(ctx, b, args[1]) }()
	go func() {
		failed <- q.Work(ctx, killedWorkers, func(ctx context.Context, d samsa.Delivery) error {
			switch rand.IntN(8) {
			case 0:
				return errors.New("the server is busy")
			case 1:
				return d.Release(time.Duration(rand.IntN(3)) * time.Millisecond)
			}
			if err := sendOnce(ctx, b, d); err != nil {
				return err
			}
			return tell("done %s\n", d.Record.Value)
		})
	}()
	return <-failed
}

func feedMails(ctx context.Context, b *samsa.Broker, round string) error {
	for n := 0; ; n++ {
		r := samsa.Record{Topic: "mails", Key: fmt.Append(nil, n%7), Value: fmt.Appendf(nil, "%s.%d", round, n)}
		if n%5 == 0 {
			r.Headers = []samsa.Header{samsa.NotBefore(time.Now().Add(time.Duration(rand.IntN(4)) * time.Millisecond))}
		}
		if _, err := b.Produce(ctx, r); err != nil {
			return err
		}
		if err := tell("fed %s\n", r.Value); err != nil {
			return err
		}
	}
}

// sendOnce counts a mail, produces its receipt, and acknowledges it.
func sendOnce(ctx context.Context, b *samsa.Broker, d samsa.Delivery) error {
	return b.Update(ctx, func(tx *samsa.Tx) error {
		key := append([]byte("mail/"), d.Record.Value...)
		before, err := tx.Get(key)
		if err != nil && !errors.Is(err, samsa.ErrKeyNotFound) {
			return err
		}
		if err := tx.Set(key, append(before, '+')); err != nil {
			return err
		}
		if err := tx.Produce(samsa.Record{Topic: "receipts", Value: d.Record.Value}); err != nil {
			return err
		}
		return tx.Ack(d)
	})
}

// Four workers share a queue, in a process that is killed at any moment, again and again: each mail is sent once, and has
// one receipt.
func TestQueueKills(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := mustOpen(t, dir, samsa.Options{})
	mustCreate(t, b, "mails", 3)
	mustCreate(t, b, "receipts", 2)
	mustClose(t, b)
	fed, done := make(map[string]bool), make(map[string]bool)
	for round := range kills(t, 4) {
		for _, line := range killWhen(t, "queue", after(rand.IntN(maxKilledDone)), dir, fmt.Sprint(round)) {
			what, mail, _ := strings.Cut(line, " ")
			switch what {
			case "fed":
				fed[mail] = true
			case "done":
				done[mail] = true
			}
		}
		b := mustOpen(t, dir, samsa.Options{})
		sent := sentMails(t, b)
		for mail := range done {
			if sent[mail] != 1 {
				t.Errorf("round %d: mail %s was told as sent, it was sent %d times", round, mail, sent[mail])
			}
		}
		mustClose(t, b)
	}
	b = mustOpen(t, dir, samsa.Options{})
	workOff(t, b)
	sent := sentMails(t, b)
	for mail := range fed {
		if sent[mail] != 1 {
			t.Errorf("mail %s was sent %d times", mail, sent[mail])
		}
	}
	receipts := make(map[string]int)
	readRange(t, b, nil, ends(t, b), func(r samsa.Record, err error) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Topic == "receipts" {
			receipts[string(r.Value)]++
		}
	})
	if !maps.Equal(receipts, sent) {
		t.Errorf("%d receipts for %d mails, or not one for each", len(receipts), len(sent))
	}
	t.Logf("%d mails, %d told as sent before a kill", len(sent), len(done))
	mustClose(t, b)
}

// workOff does what is left in the queue.
func workOff(t *testing.T, b *samsa.Broker) {
	t.Helper()
	q, err := mailQueue(b, false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(patient(t))
	worked := make(chan error, 1)
	go func() {
		worked <- q.Work(ctx, killedWorkers, func(ctx context.Context, d samsa.Delivery) error { return sendOnce(ctx, b, d) })
	}()
	for {
		stats, err := q.Stats(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if stats.Lag == 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	end()
	if err := <-worked; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
}

// sentMails returns how often each mail was sent.
func sentMails(t *testing.T, b *samsa.Broker) map[string]int {
	t.Helper()
	sent := make(map[string]int)
	err := b.View(patient(t), func(tx *samsa.ReadTx) error {
		for kv, err := range tx.Scan([]byte("mail/")) {
			if err != nil {
				return err
			}
			mail := strings.TrimPrefix(string(kv.Key), "mail/")
			sent[mail] = len(kv.Value)
			if len(kv.Value) != 1 {
				t.Errorf("mail %s was sent %d times", mail, len(kv.Value))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sent
}
