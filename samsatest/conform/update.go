package conform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/samsa-go/samsa"
)

// updates calls Update with a function that is to succeed.
func (k *kit) updates(fn func(tx *samsa.Tx) error) { k.must(k.Update(k.ctx, fn)) }

var updates = []promise{
	{"records", "Update stores records of any topics and partitions together.", func(k *kit) {
		a, b := k.topic(2), k.topic(1)
		k.updates(func(tx *samsa.Tx) error {
			opts := samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}
			return errors.Join(
				tx.ProduceWith(opts, samsa.Record{Topic: a, Partition: 0, Value: []byte("0")}, samsa.Record{Topic: a, Partition: 1, Value: []byte("1")}),
				tx.Produce(samsa.Record{Topic: b, Value: []byte("2")}, samsa.Record{Topic: b, Value: []byte("3")}),
			)
		})
		k.equal("stored", sorted(k.read(k.reader(a, b), 4)), numbers(4))
	}},
	{"fails", "When the function fails Update returns its error, and nothing is stored.", func(k *kit) {
		a, b := k.topic(1), k.topic(1)
		k.is(k.Update(k.ctx, func(tx *samsa.Tx) error {
			return errors.Join(tx.Produce(samsa.Record{Topic: a}, samsa.Record{Topic: b}), errMine)
		}), errMine)
		k.has(nil, a, b)
	}},
	{"refused", "What a method of the transaction refuses cannot be passed over: Update returns it, and nothing is stored.", func(k *kit) {
		name := k.topicWith(samsa.TopicConfig{MaxMessageBytes: 1000})
		for _, tt := range []struct {
			bad  samsa.Record
			want error
		}{
			{samsa.Record{Topic: k.fresh("t")}, samsa.ErrUnknownTopic},
			{samsa.Record{Topic: name, Value: noise(2000)}, samsa.ErrRecordTooLarge},
		} {
			k.is(k.Update(k.ctx, func(tx *samsa.Tx) error {
				k.must(tx.Produce(samsa.Record{Topic: name}))
				_ = tx.Produce(tt.bad)
				return nil
			}), tt.want)
		}
		k.has(nil, name)
	}},
	{"panics", "A panic of the function comes out of Update, and nothing is stored.", func(k *kit) {
		name := k.topic(1)
		func() {
			defer func() { k.equal("panic", recover(), any("mine")) }()
			k.updates(func(tx *samsa.Tx) error {
				k.must(tx.Produce(samsa.Record{Topic: name}))
				panic("mine")
			})
		}()
		k.has(nil, name)
		k.updates(func(tx *samsa.Tx) error { return tx.Produce(samsa.Record{Topic: name, Value: []byte("v")}) })
		k.has([]string{"v"}, name)
	}},
	{"nothing", "An Update of nothing succeeds.", func(k *kit) { k.updates(func(*samsa.Tx) error { return nil }) }},
	{"ended", "A transaction is of no use when its function has returned: ErrClosed.", func(k *kit) {
		name := k.topic(1)
		var kept *samsa.Tx
		k.updates(func(tx *samsa.Tx) error { kept = tx; return nil })
		k.is(kept.Produce(samsa.Record{Topic: name}), samsa.ErrClosed)
		k.has(nil, name)
	}},
	{"offsets", "Consumed offsets are stored with the records, or neither.", func(k *kit) {
		in, out, g := k.topic(1), k.topic(1), k.freshGroup()
		k.write(in, "a", "b")
		c := k.consumer(manual(g, in))
		records := k.reads(c, "a", "b")
		update := func(n int, err error) error {
			return k.Update(k.ctx, func(tx *samsa.Tx) error {
				return errors.Join(tx.CommitRecords(c, records[:n]...), tx.Produce(samsa.Record{Topic: out, Value: records[n-1].Value}), err)
			})
		}
		k.is(update(1, errMine), errMine)
		k.hasCommitted(g, in, -1)
		k.has(nil, out)
		k.must(update(1, nil))
		k.hasCommitted(g, in, 1)
		k.has([]string{"a"}, out)
		k.updates(func(tx *samsa.Tx) error {
			return tx.CommitOffsets(c, map[samsa.TopicPartition]samsa.CommittedOffset{at(in, 0): {Offset: 2, Metadata: "note"}})
		})
		k.equal("committed", k.committed(g), map[samsa.TopicPartition]samsa.CommittedOffset{at(in, 0): {Offset: 2, Metadata: "note"}})
	}},
	{"offsets-alone", "An Update may be of offsets alone, several times.", func(k *kit) {
		in, g := k.topic(1), k.freshGroup()
		k.write(in, numbers(3)...)
		c := k.consumer(manual(g, in))
		for i, r := range k.reads(c, numbers(3)...) {
			k.updates(func(tx *samsa.Tx) error { return tx.CommitRecords(c, r) })
			k.hasCommitted(g, in, int64(i+1))
		}
	}},
	{"moved", "A transaction with offsets of partitions that went to another member fails, and nothing is stored.", func(k *kit) {
		in, out, g := k.topic(2), k.topic(1), k.freshGroup()
		k.fill(in, "v", 2)
		a := k.joins(manual(g, in))
		k.got(2, a)
		b := k.joins(manual(g, in))
		owned := k.owned([]*member{a, b}, 1, 1)
		i := slices.IndexFunc(a.got, func(r samsa.Record) bool { return at(r.Topic, r.Partition) == owned[1][0] })
		update := func(r samsa.Record) error {
			return k.Update(k.ctx, func(tx *samsa.Tx) error {
				return errors.Join(tx.CommitRecords(a.Consumer, r), tx.Produce(samsa.Record{Topic: out, Value: r.Value}))
			})
		}
		k.is(update(a.got[i]), samsa.ErrIllegalGeneration)
		k.has(nil, out)
		k.equal("committed", len(k.committed(g)), 0)
		k.must(update(a.got[1-i]))
		k.has([]string{string(a.got[1-i].Value)}, out)
	}},
	{"consumers", "A consumer in it needs a group, and ManualCommit.", func(k *kit) {
		name := k.topic(1)
		k.write(name, "a")
		auto, alone := k.consumer(options(k.freshGroup(), name)), k.reader(name)
		k.reads(auto, "a")
		r := k.reads(alone, "a")
		k.is(k.Update(k.ctx, func(tx *samsa.Tx) error { return tx.CommitRecords(auto, r...) }), samsa.ErrInvalidOption)
		k.is(k.Update(k.ctx, func(tx *samsa.Tx) error { return tx.CommitRecords(alone, r...) }), samsa.ErrInvalidGroup)
	}},
	{"auto-create", "With AutoCreateTopics a topic is made by an Update that succeeds, and by no other.", func(k *kit) {
		name := k.fresh("t")
		b := k.open(Options{Data: k.name + "-auto", AutoCreateTopics: true})
		k.is(b.Update(k.ctx, func(tx *samsa.Tx) error { return errors.Join(tx.Produce(samsa.Record{Topic: name}), errMine) }), errMine)
		_, err := b.Topics().Describe(k.ctx, name)
		k.is(err, samsa.ErrUnknownTopic)
		k.must(b.Update(k.ctx, func(tx *samsa.Tx) error { return tx.Produce(samsa.Record{Topic: name}) }))
		k.must(b.Topics().Delete(k.ctx, name))
	}},
	{"exactly-once", "What members of a group make of records is there once for each, though they come and go.", func(k *kit) {
		in, out, g := k.topic(4), k.topic(1), k.freshGroup()
		const records = 40
		for i := range records {
			k.put(in, int32(i%4), fmt.Sprint(i/4%10))
		}
		done := 0
		work := func(ctx context.Context, stop int) error { // until so many are done
			c, err := k.NewConsumer(ctx, func() samsa.ConsumerOptions { o := manual(g, in); o.MaxPollRecords = 3; return o }())
			if err != nil {
				return err
			}
			defer k.closes(c)
			for {
				k.waiting.Lock()
				over := done >= stop
				k.waiting.Unlock()
				if over {
					return nil
				}
				batch, err := c.Collect(ctx, 3, 1)
				if err != nil {
					return err
				}
				err = k.Update(ctx, func(tx *samsa.Tx) error {
					for _, r := range batch {
						if err := tx.Produce(samsa.Record{Topic: out, Value: r.Value}); err != nil {
							return err
						}
					}
					return tx.CommitRecords(c, batch...)
				})
				switch {
				case errors.Is(err, samsa.ErrIllegalGeneration), errors.Is(err, samsa.ErrUnknownMember), errors.Is(err, samsa.ErrRebalanceInProgress):
					if err := c.SeekTo(ctx, samsa.Committed()); err != nil && !errors.Is(err, samsa.ErrUnknownMember) {
						return err
					}
				case err != nil:
					return err
				default:
					k.change(func() { done += len(batch) })
				}
			}
		}
		for _, stop := range []int{records / 4, records, records} {
			k.goes(func() { k.must(work(k.ctx, stop)) })
		}
		k.group.Wait()
		k.must(work(k.ctx, records))
		var want []string
		for i := range records {
			want = append(want, fmt.Sprint(i/4%10))
		}
		slices.Sort(want)
		k.equal("made", sorted(k.read(k.reader(out), records)), want)
	}},
}

// key returns a key that is the promise's own: places may share them.
func (k *kit) key(name string) []byte { return []byte(k.name + "/" + name) }

// sets has an Update set keys to values, in pairs.
func (k *kit) sets(pairs ...string) {
	k.updates(func(tx *samsa.Tx) error {
		for i := 0; i < len(pairs); i += 2 {
			if err := tx.Set(k.key(pairs[i]), []byte(pairs[i+1])); err != nil {
				return err
			}
		}
		return nil
	})
}

// told renders what a scan gives, without the prefix of the promise.
func (k *kit) told(seq iter.Seq2[samsa.KeyValue, error]) string {
	var all []string
	for kv, err := range seq {
		k.must(err)
		all = append(all, fmt.Sprintf("%s=%s", bytes.TrimPrefix(kv.Key, k.key("")), kv.Value))
	}
	return strings.Join(all, " ")
}

// holds compares the keys of the promise.
func (k *kit) holds(want string) {
	k.must(k.View(k.ctx, func(tx *samsa.ReadTx) error {
		k.equal("keys", k.told(tx.Scan(k.key(""))), want)
		return nil
	}))
}

// adds increments a key.
func adds(tx *samsa.Tx, key []byte) error {
	v, err := tx.Get(key)
	if err != nil && !errors.Is(err, samsa.ErrKeyNotFound) {
		return err
	}
	n, _ := strconv.Atoi(string(v))
	return tx.Set(key, strconv.AppendInt(nil, int64(n+1), 10))
}

var keys = []promise{
	{"set", "What Update sets View reads: a nil value is empty, a deleted key is ErrKeyNotFound.", func(k *kit) {
		k.sets("a", "1", "b", "2")
		k.updates(func(tx *samsa.Tx) error {
			return errors.Join(tx.Set(k.key("c"), nil), tx.Delete(k.key("b")), tx.Delete(k.key("none")))
		})
		k.holds("a=1 c=")
		k.must(k.View(k.ctx, func(tx *samsa.ReadTx) error {
			v, err := tx.Get(k.key("a"))
			k.must(err)
			k.equal("value", string(v), "1")
			_, err = tx.Get(k.key("b"))
			k.is(err, samsa.ErrKeyNotFound, samsa.ErrUnknown)
			return nil
		}))
	}},
	{"own-writes", "In an Update Get and Scan see what it has written itself, and nobody else does before its end.", func(k *kit) {
		k.sets("a", "1", "b", "2", "c", "3")
		k.updates(func(tx *samsa.Tx) error {
			k.must(errors.Join(tx.Set(k.key("b"), []byte("new")), tx.Delete(k.key("a")), tx.Set(k.key("d"), []byte("4"))))
			k.equal("keys", k.told(tx.Scan(k.key(""))), "b=new c=3 d=4")
			v, err := tx.Get(k.key("b"))
			k.must(err)
			k.equal("value", string(v), "new")
			_, err = tx.Get(k.key("a"))
			k.is(err, samsa.ErrKeyNotFound)
			k.holds("a=1 b=2 c=3")
			return nil
		})
		k.holds("b=new c=3 d=4")
	}},
	{"not-found", "ErrKeyNotFound does not spoil the transaction.", func(k *kit) {
		k.updates(func(tx *samsa.Tx) error {
			_, err := tx.Get(k.key("a"))
			k.is(err, samsa.ErrKeyNotFound)
			return tx.Set(k.key("a"), []byte("1"))
		})
		k.holds("a=1")
	}},
	{"fails", "When the function fails no key is changed.", func(k *kit) {
		k.sets("a", "1")
		k.is(k.Update(k.ctx, func(tx *samsa.Tx) error {
			return errors.Join(tx.Set(k.key("a"), nil), tx.Set(k.key("b"), nil), errMine)
		}), errMine)
		k.holds("a=1")
	}},
	{"with-records", "Keys, records and offsets are stored together, or none of them.", func(k *kit) {
		in, out, g := k.topic(1), k.topic(1), k.freshGroup()
		k.write(in, "a")
		c := k.consumer(manual(g, in))
		records := k.reads(c, "a")
		for _, fails := range []error{errMine, nil} {
			err := k.Update(k.ctx, func(tx *samsa.Tx) error {
				return errors.Join(tx.CommitRecords(c, records...), tx.Produce(samsa.Record{Topic: out}), tx.Set(k.key("a"), []byte("1")), fails)
			})
			if fails != nil {
				k.is(err, fails)
				k.has(nil, out)
				k.holds("")
				k.hasCommitted(g, in, -1)
			} else {
				k.must(err)
			}
		}
		k.has([]string{""}, out)
		k.holds("a=1")
		k.hasCommitted(g, in, 1)
	}},
	{"scan", "Scan iterates over a prefix in bytewise order, ScanWith from any key on, or backwards.", func(k *kit) {
		k.sets("p/1", "a", "p/2", "b", "p/4", "c", "q/1", "d", "p", "e")
		k.must(k.View(k.ctx, func(tx *samsa.ReadTx) error {
			k.equal("prefix", k.told(tx.Scan(k.key("p/"))), "p/1=a p/2=b p/4=c")
			with := func(o samsa.ScanOptions) string { return k.told(tx.ScanWith(o)) }
			k.equal("from a key", with(samsa.ScanOptions{Prefix: k.key("p/"), Start: k.key("p/2")}), "p/2=b p/4=c")
			k.equal("from no key", with(samsa.ScanOptions{Prefix: k.key("p/"), Start: k.key("p/3")}), "p/4=c")
			k.equal("backwards", with(samsa.ScanOptions{Prefix: k.key("p/"), Reverse: true}), "p/4=c p/2=b p/1=a")
			k.equal("backwards from no key", with(samsa.ScanOptions{Prefix: k.key("p/"), Start: k.key("p/3"), Reverse: true}), "p/2=b p/1=a")
			k.equal("of nothing", with(samsa.ScanOptions{Prefix: k.key("x/")}), "")
			for kv, err := range tx.Scan(k.key("p/")) {
				k.must(err)
				kv.Key[0], kv.Value = 'x', append(kv.Value[:0], 'x') // the bytes are the caller's
				break
			}
			k.equal("prefix", k.told(tx.Scan(k.key("p/"))), "p/1=a p/2=b p/4=c")
			return nil
		}))
	}},
	{"snapshot", "View sees one moment, which no Update changes.", func(k *kit) {
		k.sets("a", "1")
		k.must(k.View(k.ctx, func(tx *samsa.ReadTx) error {
			k.sets("a", "2", "b", "2")
			k.equal("keys", k.told(tx.Scan(k.key(""))), "a=1")
			return nil
		}))
		k.holds("a=2 b=2")
	}},
	{"view-fails", "View returns what its function returns, and its transaction is of no use then.", func(k *kit) {
		var kept *samsa.ReadTx
		k.is(k.View(k.ctx, func(tx *samsa.ReadTx) error { kept = tx; return errMine }), errMine)
		_, err := kept.Get(k.key("a"))
		k.is(err, samsa.ErrClosed)
	}},
	{"view-offsets", "View reads committed offsets as of the same moment.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, "a", "b")
		k.must(k.Groups().SetOffsets(k.ctx, g, offsetOf(name, 1)))
		k.must(k.View(k.ctx, func(tx *samsa.ReadTx) error {
			k.must(k.Groups().SetOffsets(k.ctx, g, offsetOf(name, 2)))
			offsets, err := tx.Committed(g)
			k.must(err)
			k.equal("committed", offsets, offsetOf(name, 1))
			return nil
		}))
	}},
	{"again", "An Update that has read what another has written since is tried again, and sees that.", func(k *kit) {
		tries := 0
		k.updates(func(tx *samsa.Tx) error {
			if tries++; tries == 1 {
				_, err := tx.Get(k.key("a"))
				k.is(err, samsa.ErrKeyNotFound)
				k.sets("a", "1")
			}
			return adds(tx, k.key("a"))
		})
		k.equal("tries", tries, 2)
		k.holds("a=2")
	}},
	{"conflict", "One that conflicts every time is ErrConflict, which is Retriable, and nothing of it is stored.", func(k *kit) {
		n := 0
		err := k.Update(k.ctx, func(tx *samsa.Tx) error {
			_, err := tx.Get(k.key("a"))
			if err != nil && !errors.Is(err, samsa.ErrKeyNotFound) {
				return err
			}
			n++
			k.sets("a", fmt.Sprint(n))
			return tx.Set(k.key("b"), nil)
		})
		k.is(err, samsa.ErrConflict)
		k.equal("retriable", samsa.Retriable(err), true)
		k.holds(fmt.Sprint("a=", n))
	}},
	{"scan-conflict", "A key that comes to what was scanned is a conflict, and one that comes elsewhere is not.", func(k *kit) {
		tries := 0
		k.updates(func(tx *samsa.Tx) error {
			tries++
			before := k.told(tx.Scan(k.key("p/")))
			k.sets(fmt.Sprint("q/", tries), "")
			if tries == 1 {
				k.sets("p/1", "x")
			}
			return tx.Set(k.key("seen"), []byte(before))
		})
		k.equal("tries", tries, 2)
		k.holds("p/1=x q/1= q/2= seen=p/1=x")
	}},
	{"serialisable", "Updates of many at once are as if they came one after the other.", func(k *kit) {
		const many, each = 4, 10
		for range many {
			k.goes(func() {
				for range each {
					for {
						err := k.Update(k.ctx, func(tx *samsa.Tx) error { return adds(tx, k.key("n")) })
						if !errors.Is(err, samsa.ErrConflict) {
							k.must(err)
							break
						}
					}
				}
			})
		}
		k.group.Wait()
		k.holds(fmt.Sprint("n=", many*each))
	}},
	{"refused", "A key without bytes, or of more than 1023, is ErrInvalidKey.", func(k *kit) {
		for _, key := range [][]byte{nil, {}, make([]byte, 1024)} {
			k.is(k.Update(k.ctx, func(tx *samsa.Tx) error { return tx.Set(key, nil) }), samsa.ErrInvalidKey, samsa.ErrInvalid)
			k.is(k.Update(k.ctx, func(tx *samsa.Tx) error { return tx.Delete(key) }), samsa.ErrInvalidKey)
			k.is(k.View(k.ctx, func(tx *samsa.ReadTx) error { _, err := tx.Get(key); return err }), samsa.ErrInvalidKey)
		}
		long := append(k.key(""), make([]byte, 1023-len(k.key("")))...)
		k.updates(func(tx *samsa.Tx) error { return tx.Set(long, noise(100_000)) })
		k.must(k.View(k.ctx, func(tx *samsa.ReadTx) error {
			v, err := tx.Get(long)
			k.must(err)
			k.equal("the value is what was set", bytes.Equal(v, noise(100_000)), true)
			return nil
		}))
	}},
	{"reuse", "The bytes of key and value may be reused when Set returns.", func(k *kit) {
		key, value := k.key("a"), []byte("first")
		k.updates(func(tx *samsa.Tx) error {
			err := tx.Set(key, value)
			key[len(key)-1], value[0] = 'x', 'x'
			return err
		})
		k.holds("a=first")
	}},
}
