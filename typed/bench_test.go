package typed_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/measure/pairs"
	"github.com/samsa-go/samsa/samsatest"
	"github.com/samsa-go/samsa/typed"
	"github.com/samsa-go/samsa/typed/protobuf"
)

// What types cost: the same program by hand, with package samsa, and with types. See pairs.Compare.

const ofRound = 20_000 // records

var (
	value = bytes.Repeat([]byte("0123456789"), 10)
	tea   = Order{"a pound of tea, and a tin to keep it in", 250}
	some  = &anypb.Any{TypeUrl: "orders", Value: value}

	copied  = typed.CodecsOf(typed.String(), typed.Bytes())
	asJSON  = typed.CodecsOf(typed.String(), typed.JSON[Order]())
	asProto = typed.CodecsOf(typed.String(), protobuf.Codec[*anypb.Any]())

	lastKey   string // so that nothing of what is read is left out
	lastBytes []byte
	lastOrder Order
	lastAny   *anypb.Any
)

func BenchmarkProduce(b *testing.B) {
	b.Run("codec=copy", func(b *testing.B) {
		produce(b, copied, value, func(p *samsa.Producer, done samsa.Promise) {
			for range ofRound {
				p.Produce(ctx, samsa.Record{Topic: "t", Key: []byte("key"), Value: bytes.Clone(value)}, done)
			}
		})
	})
	b.Run("codec=json", func(b *testing.B) {
		produce(b, asJSON, tea, func(p *samsa.Producer, done samsa.Promise) {
			for range ofRound {
				text, err := json.Marshal(tea)
				if err != nil {
					b.Fatal(err)
				}
				p.Produce(ctx, samsa.Record{Topic: "t", Key: []byte("key"), Value: text}, done)
			}
		})
	})
	b.Run("codec=protobuf", func(b *testing.B) {
		produce(b, asProto, some, func(p *samsa.Producer, done samsa.Promise) {
			for range ofRound {
				wire, err := proto.Marshal(some)
				if err != nil {
					b.Fatal(err)
				}
				p.Produce(ctx, samsa.Record{Topic: "t", Key: []byte("key"), Value: wire}, done)
			}
		})
	})
}

// produce compares what is written by hand with typed.Producer.
func produce[V any](b *testing.B, codecs typed.Codecs[string, V], v V, byHand func(p *samsa.Producer, done samsa.Promise)) {
	broker := samsatest.New(b, samsatest.Topic("t", 1))
	hand, err := broker.NewProducer(ctx, samsa.ProducerOptions{})
	wantErr(b, err, nil)
	types, err := typed.NewProducer(ctx, broker, codecs, samsa.ProducerOptions{})
	wantErr(b, err, nil)
	var failed error
	tell := func(err error) {
		if err != nil {
			failed = err
		}
	}
	stored := int64(0)
	empty := func() { // so that no round has more in memory than another
		wantErr(b, failed, nil)
		stored += ofRound
		wantErr(b, broker.Topics().DeleteRecords(ctx, "t", map[int32]int64{0: stored}), nil)
	}
	pairs.Compare(b, ofRound, func(int) time.Duration {
		defer empty()
		return pairs.CPU(func() {
			byHand(hand, func(_ samsa.Record, err error) { tell(err) })
			wantErr(b, hand.Flush(ctx), nil)
		})
	}, func(int) time.Duration {
		defer empty()
		return pairs.CPU(func() {
			done := func(_ typed.Message[string, V], err error) { tell(err) }
			for range ofRound {
				types.Produce(ctx, typed.MessageOf("t", "key", v), done)
			}
			wantErr(b, types.Flush(ctx), nil)
		})
	})
	wantErr(b, errors.Join(hand.Close(), types.Close()), nil)
}

func BenchmarkConsume(b *testing.B) {
	b.Run("codec=copy", func(b *testing.B) {
		consume(b, copied, value, func(records iter.Seq2[samsa.Record, error]) {
			for r, err := range records {
				if err != nil {
					b.Fatal(err)
				}
				lastKey, lastBytes = string(r.Key), r.Value
			}
		}, func(messages iter.Seq2[typed.Message[string, []byte], error]) {
			for m, err := range messages {
				if err != nil {
					b.Fatal(err)
				}
				lastKey, lastBytes = m.Key, m.Value
			}
		})
	})
	b.Run("codec=json", func(b *testing.B) {
		consume(b, asJSON, tea, func(records iter.Seq2[samsa.Record, error]) {
			for r, err := range records {
				var o Order
				if err == nil {
					err = json.Unmarshal(r.Value, &o)
				}
				if err != nil {
					b.Fatal(err)
				}
				lastKey, lastOrder = string(r.Key), o
			}
		}, func(messages iter.Seq2[typed.Message[string, Order], error]) {
			for m, err := range messages {
				if err != nil {
					b.Fatal(err)
				}
				lastKey, lastOrder = m.Key, m.Value
			}
		})
	})
	b.Run("codec=protobuf", func(b *testing.B) {
		consume(b, asProto, some, func(records iter.Seq2[samsa.Record, error]) {
			for r, err := range records {
				var a anypb.Any
				if err == nil {
					err = proto.Unmarshal(r.Value, &a)
				}
				if err != nil {
					b.Fatal(err)
				}
				lastKey, lastAny = string(r.Key), &a
			}
		}, func(messages iter.Seq2[typed.Message[string, *anypb.Any], error]) {
			for m, err := range messages {
				if err != nil {
					b.Fatal(err)
				}
				lastKey, lastAny = m.Key, m.Value
			}
		})
	})
}

// consume compares what is written by hand with typed.Consumer.
func consume[V any](b *testing.B, codecs typed.Codecs[string, V], v V, byHand func(iter.Seq2[samsa.Record, error]), withTypes func(iter.Seq2[typed.Message[string, V], error])) {
	broker := samsatest.New(b, samsatest.Topic("t", 1))
	p, err := typed.NewProducer(ctx, broker, codecs, samsa.ProducerOptions{})
	wantErr(b, err, nil)
	for range ofRound {
		p.Produce(ctx, typed.MessageOf("t", "key", v), nil)
	}
	wantErr(b, p.Close(), nil)
	hand, err := broker.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"t"}})
	wantErr(b, err, nil)
	types, err := typed.NewConsumer(ctx, broker, codecs, samsa.ConsumerOptions{Topics: []string{"t"}})
	wantErr(b, err, nil)
	pairs.Compare(b, ofRound, func(int) time.Duration {
		return pairs.CPU(func() {
			wantErr(b, hand.SeekTo(ctx, samsa.Earliest()), nil)
			byHand(hand.RecordsUntil(ctx))
		})
	}, func(int) time.Duration {
		return pairs.CPU(func() {
			wantErr(b, types.SeekTo(ctx, samsa.Earliest()), nil)
			withTypes(types.RecordsUntil(ctx))
		})
	})
	wantErr(b, errors.Join(hand.Close(), types.Close()), nil)
}
