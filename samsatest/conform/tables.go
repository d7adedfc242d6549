package conform

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/samsa-go/samsa"
)

// keyed returns a record of a topic; without a value it is a tombstone.
func keyed(topic, key, value string) samsa.Record {
	r := samsa.Record{Topic: topic, Key: []byte(key)}
	if value != "" {
		r.Value = []byte(value)
	}
	return r
}

func (k *kit) table(opts samsa.TableOptions) *samsa.Table {
	t, err := k.NewTable(k.ctx, opts)
	k.must(err)
	k.atEnd(func() { k.closes(t) })
	return t
}

// tableOf returns a topic that has a=1 and b=1, and a table of it.
func tableOf(k *kit) (*samsa.Table, string) {
	name := k.topicWith(samsa.TopicConfig{Partitions: 2, CleanupPolicy: samsa.CleanupCompact})
	k.produce(keyed(name, "a", "1"), keyed(name, "b", "1"))
	return k.table(samsa.TableOptions{Topic: name}), name
}

// rows tells what a table has.
func (k *kit) rows(t *samsa.Table, r samsa.TableRange) string {
	var all []string
	for rec, err := range t.Range(r) {
		k.must(err)
		all = append(all, fmt.Sprintf("%s=%s", rec.Key, rec.Value))
	}
	return strings.Join(all, " ")
}

// watched returns the keys that a table has when these are so many.
func (k *kit) watched(t *samsa.Table, n int) []string {
	keys, whole := make(map[string]bool), false
	for c, err := range t.Watch(k.ctx) {
		k.must(err)
		switch {
		case c.Mark:
			whole = true
		case c.Record.Value != nil:
			keys[string(c.Record.Key)] = true
		default:
			delete(keys, string(c.Record.Key))
		}
		if whole && len(keys) == n {
			break
		}
	}
	return slices.Collect(maps.Keys(keys))
}

// ofTables are of Broker.NewTable and what it returns.
var ofTables = []promise{
	{"get", "A table has the latest record of each key, the whole of it, and none that a tombstone has ended.", func(k *kit) {
		t, name := tableOf(k)
		wrote := k.produce(samsa.Record{Topic: name, Key: []byte("a"), Value: []byte("2"), Headers: []samsa.Header{{Key: "h", Value: []byte("v")}}}, keyed(name, "b", ""))
		k.must(t.WaitFor(k.ctx, wrote...))
		row, err := t.Get([]byte("a"))
		k.must(err)
		k.equal("row", fmt.Sprintf("%s %s %d %d %v", row.Topic, row.Value, row.Partition, row.Offset, row.Headers),
			fmt.Sprintf("%s 2 %d %d %v", name, wrote[0].Partition, wrote[0].Offset, wrote[0].Headers))
		_, err = t.Get([]byte("b"))
		k.is(err, samsa.ErrKeyNotFound)
		k.equal("length", t.Len(), int64(1))
	}},
	{"range", "Range visits rows in the order of their keys, or backwards.", func(k *kit) {
		t, name := tableOf(k)
		k.must(t.WaitFor(k.ctx, k.produce(keyed(name, "aa", "1"), keyed(name, "c", "1"))...))
		k.equal("all", k.rows(t, samsa.TableRange{}), "a=1 aa=1 b=1 c=1")
		k.equal("some", k.rows(t, samsa.TableRange{From: []byte("aa"), To: []byte("c"), Reverse: true}), "b=1 aa=1")
		k.equal("prefix", k.rows(t, samsa.TableRange{Prefix: []byte("a")}), "a=1 aa=1")
	}},
	{"watch", "Watch gives the rows, a mark, and then what changes and what ends.", func(k *kit) {
		t, name := tableOf(k)
		var told []string
		for c, err := range t.Watch(k.ctx) {
			k.must(err)
			told = append(told, fmt.Sprintf("%s=%s", c.Record.Key, c.Record.Value))
			if c.Mark {
				k.produce(keyed(name, "a", "2"))
			} else if len(told) == 4 {
				k.produce(keyed(name, "b", ""))
			} else if len(told) == 5 {
				break
			}
		}
		k.equal("told", strings.Join(told, " "), "a=1 b=1 = a=2 b=")
	}},
	{"wait-for", "WaitFor without records waits for all that is stored, and no Lag is left.", func(k *kit) {
		t, name := tableOf(k)
		for i := range 20 {
			k.produce(keyed(name, fmt.Sprint(i), "1"))
		}
		k.must(t.WaitFor(k.ctx))
		k.equal("length", t.Len(), int64(22))
		lag, err := t.Lag(k.ctx)
		k.must(err)
		k.equal("lag", lag, int64(0))
		k.is(t.WaitFor(k.ctx, samsa.Record{Topic: name, Partition: 7}), samsa.ErrUnknownPartition)
	}},
	{"committed", "What an Update produces is in a table when it is committed.", func(k *kit) {
		t, name := tableOf(k)
		k.is(k.Update(k.ctx, func(tx *samsa.Tx) error {
			k.must(tx.Produce(keyed(name, "a", "no")))
			return errMine
		}), errMine)
		k.updates(func(tx *samsa.Tx) error { return tx.Produce(keyed(name, "a", "2"), keyed(name, "b", "2")) })
		k.must(t.WaitFor(k.ctx))
		k.equal("rows", k.rows(t, samsa.TableRange{}), "a=2 b=2")
	}},
	{"group", "Tables of a group share the partitions of the topic.", func(k *kit) {
		name, group := k.topic(2), k.freshGroup()
		_, err := k.ProduceWith(k.ctx, samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}, keyed(name, "a", "1"),
			samsa.Record{Topic: name, Partition: 1, Key: []byte("b"), Value: []byte("1")})
		k.must(err)
		one := k.table(samsa.TableOptions{Topic: name, Group: group})
		k.equal("alone", k.rows(one, samsa.TableRange{}), "a=1 b=1")
		two := k.table(samsa.TableOptions{Topic: name, Group: group})
		all := slices.Concat(k.watched(one, 1), k.watched(two, 1))
		slices.Sort(all)
		k.equal("together", all, []string{"a", "b"})
	}},
	{"grows", "A table has the partitions that are added.", func(k *kit) {
		t, name := tableOf(k)
		k.must(k.Topics().AddPartitions(k.ctx, name, 4))
		wrote, err := k.ProduceWith(k.ctx, samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()},
			samsa.Record{Topic: name, Partition: 3, Key: []byte("c"), Value: []byte("1")})
		k.must(err)
		k.must(t.WaitFor(k.ctx, wrote...))
		k.equal("rows", k.rows(t, samsa.TableRange{}), "a=1 b=1 c=1")
	}},
	{"topic-ends", "A table ends with its topic, and one of the topic that has the name since has its rows.", func(k *kit) {
		t, name := tableOf(k)
		k.must(k.Topics().Delete(k.ctx, name))
		var last error
		for _, last = range t.Watch(k.ctx) {
			continue
		}
		k.is(last, samsa.ErrUnknownTopic)
		k.must(k.Topics().Create(k.ctx, name, samsa.TopicConfig{Partitions: 1}))
		k.produce(keyed(name, "a", "new"))
		k.equal("rows", k.rows(k.table(samsa.TableOptions{Topic: name}), samsa.TableRange{}), "a=new")
		_, err := t.Get([]byte("a"))
		k.is(err, samsa.ErrUnknownTopic)
	}},
	{"closed", "A table that is closed is ErrClosed, and a loop over Watch ends with that.", func(k *kit) {
		t, name := tableOf(k)
		for c, err := range t.Watch(k.ctx) {
			if err != nil {
				k.is(err, samsa.ErrClosed)
				break
			}
			if c.Mark {
				k.closes(t)
			}
		}
		_, err := t.Get([]byte("a"))
		k.is(err, samsa.ErrClosed)
		k.is(t.WaitFor(k.ctx), samsa.ErrClosed)
		k.equal("another", k.rows(k.table(samsa.TableOptions{Topic: name}), samsa.TableRange{}), "a=1 b=1")
	}},
	{"kept", "A table with a Name goes on where it was.", func(k *kit) {
		_, name := tableOf(k)
		opts := samsa.TableOptions{Topic: name, Name: "kept"}
		t, err := k.NewTable(k.ctx, opts)
		k.must(err)
		k.closes(t)
		k.produce(keyed(name, "a", "2"))
		t = k.table(opts)
		k.equal("rows", k.rows(t, samsa.TableRange{}), "a=2 b=1")
		_, err = k.NewTable(k.ctx, opts)
		k.is(err, samsa.ErrInvalidOption)
		k.must(t.Drop())
	}},
	{"put", "Put writes a row that is still the one that was seen, and else it is ErrConflict.", func(k *kit) {
		t, name := tableOf(k)
		row, err := t.Get([]byte("a"))
		k.must(err)
		put := func(tx *samsa.Tx) error { return tx.Put(t, []byte("a"), []byte("2"), row.Offset) }
		k.updates(put)
		k.is(k.Update(k.ctx, put), samsa.ErrConflict)
		k.must(t.WaitFor(k.ctx))
		k.equal("rows", k.rows(t, samsa.TableRange{}), "a=2 b=1")
		k.has([]string{"1", "1", "2"}, name)
		const headed = "with=header"
		k.updates(func(tx *samsa.Tx) error {
			r := keyed("", "c", "3")
			r.Headers = []samsa.Header{{Key: headed}}
			return tx.PutRecord(t, r, samsa.NoRow)
		})
		k.must(t.WaitFor(k.ctx))
		row, err = t.Get([]byte("c"))
		k.must(err)
		if len(row.Headers) != 1 || row.Headers[0].Key != headed {
			k.Errorf("the headers are %+v", row.Headers)
		}
		k.is(k.Update(k.ctx, func(tx *samsa.Tx) error { return tx.PutRecord(t, keyed("elsewhere", "c", "4"), row.Offset) }), samsa.ErrInvalidRecord)
	}},
	{"read-in-update", "An Update that has read a row that is written since is tried again.", func(k *kit) {
		t, name := tableOf(k)
		tries := 0
		k.updates(func(tx *samsa.Tx) error {
			in, err := tx.Table(t)
			if err != nil {
				return err
			}
			row, err := in.Get([]byte("a"))
			k.must(err)
			if tries++; tries == 1 {
				k.produce(keyed(name, "a", "2"))
			}
			return tx.Produce(keyed(name, "b", string(row.Value)))
		})
		k.must(t.WaitFor(k.ctx))
		k.equal("rows", k.rows(t, samsa.TableRange{}), "a=2 b=2")
	}},
	{"view", "Tables in a View are of one moment.", func(k *kit) {
		one, name := tableOf(k)
		two, other := tableOf(k)
		k.must(k.View(k.ctx, func(tx *samsa.ReadTx) error {
			all, err := tx.Tables(one, two)
			if err != nil {
				return err
			}
			k.updates(func(tx *samsa.Tx) error { return tx.Produce(keyed(name, "a", "2"), keyed(other, "a", "2")) })
			k.must(one.WaitFor(k.ctx))
			for _, t := range all {
				row, err := t.Get([]byte("a"))
				k.must(err)
				k.equal("a", string(row.Value), "1")
			}
			return nil
		}))
	}},
}
