package conform

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/samsa-go/samsa"
)

var errSealed = errors.New("it is sealed")

// sealing has the kit's broker be one whose hooks seal: "v" is stored as "b(a(v))". They refuse the values "bad" and locked, and
// while plain is set they do nothing.
func (k *kit) sealing() (plain *atomic.Bool, locked *atomic.Value) {
	plain, locked = new(atomic.Bool), new(atomic.Value)
	hook := func(name string) samsa.Hook {
		each := func(do func(v string) (string, bool)) func(context.Context, []samsa.Record) (int, error) {
			return func(_ context.Context, records []samsa.Record) (int, error) {
				for i := range records {
					v, ok := string(records[i].Value), true
					if !plain.Load() {
						v, ok = do(v)
					}
					if !ok {
						return i, errSealed
					}
					records[i].Value = []byte(v)
				}
				return len(records), nil
			}
		}
		return samsa.Hook{
			Name:          name,
			BeforeProduce: each(func(v string) (string, bool) { return name + "(" + v + ")", v != "bad" }),
			BeforeDeliver: each(func(v string) (string, bool) {
				inner, ok := strings.CutPrefix(v, name+"(")
				return strings.TrimSuffix(inner, ")"), ok && v != locked.Load()
			}),
		}
	}
	k.Broker = k.open(Options{Data: k.fresh("data"), Hooks: []samsa.Hook{hook("a"), hook("b")}})
	return plain, locked
}

// refuses checks that an error is of a record that a hook has refused.
func (k *kit) refuses(err error, hook, value string) (r samsa.Record) {
	var wrong *samsa.InterceptError
	if !errors.As(err, &wrong) {
		k.Fatalf("got the error %v, want one of an interceptor", err)
	}
	k.is(err, errSealed)
	k.equal("refused", fmt.Sprint(wrong.Hook, " ", string(wrong.Record.Value)), hook+" "+value)
	return wrong.Record
}

// interceptors are of samsa.Hook's BeforeProduce and BeforeDeliver.
var interceptors = []promise{
	{"produce", "BeforeProduce changes what is stored by Produce, a Producer and Update, hook after hook. The program gets back what it has given.", func(k *kit) {
		plain, _ := k.sealing()
		name := k.topic(1)
		out := k.produce(samsa.Record{Topic: name, Value: []byte("1")})
		p := k.producer(samsa.ProducerOptions{})
		more, err := p.ProduceSync(k.ctx, samsa.Record{Topic: name, Value: []byte("2")})
		k.must(err)
		out = append(out, more...)
		p.Produce(k.ctx, samsa.Record{Topic: name, Value: []byte("3")}, func(r samsa.Record, err error) {
			k.must(err)
			out = append(out, r)
		})
		k.must(p.Flush(k.ctx))
		k.equal("returned", values(out), []string{"1", "2", "3"})
		k.equal("offsets", fmt.Sprint(out[0].Offset, out[1].Offset, out[2].Offset), "0 1 2")
		k.updates(func(tx *samsa.Tx) error { return tx.Produce(samsa.Record{Topic: name, Value: []byte("4")}) })
		plain.Store(true)
		k.has([]string{"b(a(1))", "b(a(2))", "b(a(3))", "b(a(4))"}, name)
	}},
	{"refuse", "What BeforeProduce refuses fails Produce, ProduceSync, Update and promises, and nothing is stored.", func(k *kit) {
		k.sealing()
		name := k.topic(1)
		good, bad := samsa.Record{Topic: name, Value: []byte("good")}, samsa.Record{Topic: name, Value: []byte("bad")}
		_, err := k.Produce(k.ctx, good, bad)
		k.refuses(err, "a", "bad")
		k.refuses(k.Update(k.ctx, func(tx *samsa.Tx) error { return errors.Join(tx.Produce(good), tx.Produce(bad)) }), "a", "bad")
		p := k.producer(samsa.ProducerOptions{})
		_, err = p.ProduceSync(k.ctx, good, bad)
		k.refuses(err, "a", "bad")
		p.Produce(k.ctx, bad, func(_ samsa.Record, e error) { err = e })
		k.must(p.Flush(k.ctx))
		k.refuses(err, "a", "bad")
		k.has(nil, name)
	}},
	{"deliver", "BeforeDeliver changes what consumers, Backward, queues and tables give, the last hook first.", func(k *kit) {
		k.sealing()
		name := k.topic(1)
		k.produce(keyed(name, "k", "1"), keyed(name, "k", "2"))
		k.reads(k.reader(name), "1", "2")
		k.has([]string{"1", "2"}, name)
		got, err := k.backwards(k.ctx, at(name, 0), samsa.Latest())
		k.must(err)
		k.equal("backwards", got, []string{"2", "1"})
		k.equal("rows", k.rows(k.table(samsa.TableOptions{Topic: name}), samsa.TableRange{}), "k=2")
	}},
	{"again", "A consumer stands before a record that BeforeDeliver refuses, with the records before it given, until it can be had or is passed.", func(k *kit) {
		_, locked := k.sealing()
		locked.Store("a(2)")
		name := k.topic(1)
		k.write(name, "1", "2", "3")
		c := k.reader(name)
		k.reads(c, "1")
		var wrong samsa.Record
		for range 2 {
			_, err := c.Poll(k.ctx)
			wrong = k.refuses(err, "a", "b(a(2))")
			position, err := c.Position(at(name, 0))
			k.must(err)
			k.equal("position", position, wrong.Offset)
		}
		k.must(c.Seek(k.ctx, at(name, 0), wrong.Offset+1))
		k.reads(c, "3")
		locked.Store("")
		k.must(c.Seek(k.ctx, at(name, 0), wrong.Offset))
		k.reads(c, "2", "3")
	}},
	{"queue", "A record of a queue that BeforeDeliver refuses is given back, and does not keep others.", func(k *kit) {
		_, locked := k.sealing()
		locked.Store("a(2)")
		name := k.topic(1)
		q := k.queueOf(name)
		k.write(name, "1", "2", "3")
		told := 0
		var got []string
		for len(got) < 3 {
			ds, err := q.Receive(k.ctx, 3)
			if err != nil {
				k.refuses(err, "a", "b(a(2))")
				told++
				locked.Store("")
			}
			for _, d := range ds {
				got = append(got, string(d.Record.Value))
				k.must(d.Ack())
			}
		}
		k.equal("delivered", strings.Join(got, " "), "1 3 2")
		k.equal("told", told > 0, true)
	}},
}
