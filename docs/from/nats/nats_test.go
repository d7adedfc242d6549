package from

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func natsOpen(ctx context.Context, dir string) (*server.Server, jetstream.JetStream, error) {
	s, err := server.NewServer(&server.Options{JetStream: true, StoreDir: dir, DontListen: true, NoSigs: true})
	if err != nil {
		return nil, nil, err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return s, nil, errors.New("the server did not start")
	}
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		return s, nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return s, nil, err
	}
	_, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "ORDERS", Subjects: []string{"orders.>"}, MaxAge: 24 * time.Hour})
	return s, js, err
}

func natsSend(ctx context.Context, js jetstream.JetStream) (sequence uint64, err error) {
	stored, err := js.Publish(ctx, "orders.prague", []byte("tea"))
	if err != nil {
		return 0, err
	}
	return stored.Sequence, nil
}

func natsOnce(ctx context.Context, js jetstream.JetStream, id string) error {
	_, err := js.Publish(ctx, "orders.prague", []byte("tea"), jetstream.WithMsgID(id)) // within StreamConfig.Duplicates, 2 minutes
	return err
}

func natsSince(ctx context.Context, js jetstream.JetStream, t time.Time) (first string, err error) {
	c, err := js.OrderedConsumer(ctx, "ORDERS", jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &t})
	if err != nil {
		return "", err
	}
	m, err := c.Next(jetstream.FetchContext(ctx))
	if err != nil {
		return "", err
	}
	return string(m.Data()), nil
}

func natsSome(ctx context.Context, js jetstream.JetStream, do func([]byte)) error {
	c, err := js.CreateOrUpdateConsumer(ctx, "ORDERS", jetstream.ConsumerConfig{FilterSubject: "orders.prague", AckPolicy: jetstream.AckNonePolicy})
	if err != nil {
		return err
	}
	batch, err := c.FetchNoWait(100) // what is there now
	if err != nil {
		return err
	}
	for m := range batch.Messages() {
		do(m.Data())
	}
	return batch.Error()
}

func natsWork(ctx context.Context, js jetstream.JetStream, do func([]byte) error) error {
	c, err := js.CreateOrUpdateConsumer(ctx, "ORDERS", jetstream.ConsumerConfig{Durable: "mailer", MaxDeliver: 5})
	if err != nil {
		return err
	}
	work, err := c.Consume(func(m jetstream.Msg) {
		if do(m.Data()) != nil {
			m.Nak() // it comes again at once
		} else {
			m.Ack() // DoubleAck waits for the server
		}
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	work.Drain()
	<-work.Closed()
	return ctx.Err()
}

func natsDecide(m jetstream.Msg) error {
	switch string(m.Data()) {
	case "to the closed shop":
		return m.NakWithDelay(12 * time.Hour)
	case "to nobody":
		return m.TermWithReason("no such mailbox")
	default:
		return m.Ack()
	}
}

func natsSet(ctx context.Context, kv jetstream.KeyValue, price func(old string) string) error {
	tea, err := kv.Get(ctx, "tea")
	if err != nil {
		return err
	}
	_, err = kv.Update(ctx, "tea", []byte(price(string(tea.Value()))), tea.Revision()) // or ErrKeyExists
	return err
}

func natsWatch(ctx context.Context, kv jetstream.KeyValue, changed func(key, value string)) error {
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer w.Stop()
	for e := range w.Updates() {
		if e != nil { // nil: all that was there has come
			changed(e.Key(), string(e.Value()))
		}
	}
	return ctx.Err()
}

func natsWaiting(ctx context.Context, c jetstream.Consumer) (int64, error) {
	info, err := c.Info(ctx)
	if err != nil {
		return 0, err
	}
	return int64(info.NumPending) + int64(info.NumAckPending), nil
}
