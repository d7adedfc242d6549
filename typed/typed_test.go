package typed_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
	"github.com/samsa-go/samsa/typed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

type order struct {
	Item string
	N    int
}

var orders = typed.CodecsOf(typed.String(), typed.JSON[order]())

func TestMessagesComeAsTheyWere(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("orders", 3))
	p, err := typed.NewProducer(ctx, b, orders, samsa.ProducerOptions{})
	wantErr(t, err, nil)
	want := make(map[string]order)
	told := make(chan string, 100)
	for i := range 100 { // keys and values of all sizes: what a buffer has room for, and what not
		m := typed.MessageOf("orders", fmt.Sprint(i), order{strings.Repeat("x", i*i), i})
		m.Record.Headers = []samsa.Header{{Key: "n", Value: []byte{byte(i)}}}
		want[m.Key] = m.Value
		p.Produce(ctx, m, func(got typed.Message[string, order], err error) {
			if err != nil || got.Value != m.Value || got.Record.Offset < 0 || got.Record.Value != nil || len(got.Record.Headers) != 1 {
				t.Errorf("promise of %s: %v, %+v", m.Key, err, got)
			}
			told <- got.Key
		})
	}
	wantErr(t, p.Flush(ctx), nil)
	if len(told) != 100 {
		t.Errorf("%d promises", len(told))
	}
	defer func() { wantErr(t, p.Close(), nil) }()
	last, err := p.ProduceSync(ctx, typed.MessageOf("orders", "sync", order{"tea", 1}))
	if err != nil || last[0].Value.Item != "tea" || last[0].Record.Timestamp.IsZero() {
		t.Errorf("%v, %v", last, err)
	}
	want["sync"] = order{"tea", 1}

	c, err := typed.NewConsumer(ctx, b, orders, samsa.ConsumerOptions{Topics: []string{"orders"}})
	wantErr(t, err, nil)
	defer func() { wantErr(t, c.Close(), nil) }()
	for m, err := range c.RecordsUntil(ctx) {
		wantErr(t, err, nil)
		if v, ok := want[m.Key]; !ok || v != m.Value || m.Tombstone() {
			t.Errorf("%q is %+v, want %+v", m.Key, m.Value, v)
		}
		delete(want, m.Key)
	}
	if len(want) > 0 {
		t.Errorf("missing: %d", len(want))
	}
}

// A promise is called with its own message, whoever else produces, also when the memory of promises that were called is there again.
func TestPromisesHaveTheirMessages(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("orders", 1))
	p, err := typed.NewProducer(ctx, b, orders, samsa.ProducerOptions{})
	wantErr(t, err, nil)
	defer func() { wantErr(t, p.Close(), nil) }()
	var told atomic.Int32
	const each = 200
	var wg sync.WaitGroup
	for w := range 3 {
		wg.Go(func() {
			for i := range each {
				topic := "orders"
				if i%7 == 0 {
					topic = "nowhere" // its promise is called at once
				}
				m := typed.MessageOf(topic, fmt.Sprint(w), order{"tea", i})
				p.Produce(ctx, m, func(got typed.Message[string, order], err error) {
					if got.Key != m.Key || got.Value != m.Value || got.Record.Topic != topic || (err == nil) != (topic == "orders") {
						t.Errorf("promise of %+v: %+v, %v", m, got, err)
					}
					told.Add(1)
				})
				if i%50 == 49 {
					wantErr(t, p.Flush(ctx), nil)
				}
			}
		})
	}
	wg.Wait()
	wantErr(t, p.Flush(ctx), nil)
	if n := told.Load(); n != 3*each {
		t.Errorf("%d promises", n)
	}
}

// What a loop gives has nothing of the message before, with hooks that are told of records, and without.
func TestNothingIsLeftOfTheMessageBefore(t *testing.T) {
	for name, hooks := range map[string][]samsa.Hook{"": nil, "with a hook": {{Deliver: func(context.Context, samsa.DeliverEvent) {}}}} {
		t.Run(name, func(t *testing.T) {
			b := samsatest.New(t, samsatest.Topic("t", 1), samsatest.Options(samsa.Options{Hooks: hooks}))
			one, seven := []byte("1"), []byte{7: 7}
			for _, r := range []samsa.Record{{Key: one, Value: seven, Headers: []samsa.Header{{Key: "h"}}}, {Key: one}, {Value: seven}, {Key: one, Value: seven}, {Key: one, Value: one}} {
				r.Topic = "t"
				_, err := b.Produce(ctx, r)
				wantErr(t, err, nil)
			}
			c, err := typed.NewConsumer(ctx, b, typed.CodecsOf(typed.String(), typed.Int64()), samsa.ConsumerOptions{Topics: []string{"t"}})
			wantErr(t, err, nil)
			defer func() { wantErr(t, c.Close(), nil) }()
			var got []string
			var all []typed.Message[string, int64]
			for m, err := range c.RecordsUntil(ctx) {
				all = append(all, m)
				got = append(got, fmt.Sprintf("%s %d %d %v", m.Key, m.Value, len(m.Record.Headers), err != nil))
			}
			want := []string{"1 7 1 false", "1 0 0 false", " 7 0 false", "1 7 0 false", "1 0 0 true"}
			if !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
			for i, m := range all { // they stay as they were given
				if m.Record.Offset != int64(i) {
					t.Errorf("message %d is %+v", i, m.Record)
				}
			}
		})
	}
}

// JSON is what json.Marshal makes, behind what is there already, also after a value that it cannot make.
func TestJSONIsThatOfMarshal(t *testing.T) {
	c := typed.JSON[any]()
	for _, v := range []any{"<tea> & ", nil, map[string]any{"b": 1, "a": []int{2}}, make(chan int), json.RawMessage(" { \"a\" : 1 } "), json.RawMessage("{"), 1.5} {
		want, wrong := json.Marshal(v)
		got, err := c.Append([]byte("key"), v)
		if (err == nil) != (wrong == nil) || string(got) != "key"+string(want) {
			t.Errorf("%v: %q, %v, want %q, %v", v, got, err, want, wrong)
		}
	}
}

// What every codec appends it decodes, whatever is before it, with any room behind.
func TestCodecs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		room := make([]byte, 0, rapid.IntRange(0, 64).Draw(t, "room"))
		roundTrip(t, room, typed.Bytes(), rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"), bytes.Equal)
		roundTrip(t, room, typed.String(), rapid.String().Draw(t, "string"), same[string])
		roundTrip(t, room, typed.Int64(), rapid.Int64().Draw(t, "int64"), same[int64])
		roundTrip(t, room, typed.JSON[order](), order{rapid.String().Draw(t, "item"), rapid.Int().Draw(t, "n")}, same[order])
	})
}

func same[T comparable](a, b T) bool { return a == b }

func roundTrip[T any](t *rapid.T, room []byte, c typed.Codec[T], v T, same func(a, b T) bool) {
	t.Helper()
	text, err := c.Append(room, v)
	if err != nil || text == nil {
		t.Fatalf("%v: %q, %v", v, text, err)
	}
	got, err := c.Decode(samsa.Record{Value: text})
	if err != nil || !same(got, v) {
		t.Fatalf("%v came back as %v, %v", v, got, err)
	}
}

func TestNull(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	keyless := typed.CodecsOf(typed.None(), typed.Bytes())
	p, err := typed.NewProducer(ctx, b, keyless, samsa.ProducerOptions{})
	wantErr(t, err, nil)
	defer func() { wantErr(t, p.Close(), nil) }()
	_, err = p.ProduceSync(ctx, typed.MessageOf("t", struct{}{}, []byte(nil)), typed.MessageOf("t", struct{}{}, []byte{}))
	wantErr(t, err, nil)
	end, err := orders.Tombstone("t", "7")
	wantErr(t, err, nil)
	_, err = b.Produce(ctx, end)
	wantErr(t, err, nil)
	rs := samsatest.Drain(t, b, "t")
	if rs[0].Key != nil || rs[0].Value != nil || rs[1].Value == nil || string(rs[2].Key) != "7" || rs[2].Value != nil {
		t.Errorf("%+v", rs)
	}
	if m, err := orders.Decode(rs[2]); err != nil || m.Key != "7" || !m.Tombstone() || m.Value != (order{}) {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := keyless.Decode(rs[2]); err != nil || !m.Tombstone() {
		t.Errorf("a key where none is expected: %+v, %v", m, err)
	}
}

// bad puts a record that cannot be decoded between two that can.
func bad(t *testing.T) *samsa.Broker {
	t.Helper()
	b := samsatest.New(t, samsatest.Topic("t", 1), samsatest.Topic("dead", 1))
	samsatest.Produce(t, b, "t", `a={"N":1}`, `b=no JSON`, `c={"N":3}`)
	return b
}

func TestARecordThatCannotBeDecoded(t *testing.T) {
	b := bad(t)
	c, err := typed.NewConsumer(ctx, b, orders, samsa.ConsumerOptions{Topics: []string{"t"}})
	wantErr(t, err, nil)
	defer func() { wantErr(t, c.Close(), nil) }()
	var got []string
	for m, err := range c.RecordsUntil(ctx) {
		var wrong *typed.DecodeError
		if errors.As(err, &wrong) {
			if wrong.Part != "value" || string(wrong.Record.Value) != "no JSON" || m.Record.Offset != 1 || m.Key != "b" {
				t.Errorf("%+v, %+v", wrong, m)
			}
			got = append(got, err.Error())
			continue
		}
		wantErr(t, err, nil)
		got = append(got, m.Key)
	}
	if s := strings.Join(got, "; "); s != "a; decode the value of offset 1 of t/0: invalid character 'o' in literal null (expecting 'u'); c" {
		t.Error(s)
	}
	if _, err := typed.CodecsOf(typed.Int64(), typed.Bytes()).Decode(samsa.Record{Topic: "t", Key: []byte("7")}); err == nil ||
		err.Error() != "decode the key of offset 0 of t/0: 1 bytes, an integer has 8" {
		t.Error(err)
	}
}

func TestWorkSaysWhatBecomesOfIt(t *testing.T) {
	b := bad(t)
	group := samsa.ConsumerOptions{Topics: []string{"t"}, Group: "g"}
	c, err := typed.NewConsumer(ctx, b, orders, group)
	wantErr(t, err, nil)
	var n int
	err = c.Work(ctx, 1, func(_ context.Context, m typed.Message[string, order], err error) error {
		n += m.Value.N
		return err // stop
	})
	var wrong *typed.DecodeError
	if !errors.As(err, &wrong) || wrong.Record.Offset != 1 || n != 1 {
		t.Fatalf("%v, %d", err, n)
	}
	short, done := context.WithCancel(ctx)
	err = c.Work(short, 1, func(_ context.Context, m typed.Message[string, order], err error) error {
		if n += m.Value.N; n == 4 {
			done()
		}
		return nil // skip
	})
	wantErr(t, err, context.Canceled)
	wantErr(t, c.Close(), nil)
	wantErr(t, c.Work(ctx, 1, nil), samsa.ErrInvalid)
}

func TestQueueMakesADeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bad(t)
		q, err := typed.NewQueue(ctx, b, orders, samsa.QueueOptions{Group: "q", Topics: []string{"t"}, DeadLetter: "dead"})
		wantErr(t, err, nil)
		n := make(chan int, 3)
		working, done := context.WithCancel(ctx)
		go func() {
			for range 2 {
				<-n
			}
			synctest.Wait()
			done()
		}()
		err = q.Work(working, 1, func(_ context.Context, d typed.Delivery[string, order], err error) error {
			if err != nil {
				return d.Reject(err.Error())
			}
			n <- d.Value.N
			return nil
		})
		wantErr(t, err, context.Canceled)
		dead := samsatest.Drain(t, b, "dead")
		if len(dead) != 1 || string(dead[0].Value) != "no JSON" {
			t.Errorf("%+v", dead)
		}
		wantErr(t, q.Work(ctx, 1, nil), samsa.ErrInvalid)
		wantErr(t, q.Close(), nil)
	})
}

func TestQueueReceives(t *testing.T) {
	b := bad(t)
	q, err := typed.NewQueue(ctx, b, orders, samsa.QueueOptions{Group: "q", Topics: []string{"t"}})
	wantErr(t, err, nil)
	ds, err := q.Receive(ctx, 2)
	wantErr(t, err, nil)
	if len(ds) != 2 || ds[0].Key != "a" || ds[0].Value.N != 1 || ds[0].Err != nil || ds[1].Err == nil {
		t.Errorf("%+v", ds)
	}
	for d, err := range q.Deliveries(ctx) {
		if err != nil || d.Value.N != 3 {
			t.Errorf("%+v, %v", d, err)
		}
		break
	}
	for _, d := range ds {
		wantErr(t, d.Release(0), nil)
	}
	var again []error
	for d, err := range q.Deliveries(ctx) {
		wantErr(t, d.Ack(), nil)
		if again = append(again, err); len(again) == 2 {
			break
		}
	}
	if again[0] != nil || again[1] == nil {
		t.Errorf("%v", again)
	}
	wantErr(t, q.Close(), nil)
	for _, err := range q.Deliveries(ctx) {
		wantErr(t, err, samsa.ErrClosed)
	}
	_, err = q.Receive(ctx, 1)
	wantErr(t, err, samsa.ErrClosed)
}

type (
	event   interface{ event() }
	created struct{ ID string }
	paid    struct{ Cents int64 }
	lost    struct{}
)

func (created) event() {}
func (*paid) event()   {}
func (lost) event()    {}

func TestUnion(t *testing.T) {
	events, err := typed.Union("type", typed.As[event]("created", typed.JSON[created]()), typed.As[event]("paid", typed.JSON[*paid]()))
	wantErr(t, err, nil)
	codecs := typed.CodecsOf(typed.String(), events)
	m := typed.MessageOf[string, event]("t", "7", &paid{5})
	m.Record.Headers = append(make([]samsa.Header, 0, 4), samsa.Header{Key: "type", Value: []byte("mine")})
	r, err := codecs.Encode(m)
	wantErr(t, err, nil)
	if len(r.Headers) != 2 || m.Record.Headers[:2][1].Key != "" {
		t.Errorf("headers are %v, and behind those that were given %v", r.Headers, m.Record.Headers[:2])
	}
	got, err := codecs.Decode(r)
	if own, ok := got.Value.(*paid); err != nil || !ok || own.Cents != 5 {
		t.Errorf("%#v, %v", got.Value, err)
	}
	for _, v := range []event{lost{}, nil, paidTwice{}} {
		_, err = codecs.Encode(typed.MessageOf("t", "7", v))
		wantErr(t, err, samsa.ErrInvalid)
	}
	for name, headers := range map[string][]samsa.Header{
		"no header type: none of the union's types":            nil,
		`header type is "lost": none of the union's types`:     {{Key: "type", Value: []byte("lost")}},
		"invalid character 'x' looking for beginning of value": {{Key: "type", Value: []byte("created")}},
	} {
		_, err := codecs.Decode(samsa.Record{Value: []byte("x"), Headers: headers})
		var wrong *typed.DecodeError
		if !errors.As(err, &wrong) || wrong.Err.Error() != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, variants := range [][]typed.Variant[event]{
		{typed.As[event]("a", typed.JSON[lost]()), typed.As[event]("a", typed.JSON[created]())},
		{typed.As[event]("a", typed.JSON[lost]()), typed.As[event]("b", typed.JSON[lost]())},
		{typed.As[event]("a", typed.JSON[paid]())},
		{typed.As[event]("a", typed.JSON[event]())},
		{typed.As[event]("a", typed.String())},
		{typed.As[event, created]("a", nil)},
		{{}},
	} {
		_, err := typed.Union("type", variants...)
		wantErr(t, err, samsa.ErrInvalidOption)
	}
}

// signed is a codec with a header of its own.
type signed struct{ typed.Codec[created] }

func (signed) AppendHeaders(dst []samsa.Header, v created) ([]samsa.Header, error) {
	return append(dst, samsa.Header{Key: "of", Value: []byte(v.ID)}), nil
}

// The headers of a variant's codec are there too.
func TestUnionOfACodecWithHeaders(t *testing.T) {
	events, err := typed.Union("type", typed.As[event]("created", signed{typed.JSON[created]()}))
	wantErr(t, err, nil)
	r, err := typed.CodecsOf(typed.None(), events).Encode(typed.MessageOf[struct{}, event]("t", struct{}{}, created{"7"}))
	wantErr(t, err, nil)
	if got := fmt.Sprintf("%s", r.Headers); got != "[{of 7} {type created}]" {
		t.Error(got)
	}
}

// Whatever a codec makes of the room that it is given, key and value are its own.
func TestRoomOfKeyAndValue(t *testing.T) {
	for name, key := range map[string]func(dst []byte, v string) ([]byte, error){
		"appends": func(dst []byte, v string) ([]byte, error) { return append(dst, v...), nil },
		"trims":   func(dst []byte, v string) ([]byte, error) { return bytes.TrimSpace(append(dst, "      "+v...)), nil },
		"clips":   func(dst []byte, v string) ([]byte, error) { return slices.Clip(append(dst, "  "+v...))[2:], nil },
		"own":     func(_ []byte, v string) ([]byte, error) { return []byte(v), nil },
		"no room": func(dst []byte, v string) ([]byte, error) { return append(dst[:0:0], v...), nil },
		"too long": func(dst []byte, v string) ([]byte, error) {
			return append(dst, v+strings.Repeat(" ", 100)...)[:len(v)], nil
		},
	} {
		codec := typed.CodecFuncs(key, func(r samsa.Record) (string, error) { return string(r.Value), nil })
		r, err := typed.CodecsOf(codec, typed.String()).Encode(typed.MessageOf("t", "the key", "the value"))
		if err != nil || string(r.Key) != "the key" || string(r.Value) != "the value" {
			t.Errorf("%s: %q, %q, %v", name, r.Key, r.Value, err)
		}
	}
	_, err := typed.CodecsOf(typed.CodecFuncs[string](nil, nil), typed.String()).Encode(typed.MessageOf("t", "", ""))
	wantErr(t, err, samsa.ErrInvalid)
	_, err = typed.CodecsOf(typed.CodecFuncs[string](nil, nil), typed.String()).Decode(samsa.Record{Key: []byte("k")})
	if want := new(typed.DecodeError); !errors.As(err, &want) {
		t.Error(err)
	}
}

type paidTwice struct{ *paid }

func TestMistakes(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	var none typed.Codecs[string, order]
	_, err := typed.NewProducer(ctx, b, none, samsa.ProducerOptions{})
	wantErr(t, err, samsa.ErrInvalidOption)
	_, err = typed.NewConsumer(ctx, b, none, samsa.ConsumerOptions{Topics: []string{"t"}})
	wantErr(t, err, samsa.ErrInvalidOption)
	_, err = typed.NewQueue(ctx, b, none, samsa.QueueOptions{Group: "g", Topics: []string{"t"}})
	wantErr(t, err, samsa.ErrInvalidOption)
	_, err = none.Encode(typed.MessageOf("t", "7", order{}))
	wantErr(t, err, samsa.ErrInvalidOption)
	_, err = none.Decode(samsa.Record{})
	wantErr(t, err, samsa.ErrInvalidOption)
	_, err = none.Tombstone("t", "7")
	wantErr(t, err, samsa.ErrInvalidOption)
	_, err = typed.NewProducer(ctx, b, orders, samsa.ProducerOptions{Linger: -1})
	wantErr(t, err, samsa.ErrInvalidOption)
	_, err = typed.NewConsumer(ctx, b, orders, samsa.ConsumerOptions{})
	wantErr(t, err, samsa.ErrInvalidOption)
	_, err = typed.NewQueue(ctx, b, orders, samsa.QueueOptions{})
	wantErr(t, err, samsa.ErrInvalidOption)
}

// What cannot be encoded is told, and nothing of it is stored.
func TestWhatCannotBeEncoded(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	wrong := errors.New("wrong")
	c := typed.CodecFuncs(
		func(dst []byte, v int) ([]byte, error) {
			if v < 0 {
				return nil, wrong
			}
			return fmt.Append(dst, v), nil
		},
		func(r samsa.Record) (v int, err error) { _, err = fmt.Sscan(string(r.Value), &v); return v, err },
	)
	numbers := typed.CodecsOf(c, c)
	p, err := typed.NewProducer(ctx, b, numbers, samsa.ProducerOptions{})
	wantErr(t, err, nil)
	defer func() { wantErr(t, p.Close(), nil) }()
	told := 0
	p.Produce(ctx, typed.MessageOf("t", -1, 1), nil)
	p.Produce(ctx, typed.MessageOf("t", 1, -1), func(m typed.Message[int, int], err error) {
		told++
		wantErr(t, err, wrong, samsa.ErrInvalid)
		if m.Value != -1 || err.Error() != "produce: invalid: encode the value: wrong" {
			t.Errorf("%v: %v", m, err)
		}
	})
	_, err = p.ProduceSync(ctx, typed.MessageOf("t", 1, 1), typed.MessageOf("t", -1, 1))
	wantErr(t, err, wrong, samsa.ErrInvalid)
	_, err = numbers.Tombstone("t", -1)
	wantErr(t, err, wrong)
	if got := samsatest.Drain(t, b, "t"); told != 1 || len(got) > 0 {
		t.Errorf("told %d times, stored %v", told, got)
	}
}

// In a transaction messages are read, and written, with the codecs.
func TestInATransaction(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1), samsatest.Topic("totals", 1))
	samsatest.Produce(t, b, "t", `a={"N":1}`, `a={"N":2}`)
	c, err := typed.NewConsumer(ctx, b, orders, samsa.ConsumerOptions{Topics: []string{"t"}, Group: "g", Member: samsa.MemberOptions{ManualCommit: true}})
	wantErr(t, err, nil)
	totals := typed.CodecsOf(typed.String(), typed.Int64())
	var sum int64
	for m, err := range c.Records(ctx) {
		wantErr(t, err, nil)
		sum += int64(m.Value.N)
		wantErr(t, b.Update(ctx, func(tx *samsa.Tx) error {
			r, err := totals.Encode(typed.MessageOf("totals", m.Key, sum))
			if err == nil {
				err = tx.Produce(r)
			}
			return errors.Join(err, tx.CommitRecords(c.Consumer, m.Record))
		}), nil)
		if m.Record.Offset == 1 {
			break
		}
	}
	rs := samsatest.Drain(t, b, "totals")
	if m, err := totals.Decode(rs[len(rs)-1]); err != nil || len(rs) != 2 || m.Value != 3 {
		t.Errorf("%v, %v", m, err)
	}
	wantErr(t, c.Close(), nil)
}

func wantErr(t testing.TB, err error, want ...error) {
	t.Helper()
	for _, w := range want {
		if w == nil && err != nil || w != nil && !errors.Is(err, w) {
			t.Errorf("the error is %v, want %v", err, w)
		}
	}
}
