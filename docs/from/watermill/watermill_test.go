package from

import (
	"context"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/components/cqrs"
	"github.com/ThreeDotsLabs/watermill/components/fanin"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/ThreeDotsLabs/watermill/pubsub/gochannel"
)

func millSend(pub message.Publisher) error {
	m := message.NewMessage(watermill.NewUUID(), []byte("tea"))
	m.Metadata.Set("shop", "Prague")
	return pub.Publish("orders", m)
}

func millSubscribe(ctx context.Context, sub message.Subscriber, do func([]byte) error) error {
	messages, err := sub.Subscribe(ctx, "orders")
	if err != nil {
		return err
	}
	for m := range messages {
		if do(m.Payload) != nil {
			m.Nack() // it comes again at once
		} else {
			m.Ack()
		}
	}
	return ctx.Err()
}

func millHandle(r *message.Router, sub message.Subscriber, do func([]byte) error) {
	r.AddConsumerHandler("billing", "orders", sub, func(m *message.Message) error { return do(m.Payload) })
}

func millThank(r *message.Router, sub message.Subscriber, pub message.Publisher) {
	r.AddHandler("thank", "orders", sub, "receipts", pub, func(m *message.Message) ([]*message.Message, error) {
		return message.Messages{message.NewMessage(watermill.NewUUID(), append([]byte("thanks for "), m.Payload...))}, nil
	})
}

func millRetry(r *message.Router, sub message.Subscriber, do func([]byte) error) {
	retry := middleware.Retry{MaxRetries: 4, InitialInterval: 10 * time.Millisecond, Multiplier: 2, MaxInterval: time.Minute}
	h := r.AddConsumerHandler("billing", "orders", sub, func(m *message.Message) error { return do(m.Payload) })
	h.AddMiddleware(retry.Middleware)
}

func millPoison(r *message.Router, sub message.Subscriber, pub message.Publisher, do func([]byte) error) error {
	poison, err := middleware.PoisonQueue(pub, "orders.dead")
	if err != nil {
		return err
	}
	h := r.AddConsumerHandler("billing", "orders", sub, func(m *message.Message) error { return do(m.Payload) })
	h.AddMiddleware(poison)
	return nil
}

func millOnce(r *message.Router, sub message.Subscriber, pub message.Publisher) error {
	seen, err := middleware.NewMapExpiringKeyRepository(time.Hour) // in memory
	if err != nil {
		return err
	}
	once := middleware.Deduplicator{Repository: seen, KeyFactory: func(m *message.Message) (string, error) { return m.Metadata.Get("id"), nil }}
	h := r.AddHandler("thank", "orders", sub, "receipts", pub, func(*message.Message) ([]*message.Message, error) {
		return message.Messages{message.NewMessage(watermill.NewUUID(), []byte("thanks"))}, nil
	})
	h.AddMiddleware(once.Middleware)
	return nil
}

func millTypes(r *message.Router, sub message.Subscriber, pub message.Publisher, do func(Order) error) (*cqrs.EventBus, error) {
	codec := cqrs.JSONMarshaler{}
	events, err := cqrs.NewEventProcessorWithConfig(r, cqrs.EventProcessorConfig{
		GenerateSubscribeTopic: func(cqrs.EventProcessorGenerateSubscribeTopicParams) (string, error) { return "orders", nil },
		SubscriberConstructor:  func(cqrs.EventProcessorSubscriberConstructorParams) (message.Subscriber, error) { return sub, nil },
		Marshaler:              codec,
	})
	if err != nil {
		return nil, err
	}
	if err := events.AddHandlers(cqrs.NewEventHandler("billing", func(_ context.Context, o *Order) error { return do(*o) })); err != nil {
		return nil, err
	}
	return cqrs.NewEventBusWithConfig(pub, cqrs.EventBusConfig{
		GeneratePublishTopic: func(cqrs.GenerateEventPublishTopicParams) (string, error) { return "orders", nil },
		Marshaler:            codec,
	})
}

func millFanIn(ctx context.Context, sub message.Subscriber, pub message.Publisher) error {
	f, err := fanin.NewFanIn(sub, pub, fanin.Config{SourceTopics: []string{"orders", "returns"}, TargetTopic: "all"}, nil)
	if err != nil {
		return err
	}
	return f.Run(ctx)
}

func millTest(t *testing.T, shop func(message.Publisher) error) {
	pubsub := gochannel.NewGoChannel(gochannel.Config{Persistent: true}, nil)
	defer pubsub.Close()
	if err := shop(pubsub); err != nil {
		t.Error(err)
	}
	orders, err := pubsub.Subscribe(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	m := <-orders
	m.Ack()
	if string(m.Payload) != "tea" {
		t.Errorf("%s", m.Payload)
	}
}
