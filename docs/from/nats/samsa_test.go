package from

import (
	"context"
	"errors"
	"time"

	"github.com/samsa-go/samsa"
)

func samsaOpen(ctx context.Context, dir string) (*samsa.Broker, error) {
	b, err := samsa.Open(dir, samsa.Options{})
	if err != nil {
		return nil, err
	}
	_, err = b.Topics().Ensure(ctx, "orders", samsa.TopicConfig{Retention: 24 * time.Hour})
	return b, err
}

func samsaSend(ctx context.Context, b *samsa.Broker) (offset int64, err error) {
	stored, err := b.Produce(ctx, samsa.Record{Topic: "orders", Key: []byte("prague"), Value: []byte("tea")})
	if err != nil {
		return 0, err
	}
	return stored[0].Offset, nil
}

func samsaOnce(ctx context.Context, b *samsa.Broker, id string) error {
	return b.Update(ctx, func(tx *samsa.Tx) error {
		if _, err := tx.Get([]byte("sent/" + id)); !errors.Is(err, samsa.ErrKeyNotFound) {
			return err // nil: it was sent
		}
		if err := tx.Set([]byte("sent/"+id), nil); err != nil {
			return err
		}
		return tx.Produce(samsa.Record{Topic: "orders", Key: []byte("prague"), Value: []byte("tea")})
	})
}

func samsaSince(ctx context.Context, b *samsa.Broker, t time.Time) (first string, err error) {
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"orders"}, Start: samsa.AtTime(t)})
	if err != nil {
		return "", err
	}
	defer c.Close()
	records, err := c.PollRecords(ctx, 1)
	if err != nil {
		return "", err
	}
	return string(records[0].Value), nil
}

func samsaSome(ctx context.Context, b *samsa.Broker, do func([]byte)) error {
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"orders"}})
	if err != nil {
		return err
	}
	defer c.Close()
	for r, err := range c.RecordsUntil(ctx) { // what is there now
		if err != nil {
			return err
		}
		if string(r.Key) == "prague" {
			do(r.Value)
		}
	}
	return nil
}

func samsaWork(ctx context.Context, b *samsa.Broker, do func([]byte) error) error {
	q, err := b.NewQueue(ctx, samsa.QueueOptions{Group: "mailer", Topics: []string{"orders"}, Retry: samsa.Retry{Min: samsa.NoWait}})
	if err != nil {
		return err
	}
	defer q.Close()
	return q.Work(ctx, 1, func(_ context.Context, d samsa.Delivery) error { return do(d.Record.Value) })
}

func samsaDecide(d samsa.Delivery) error {
	switch string(d.Record.Value) {
	case "to the closed shop":
		return d.Release(12 * time.Hour)
	case "to nobody":
		return d.Reject("no such mailbox")
	default:
		return d.Ack()
	}
}

func samsaSet(ctx context.Context, b *samsa.Broker, t *samsa.Table, price func(old string) string) error {
	tea, err := t.Get([]byte("tea"))
	if err != nil {
		return err
	}
	return b.Update(ctx, func(tx *samsa.Tx) error {
		return tx.Put(t, tea.Key, []byte(price(string(tea.Value))), tea.Offset) // or ErrConflict
	})
}

func samsaWatch(ctx context.Context, t *samsa.Table, changed func(key, value string)) error {
	for change, err := range t.Watch(ctx) {
		if err != nil {
			return err
		}
		if !change.Mark { // all that was there has come
			changed(string(change.Record.Key), string(change.Record.Value))
		}
	}
	return nil
}

func samsaWaiting(ctx context.Context, q *samsa.Queue) (int64, error) {
	stats, err := q.Stats(ctx)
	return stats.Lag, err
}
