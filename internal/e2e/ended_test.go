package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/backup"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/mirror"
	"github.com/samsa-go/samsa/typed"
)

// endedWorld is what the calls below are of: topic t with records, and one of each thing that has methods with a context, but for those of which package
// conform tries them.
type endedWorld struct {
	*kit
	other  *samsa.Broker
	p      *typed.Producer[string, string]
	c      *typed.Consumer[string, string] // has read a record
	auto   *typed.Consumer[string, string] // a member that commits by itself
	q      *typed.Queue[string, string]
	t      *typed.Table[string, string]
	users  kafka.Users
	acls   *kafka.ACLSet
	quotas *kafka.QuotaSet
	pipe   *kafka.Pipe
	m      *mirror.Mirror
	target backup.Target
}

var (
	someACL   = kafka.ACL{Principal: "User:alice", Operation: "READ", Resource: "TOPIC", Name: "t"}
	otherACL  = kafka.ACL{Principal: "User:bob", Operation: "READ", Resource: "TOPIC", Name: "t"}
	someQuota = kafka.Quota{User: "alice", Limits: map[string]float64{"producer_byte_rate": 1}}
)

func newEndedWorld(t *testing.T) *endedWorld {
	t.Helper()
	w := &endedWorld{kit: inMemory(t, samsa.Options{}), other: inMemory(t, samsa.Options{}).Broker, pipe: kafka.NewPipe(), target: backup.Folder(t.TempDir())}
	no := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w.create("t", 1)
	w.write("t", "a", "b")
	codecs, topics := typed.CodecsOf(typed.String(), typed.String()), []string{"t"}
	var err error
	w.p, err = typed.NewProducer(w.ctx, w.Broker, codecs, samsa.ProducerOptions{})
	no(err)
	w.c, err = typed.NewConsumer(w.ctx, w.Broker, codecs, samsa.ConsumerOptions{Topics: topics})
	no(err)
	_, err = w.c.PollRecords(w.ctx, 1)
	no(err)
	w.auto, err = typed.NewConsumer(w.ctx, w.Broker, codecs, samsa.ConsumerOptions{Topics: topics, Group: "g"})
	no(err)
	w.q, err = typed.NewQueue(w.ctx, w.Broker, codecs, samsa.QueueOptions{Topics: topics, Group: "q"})
	no(err)
	w.t, err = typed.NewTable(w.ctx, w.Broker, codecs, samsa.TableOptions{Topic: "t"})
	no(err)
	w.users, err = kafka.UsersOf(w.Broker)
	no(err)
	no(w.users.Set(w.ctx, "alice", "secret"))
	w.acls, err = kafka.ACLsOf(w.Broker)
	no(err)
	no(w.acls.Create(w.ctx, someACL))
	w.quotas, err = kafka.QuotasOf(w.Broker)
	no(err)
	no(w.quotas.Set(w.ctx, someQuota))
	w.m, err = mirror.New(w.Broker, w.other, mirror.Options{Name: "m", Topics: topics})
	no(err)
	return w
}

// ended are those calls, by type.
func (w *endedWorld) ended() map[string]func(ctx context.Context) error {
	message := typed.MessageOf("t", "k", "v")
	codecs, topics := typed.CodecsOf(typed.String(), typed.String()), []string{"t"}
	second := func(_ any, err error) error { return err }
	return map[string]func(ctx context.Context) error{
		"typed.NewProducer": func(ctx context.Context) error {
			return second(typed.NewProducer(ctx, w.Broker, codecs, samsa.ProducerOptions{ID: "id"}))
		},
		"typed.NewConsumer": func(ctx context.Context) error {
			return second(typed.NewConsumer(ctx, w.Broker, codecs, samsa.ConsumerOptions{Topics: topics}))
		},
		"typed.NewQueue": func(ctx context.Context) error {
			return second(typed.NewQueue(ctx, w.Broker, codecs, samsa.QueueOptions{Topics: topics, Group: "other"}))
		},
		"typed.NewTable": func(ctx context.Context) error {
			return second(typed.NewTable(ctx, w.Broker, codecs, samsa.TableOptions{Topic: "t"}))
		},
		"Producer.Produce": func(ctx context.Context) error {
			fate := make(chan error, 1)
			w.p.Produce(ctx, message, func(_ typed.Message[string, string], err error) { fate <- err })
			return <-fate
		},
		"Producer.ProduceSync": func(ctx context.Context) error { return second(w.p.ProduceSync(ctx, message)) },
		"Consumer.Records": func(ctx context.Context) (last error) {
			for _, last = range w.c.Records(ctx) {
				continue
			}
			return last
		},
		"Consumer.RecordsUntil": func(ctx context.Context) (last error) {
			for _, last = range w.c.RecordsUntil(ctx) {
				continue
			}
			return last
		},
		"Consumer.Work": func(ctx context.Context) error {
			return w.auto.Work(ctx, 1, func(context.Context, typed.Message[string, string], error) error { return nil })
		},
		"Queue.Receive": func(ctx context.Context) error { return second(w.q.Receive(ctx, 1)) },
		"Queue.Deliveries": func(ctx context.Context) (last error) {
			for _, last = range w.q.Deliveries(ctx) {
				continue
			}
			return last
		},
		"Queue.Work": func(ctx context.Context) error {
			return w.q.Work(ctx, 1, func(context.Context, typed.Delivery[string, string], error) error { return nil })
		},
		"Table.Watch": func(ctx context.Context) (last error) {
			for _, last = range w.t.Watch(ctx) {
				continue
			}
			return last
		},
		"Users.Set":        func(ctx context.Context) error { return w.users.Set(ctx, "bob", "secret") },
		"Users.Delete":     func(ctx context.Context) error { return w.users.Delete(ctx, "alice") },
		"ACLSet.Create":    func(ctx context.Context) error { return w.acls.Create(ctx, otherACL) },
		"ACLSet.Delete":    func(ctx context.Context) error { return second(w.acls.Delete(ctx, someACL)) },
		"ACLSet.DeleteAll": func(ctx context.Context) error { return second(w.acls.DeleteAll(ctx)) },
		"QuotaSet.Set": func(ctx context.Context) error {
			return w.quotas.Set(ctx, kafka.Quota{User: "bob", Limits: map[string]float64{"producer_byte_rate": 1}})
		},
		"Pipe.DialContext": func(ctx context.Context) error { return second(w.pipe.DialContext(ctx, "tcp", "pipe")) },
		"samsa.Restore": func(ctx context.Context) error {
			return second(samsa.Restore(ctx, "", new(bytes.Buffer), samsa.Options{InMemory: true}))
		},
		"mirror.CopyKeys": func(ctx context.Context) error {
			return second(mirror.CopyKeys(ctx, w.Broker, w.other, mirror.KeysOptions{}))
		},
		"mirror.Hold": func(ctx context.Context) error {
			return mirror.Hold(ctx, w.Broker, mirror.Options{Name: "m", Topics: topics})
		},
		"Mirror.Lag":    func(ctx context.Context) error { return second(w.m.Lag(ctx)) },
		"Mirror.Run":    func(ctx context.Context) error { return w.m.Run(ctx) },
		"Mirror.Finish": func(ctx context.Context) error { return w.m.Finish(ctx) },
		"backup.Run": func(ctx context.Context) error {
			return backup.Run(ctx, backup.Of(w.Broker, backup.SourceOptions{}), w.target, backup.Options{})
		},
		"backup.List": func(ctx context.Context) error { return second(backup.List(ctx, w.target)) },
		"backup.Prune": func(ctx context.Context) error {
			return second(backup.Prune(ctx, w.target, backup.PruneOptions{Bases: 1}))
		},
		"backup.Verify": func(ctx context.Context) error {
			return second(backup.Verify(ctx, w.target, backup.VerifyOptions{}))
		},
	}
}

// endedLooks describes all that these calls could have changed.
func (w *endedWorld) endedLooks() string {
	topics, err := w.Topics().Describe(w.ctx, "t")
	groups, err2 := w.Groups().List(w.ctx)
	there, err3 := w.other.Topics().List(w.ctx)
	stats, err4 := w.q.Stats(w.ctx)
	position, err5 := w.c.Position(samsa.TopicPartition{Topic: "t"})
	if err := errors.Join(err, err2, err3, err4, err5); err != nil {
		w.kit.t.Fatal(err)
	}
	return fmt.Sprint(topics, groups, there, stats, position, w.users.List(), w.acls.List(), w.quotas.List())
}

// A call whose context has ended returns its error, at once, and has changed nothing; all of a type are tried.
func TestCallsOfAnEndedContext(t *testing.T) {
	w := newEndedWorld(t)
	calls := w.ended()
	ctx, cancel := context.WithCancel(w.ctx)
	cancel()
	before := w.endedLooks()
	for name, call := range calls {
		for range 5 { // some would do it now and then
			if err := call(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if after := w.endedLooks(); after != before {
			t.Fatalf("%s has changed\n%s\nto\n%s", name, before, after)
		}
	}
	for of, embedded := range map[any]any{w.p: w.p.Producer, w.c: w.c.Consumer, w.q: w.q.Queue, w.t: w.t.Table, w.users: nil, w.acls: nil, w.quotas: nil, w.pipe: nil, w.m: nil} {
		for _, m := range contextMethods(reflect.TypeOf(of), reflect.TypeOf(embedded)) {
			if untried := m != "Users.Check" && calls[m] == nil; untried { // which has no error
				t.Errorf("%s has a context, and is not tried", m)
			}
		}
	}
}

// contextMethods returns the methods of a type that have a context, but for those that are the same in what it embeds, as "Type.Method".
func contextMethods(of, embedded reflect.Type) (names []string) {
	short, _, _ := strings.Cut(of.String(), "[")
	short = short[strings.Index(short, ".")+1:]
	for i := range of.NumMethod() {
		m := of.Method(i)
		if m.Type.NumIn() < 2 || m.Type.In(1) != reflect.TypeFor[context.Context]() {
			continue
		}
		signature := func(m reflect.Method) string {
			return strings.TrimPrefix(m.Type.String(), "func("+m.Type.In(0).String())
		}
		if embedded != nil {
			if inner, ok := embedded.MethodByName(m.Name); ok && signature(inner) == signature(m) {
				continue
			}
		}
		names = append(names, short+"."+m.Name)
	}
	return names
}
