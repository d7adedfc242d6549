package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

var ctx = context.Background()

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// keysOf returns keys of these ids, of which the last is the newest.
func keysOf(t *testing.T, ids ...string) *keys {
	k := &keys{as: map[string]string{diary: diary, "dead": diary}}
	for _, id := range ids {
		must(t, k.add(id, bytes.Repeat([]byte(id), 32/len(id))))
	}
	return k
}

// open opens a broker on dir whose records k seals, or with nil one that sees what is stored.
func open(t *testing.T, dir string, k *keys) *samsa.Broker {
	var opts samsa.Options
	if k != nil {
		opts.Hooks = []samsa.Hook{k.hook()}
	}
	b, err := samsa.Open(dir, opts)
	must(t, err)
	t.Cleanup(func() { _ = b.Close() })
	for _, topic := range []string{diary, "dead", "open"} {
		_, err := b.Topics().Ensure(ctx, topic, samsa.TopicConfig{})
		must(t, err)
	}
	return b
}

func entry(day, text string) samsa.Record {
	return samsa.Record{Topic: diary, Key: []byte(day), Value: []byte(text)}
}

func TestDiary(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	do := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		must(t, run(ctx, filepath.Join(dir, "data"), filepath.Join(dir, "keys"), args, &out))
		return out.String()
	}
	do("set", "monday", "met a beetle")
	do("rotate")
	do("set", "tuesday", "was one")
	for range 2 {
		if got := do("list"); got != "monday: met a beetle\ntuesday: was one\n" {
			t.Errorf("the diary is %q", got)
		}
		// Once all is sealed by the newest key, the others are not needed.
		text, err := os.ReadFile(filepath.Join(dir, "keys"))
		must(t, err)
		lines := bytes.SplitAfter(bytes.TrimSpace(text), []byte("\n"))
		must(t, os.WriteFile(filepath.Join(dir, "keys"), lines[len(lines)-1], 0o600))
	}
	if got := do("get", "monday"); got != "met a beetle\n" {
		t.Errorf("monday is %q", got)
	}
}

// Nothing of a value is on the disk, whatever stores it.
func TestNothingIsPlain(t *testing.T) {
	t.Parallel()
	const secret = "a monstrous vermin"
	dir := t.TempDir()
	b := open(t, dir, keysOf(t, "k1"))
	_, err := b.Produce(ctx, entry("1", secret), entry("1", ""), samsa.Record{Topic: "open", Value: []byte("not secret")})
	must(t, err)
	p, err := b.NewProducer(ctx, samsa.ProducerOptions{})
	must(t, err)
	_, err = p.ProduceSync(ctx, entry("2", secret))
	must(t, err)
	table, err := b.NewTable(ctx, samsa.TableOptions{Topic: diary, Name: "kept"})
	must(t, err)
	must(t, b.Update(ctx, func(tx *samsa.Tx) error { return tx.Put(table, []byte("3"), []byte(secret), samsa.NoRow) }))
	q, err := b.NewQueue(ctx, samsa.QueueOptions{Group: "g", Topics: []string{diary}, Start: samsa.Earliest(), DeadLetter: "dead"})
	must(t, err)
	ds, err := q.Receive(ctx, 10)
	must(t, err)
	must(t, ds[0].Reject("not wanted"))
	must(t, b.Update(ctx, func(tx *samsa.Tx) error { return tx.Reject(ds[2], "not wanted") }))
	must(t, table.WaitFor(ctx))
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{diary, "dead"}})
	must(t, err)
	var read []string
	for r, err := range c.RecordsUntil(ctx) {
		must(t, err)
		read = append(read, string(r.Value))
	}
	if slices.Sort(read); !slices.Equal(read, []string{"", secret, secret, secret, secret, secret}) {
		t.Errorf("read %q", read)
	}
	must(t, b.Close())
	found := make(map[string]bool)
	must(t, fs.WalkDir(os.DirFS(dir), ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		for _, text := range []string{"monstrous", "not secret"} {
			found[text] = found[text] || bytes.Contains(data, []byte(text))
		}
		return err
	}))
	if found["monstrous"] || !found["not secret"] {
		t.Errorf("found on the disk: %v", found)
	}
}

// Keys rotate while producers run. Each record opens, by the key that has sealed it.
func TestRotation(t *testing.T) {
	t.Parallel()
	k := keysOf(t, "1")
	b := samsatest.New(t, samsatest.Topic(diary, 3), samsatest.Options(samsa.Options{Hooks: []samsa.Hook{k.hook()}}))
	const each, writers, rotations = 50, 4, 5
	var wg sync.WaitGroup
	rotate := make(chan int)
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				_, err := b.Produce(ctx, entry(fmt.Sprint(w), fmt.Sprint(w, " ", i)))
				if err != nil {
					t.Error(err)
				}
				rotate <- i
			}
		})
	}
	for n := range each * writers {
		if <-rotate; n%(each*writers/rotations) == 0 {
			must(t, k.add(fmt.Sprint(2+n), bytes.Repeat([]byte{byte(n)}, 32)))
		}
	}
	wg.Wait()
	used := make(map[string]bool)
	for _, r := range samsatest.Drain(t, b, diary) {
		used[string(r.Headers[0].Value)] = true
	}
	if len(used) != 1+rotations {
		t.Errorf("sealed by %v", used)
	}
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{diary}})
	must(t, err)
	defer c.Close()
	next := make(map[string]int)
	for r, err := range c.RecordsUntil(ctx) {
		must(t, err)
		w := string(r.Key)
		if string(r.Value) != fmt.Sprint(w, " ", next[w]) || len(r.Headers) != 0 {
			t.Errorf("writer %s: %q with %v", w, r.Value, r.Headers)
		}
		next[w]++
	}
	for w, n := range next {
		if n != each {
			t.Errorf("writer %s: %d records", w, n)
		}
	}
}

// What somebody has changed who may write to the disk is an error with the record in hand.
func TestTampered(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir, keysOf(t, "k1"))
	_, err := b.Produce(ctx, entry("1", "tea"))
	must(t, err)
	must(t, b.Close())
	b = open(t, dir, nil)
	r := samsatest.Drain(t, b, diary)[0]
	forged := func(change func(r *samsa.Record)) samsa.Record {
		f := r
		f.Value, f.Headers = bytes.Clone(r.Value), slices.Clone(r.Headers)
		change(&f)
		return f
	}
	var all []samsa.Record
	for bit := range 8 * len(r.Value) { // the nonce's, the value's, the tag's
		all = append(all, forged(func(r *samsa.Record) { r.Value[bit/8] ^= 1 << (bit % 8) }))
	}
	all = append(all,
		forged(func(r *samsa.Record) { r.Key = []byte("2") }), forged(func(r *samsa.Record) { r.Key = nil }),
		forged(func(r *samsa.Record) { r.Value = r.Value[:5] }), forged(func(r *samsa.Record) { r.Value = []byte{} }),
		forged(func(r *samsa.Record) { r.Headers = nil }), forged(func(r *samsa.Record) { r.Headers[0].Value = []byte("k2") }),
		r) // the last one is as it was
	_, err = b.Produce(ctx, all...)
	must(t, err)
	must(t, b.Close())
	b = open(t, dir, keysOf(t, "k1", "k2"))
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{diary}, Start: samsa.AtOffset(1)})
	must(t, err)
	for i, f := range all {
		got, err := c.PollRecords(ctx, 1)
		var wrong *samsa.InterceptError
		switch {
		case i == len(all)-1 && err == nil:
			if string(got[0].Value) != "tea" {
				t.Errorf("got %q", got[0].Value)
			}
		case !errors.As(err, &wrong) || !bytes.Equal(wrong.Record.Value, f.Value) || wrong.Record.Offset != int64(1+i):
			t.Fatalf("forgery %d: %v, %v", i, got, err)
		default:
			must(t, c.Seek(ctx, samsa.TopicPartition{Topic: diary}, wrong.Record.Offset+1))
		}
	}
}

// A record that somebody copies, as it is stored, opens in its topic, and in no other that is sealed, nor under another key, nor with the id of another
// key on it, even one of the same bytes.
func TestCopied(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k := keysOf(t, "k2")
	k.as["letters"] = "letters"
	must(t, k.add("same", bytes.Repeat([]byte("k1"), 16)))
	must(t, k.add("k1", bytes.Repeat([]byte("k1"), 16)))
	b := open(t, dir, k)
	_, err := b.Topics().Ensure(ctx, "letters", samsa.TopicConfig{})
	must(t, err)
	_, err = b.Produce(ctx, entry("1", "tea"))
	must(t, err)
	must(t, b.Close())
	for _, at := range []struct {
		topic, key, id string
		opens          bool
	}{{diary, "1", "k1", true}, {"letters", "1", "k1", false}, {diary, "2", "k1", false}, {diary, "1", "k2", false}, {diary, "1", "same", false}} {
		b := open(t, dir, nil)
		r := samsatest.Drain(t, b, diary)[0]
		r.Topic, r.Key, r.Headers[0].Value = at.topic, []byte(at.key), []byte(at.id)
		stored, err := b.Produce(ctx, r)
		must(t, err)
		must(t, b.Close())
		b = open(t, dir, k)
		c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{at.topic}, Start: samsa.AtOffset(stored[0].Offset)})
		must(t, err)
		got, err := c.Poll(ctx)
		var wrong *samsa.InterceptError
		if at.opens && (err != nil || string(got[0].Value) != "tea") || !at.opens && !errors.As(err, &wrong) {
			t.Errorf("%+v: %v, %v", at, got, err)
		}
		must(t, b.Close())
	}
}

// A record of a key that is not there waits for it.
func TestUnknownKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir, keysOf(t, "k1"))
	_, err := b.Produce(ctx, entry("1", "tea"))
	must(t, err)
	must(t, b.Close())
	k := keysOf(t, "z")
	b = open(t, dir, k)
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{diary}})
	must(t, err)
	for range 2 {
		if _, err := c.Poll(ctx); !errors.Is(err, errUnknownKey) || !strings.Contains(err.Error(), `diary/0: offset 0: hook "encrypt": unknown key "k1"`) {
			t.Fatal(err)
		}
	}
	must(t, k.add("k1", bytes.Repeat([]byte("k1"), 16)))
	for {
		got, err := c.Poll(ctx)
		if errors.Is(err, errUnknownKey) { // it was read before the key was there
			continue
		}
		must(t, err)
		if string(got[0].Value) != "tea" {
			t.Errorf("got %q", got[0].Value)
		}
		break
	}
	k.drop("k1")
	k.drop("z")
	if _, err := b.Produce(ctx, entry("2", "milk")); !errors.Is(err, errUnknownKey) {
		t.Errorf("without a key: %v", err)
	}
}
