package registry_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// enum is one of the schemas that those who write at once register.
func enum(i int) string {
	return fmt.Sprintf(`{"type":"enum","name":"E","symbols":["A%d"]}`, i)
}

// atEnd has a registry read the topic to its end, as it does before it writes: here there is nothing to write.
func (w world) atEnd() world {
	w.t.Helper()
	if is := w.say("DELETE", "/mode", ""); !strings.HasPrefix(is, "200 ") {
		w.t.Fatal(is)
	}
	return w
}

// Registries that register and delete at once, on one topic, give no id to two schemas and no schema of a subject two ids, and say the same when they
// have read to the end, and so does one that is opened then.
func TestWriters(t *testing.T) {
	b := samsatest.New(t)
	all := make([]world, 4)
	for i := range all {
		all[i], _ = open(t, b)
	}
	all[0].SetCompatibility(t.Context(), sr.SetCompatibility{Level: sr.CompatNone})
	var mu sync.Mutex
	texts := map[int]string{} // by the ids that were answered
	var wg sync.WaitGroup
	for g := range 2 * len(all) {
		w, dice := all[g%len(all)], rand.New(rand.NewPCG(1, uint64(g)))
		wg.Go(func() {
			for range 15 {
				text, subject := enum(dice.IntN(12)), fmt.Sprint("s", dice.IntN(3))
				if dice.IntN(4) == 0 {
					_ = w.say("DELETE", "/subjects/"+subject, "") // which may be deleted already
					continue
				}
				id, err := w.RegisterSchema(t.Context(), subject, sr.Schema{Schema: text}, -1, -1)
				if err != nil {
					t.Error(err)
					continue
				}
				mu.Lock()
				if was, ok := texts[id]; ok && was != text {
					t.Errorf("id %d is %s and %s", id, was, text)
				}
				texts[id] = text
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	late, _ := open(t, b)
	want := late.all()
	for _, w := range all {
		if is := w.atEnd().all(); is != want {
			t.Errorf("one that wrote says\n%sand one that was opened then\n%s", is, want)
		}
	}
	for id, text := range texts {
		if is, err := late.SchemaTextByID(t.Context(), id); err != nil || is != text {
			t.Errorf("id %d was %s and is %s, %v", id, text, is, err)
		}
	}
	if is := slices.Sorted(maps.Values(texts)); len(slices.Compact(is)) != len(texts) {
		t.Errorf("a schema has two ids: %v", texts)
	}
}

// The table by which a registry writes is kept, so that schemas are not in memory once more. A second registry of the broker writes without it.
func TestTableIsKept(t *testing.T) {
	b := samsatest.New(t)
	one, end := open(t, b)
	two, _ := open(t, b)
	for i := range 3 {
		one.add(fmt.Sprint("a", i), enum(2*i))
		two.add(fmt.Sprint("b", i), enum(2*i+1))
	}
	kept := samsa.TableOptions{Topic: "_schemas", Name: "schema-registry"}
	if _, err := b.NewTable(t.Context(), kept); !errors.Is(err, samsa.ErrInvalidOption) {
		t.Errorf("the table is not open: %v", err)
	}
	end()
	table, err := b.NewTable(t.Context(), kept)
	if err != nil {
		t.Fatal(err)
	}
	if n := table.Len(); n != 6 {
		t.Errorf("%d rows", n)
	}
	if err := table.Close(); err != nil {
		t.Fatal(err)
	}
}

// Another one writes when a write is decided and not stored yet: then it is decided anew, behind that.
func TestDecidedAnew(t *testing.T) {
	var b *samsa.Broker
	foreign, id := false, 0
	b = samsatest.New(t, samsatest.Options(samsa.Options{Hooks: []samsa.Hook{{BeforeProduce: func(ctx context.Context, records []samsa.Record) (int, error) {
		if foreign = !foreign && id > 0; !foreign { // it is what the hook itself produces, or the second try
			id = 0
			return len(records), nil
		}
		_, err := b.Produce(ctx, samsa.Record{
			Topic: "_schemas", Key: fmt.Appendf(nil, `{"keytype":"SCHEMA","subject":"other","version":%d,"magic":1}`, id),
			Value: fmt.Appendf(nil, `{"subject":"other","version":%d,"id":%d,"schemaType":"AVRO","schema":%q,"deleted":false}`, id, id, enum(id)),
		})
		return len(records), err
	}}}}))
	w, _ := open(t, b)
	for want := 2; want < 60; want += 2 {
		id = want - 1 // which w would give
		if is := w.add("a"+fmt.Sprint(want), enum(want)); is != want {
			t.Fatalf("id %d, and want %d", is, want)
		}
	}
}

// Beside a registry of Confluent's, which is in its group, nothing is written.
func TestLeader(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	w, _ := open(t, b)
	w.add("a", v1)
	c, err := b.NewConsumer(t.Context(), samsa.ConsumerOptions{Group: "schema-registry", Topics: []string{"t"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Produce(t.Context(), samsa.Record{Topic: "t"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Poll(t.Context()); err != nil { // it has joined
		t.Fatal(err)
	}
	_, err = w.RegisterSchema(t.Context(), "b", sr.Schema{Schema: v1}, -1, -1)
	wants(t, "while it runs", err, 50003)
	if is := w.say("GET", "/subjects", ""); is != `200 ["a"]` {
		t.Error(is)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	w.add("b", v1)
}
