package topic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

func TestCreateGetList(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		if got := h.names(); got != "" {
			t.Errorf("at first: %s", got)
		}
		w := partition.NewWaiter()
		h.Watch(w)
		created := h.create("orders", 3)
		<-w.C()
		h.Unwatch(w)
		h.create("b", 1)
		h.create("a", 2)
		if got := h.names(); got != "a:2 b:1 orders:3" {
			t.Errorf("got %s", got)
		}
		if h.get("orders") != created || created.Name() != "orders" || created.Err() != nil || len(created.ID().String()) != 22 {
			t.Errorf("got %+v", h.get("orders"))
		}
		want := Config{
			Partitions: 3, Retention: DefaultRetention, RetentionBytes: Unlimited, MaxMessageBytes: DefaultMaxMessageBytes,
			CleanupPolicy: Delete, DeleteRetention: DefaultDeleteRetention, Replicas: 1,
			TimestampBeforeMax: Unlimited, TimestampAfterMax: DefaultTimestampAfter,
		}
		if got := created.Config(); got != want {
			t.Errorf("config %+v", got)
		}
		for i := int32(-1); i < 5; i++ {
			p, err := created.Partition(i)
			if inside := i >= 0 && i < 3; !inside && !errors.Is(err, log.ErrUnknownPartition) ||
				inside && (err != nil || p.TopicPartition() != (log.TopicPartition{Topic: "orders", Partition: i})) {
				t.Errorf("partition %d: %v, error %v", i, p, err)
			}
		}
		if _, err := h.Get("nobody"); !errors.Is(err, log.ErrUnknownTopic) || !strings.Contains(err.Error(), "nobody") {
			t.Errorf("got error %v", err)
		}
		select {
		case <-w.C():
			t.Error("woken after Unwatch")
		default:
		}
	})
}

func TestCreateRefuses(t *testing.T) {
	inMemory(t, func(t *testing.T, h *house) {
		for _, tt := range []struct {
			name   string
			config Config
			want   error
		}{
			{"a/b", Config{}, log.ErrInvalidTopic},
			{"a", Config{Partitions: -1}, log.ErrInvalidPartitions},
			{"a", Config{Partitions: MaxPartitions + 1}, log.ErrInvalidPartitions},
			{"a", Config{RetentionBytes: -2}, log.ErrInvalidConfig},
		} {
			if _, err := h.Create(ctx, tt.name, tt.config); !errors.Is(err, tt.want) {
				t.Errorf("%s %+v: got error %v", tt.name, tt.config, err)
			}
		}
		h.st.full = true
		if _, err := h.Create(ctx, "a", Config{}); !errors.Is(err, log.ErrDiskFull) {
			t.Errorf("disk full: got error %v", err)
		}
		h.st.full = false
		if got := h.names(); got != "" || h.st.commits != 0 {
			t.Errorf("nothing was created, and there is %s", got)
		}
		if got := h.create("a", 1).number; got != 1 {
			t.Errorf("the first topic got number %d", got)
		}
	})
}

func TestReopenKeepsEverything(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		config := Config{Partitions: 4, Retention: time.Hour + 999*time.Microsecond, RetentionBytes: 12345, MaxMessageBytes: 5000, LogAppendTime: true}
		if _, err := h.Create(ctx, "orders", config); err != nil {
			t.Fatal(err)
		}
		h.create("gone", 1)
		if _, err := h.Create(ctx, "plain", Config{Retention: Unlimited}); err != nil {
			t.Fatal(err)
		}
		h.write("orders", 2, 3)
		if err := h.Delete(ctx, "gone"); err != nil {
			t.Fatal(err)
		}
		before := h.List()
		next := h.next
		h.reopen()
		if got := h.names(); got != "orders:4 plain:1" || h.next != next {
			t.Fatalf("got %s, next number %d", got, h.next)
		}
		for i, topic := range h.List() {
			old := before[i]
			if topic.ID() != old.ID() || topic.number != old.number || topic.Config() != old.Config() {
				t.Errorf("%s: %s %d %+v, was %s %d %+v", topic.Name(), topic.ID(), topic.number, topic.Config(),
					old.ID(), old.number, old.Config())
			}
		}
		for i, p := range h.get("orders").Partitions() {
			if want := map[int]int64{2: 3}[i]; p.HighWatermark() != want {
				t.Errorf("partition %d ends at %d, want %d", i, p.HighWatermark(), want)
			}
			if r := p.Rules(); r.MaxMessageBytes != 5000 || !r.LogAppendTime {
				t.Errorf("partition %d has the rules %+v", i, r)
			}
		}
		if got := h.create("gone", 1).number; int64(got) != next {
			t.Errorf("the next topic got number %d, want %d", got, next)
		}
	})
}

func TestChange(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		h.create("orders", 1)
		w := partition.NewWaiter()
		h.Watch(w)
		err := h.Change(ctx, "orders", func(c *Config) error { return c.SetConfig("max.message.bytes", "200") })
		if err != nil {
			t.Fatal(err)
		}
		<-w.C()
		if got := h.get("orders").Partitions()[0].Rules().MaxMessageBytes; got != 200 {
			t.Errorf("the partition allows %d bytes", got)
		}
		for name, edit := range map[string]func(c *Config) error{
			"edit fails": func(c *Config) error { c.MaxMessageBytes = 300; return errBroken },
			"invalid":    func(c *Config) error { c.RetentionBytes = -5; return nil },
			"fewer":      func(c *Config) error { c.Partitions = -1; return nil },
		} {
			if err := h.Change(ctx, "orders", edit); err == nil || !strings.Contains(err.Error(), "orders") {
				t.Errorf("%s: got error %v", name, err)
			}
		}
		if err := h.Change(ctx, "nobody", func(*Config) error { return nil }); !errors.Is(err, log.ErrUnknownTopic) {
			t.Errorf("got error %v", err)
		}
		h.reopen()
		want := Config{
			Partitions: 1, Retention: DefaultRetention, RetentionBytes: Unlimited, MaxMessageBytes: 200,
			CleanupPolicy: Delete, DeleteRetention: DefaultDeleteRetention, Replicas: 1,
			TimestampBeforeMax: Unlimited, TimestampAfterMax: DefaultTimestampAfter,
		}
		if got := h.get("orders").Config(); got != want {
			t.Errorf("after reopen: %+v", got)
		}
	})
}

func TestGrow(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		topic := h.create("orders", 2)
		h.write("orders", 1, 2)
		old := topic.Partitions()
		partitions := func(n int) func(*Config) error {
			return func(c *Config) error { c.Partitions = n; return nil }
		}
		if err := h.Change(ctx, "orders", partitions(5)); err != nil {
			t.Fatal(err)
		}
		ps := topic.Partitions()
		if len(old) != 2 || len(ps) != 5 || ps[0] != old[0] || ps[1] != old[1] {
			t.Errorf("the old partitions must stay: %v, %v", old, ps)
		}
		for _, n := range []int{4, 0} { // 0 stands for the default, 1
			if err := h.Change(ctx, "orders", partitions(n)); !errors.Is(err, log.ErrInvalidPartitions) {
				t.Errorf("down to %d: got error %v", n, err)
			}
		}
		h.write("orders", 4, 1)
		h.reopen()
		var ends []int64
		for _, p := range h.get("orders").Partitions() {
			ends = append(ends, p.HighWatermark())
		}
		if got := fmt.Sprint(ends); got != "[0 2 0 0 1]" {
			t.Errorf("after reopen the partitions end at %s", got)
		}
	})
}

func TestDelete(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		topic := h.create("orders", 2)
		id, number := topic.ID(), topic.number
		h.write("orders", 0, 3)
		w := partition.NewWaiter()
		p := topic.Partitions()[1]
		p.Watch(w)
		if err := h.Delete(ctx, "orders"); err != nil {
			t.Fatal(err)
		}
		<-w.C()
		if !errors.Is(topic.Err(), log.ErrUnknownTopic) || !errors.Is(p.Err(), log.ErrUnknownTopic) || h.names() != "" {
			t.Errorf("left: %s, error %v", h.names(), topic.Err())
		}
		if err := h.Delete(ctx, "orders"); !errors.Is(err, log.ErrUnknownTopic) {
			t.Errorf("twice: got error %v", err)
		}
		again := h.create("orders", 2)
		if again.ID() == id || again.number == number || again.Partitions()[0].HighWatermark() != 0 {
			t.Errorf("the new topic is like the old one: %s %d", again.ID(), again.number)
		}
		h.write("orders", 0, 1)
		h.reopen()
		if got := h.get("orders").Partitions()[0].HighWatermark(); got != 1 {
			t.Errorf("after reopen it ends at %d, want 1", got)
		}
		if h.keys(number) != 3 || h.doomed() != 1 {
			t.Errorf("the old data: %d keys, %d doomed", h.keys(number), h.doomed())
		}
	})
}

// Who logs what has changed may change the catalogue: an adapter appends lines to a topic, which is created where it is not there.
func TestLoggedWhenUnlocked(t *testing.T) {
	inMemory(t, func(t *testing.T, h *house) {
		var logged []string
		h.logger = zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{}), zapcore.AddSync(io.Discard), zap.InfoLevel), zap.Hooks(func(e zapcore.Entry) error {
			logged = append(logged, e.Message)
			select {
			case h.change <- struct{}{}:
				<-h.change
			default:
				t.Errorf("%q is logged while nobody else can change the catalogue", e.Message)
			}
			return nil
		}))
		h.create("orders", 1)
		if err := h.Change(ctx, "orders", func(c *Config) error { c.Partitions = 2; return nil }); err != nil {
			t.Fatal(err)
		}
		if err := h.Delete(ctx, "orders"); err != nil {
			t.Fatal(err)
		}
		if want := []string{"topic created", "topic altered", "topic deleted"}; !slices.Equal(logged, want) {
			t.Errorf("logged %q, want %q", logged, want)
		}
	})
}

// A deletion that is refused has not happened, to anybody.
func TestDeleteOnAFullDisk(t *testing.T) {
	inMemory(t, func(t *testing.T, h *house) {
		topic := h.create("orders", 1)
		h.st.full = true
		if err := h.Delete(ctx, "orders"); !errors.Is(err, log.ErrDiskFull) {
			t.Fatalf("got error %v", err)
		}
		h.st.full = false
		if h.get("orders") != topic || topic.Err() != nil {
			t.Errorf("the topic: %v", topic.Err())
		}
		h.write("orders", 0, 1)
		if err := h.Delete(ctx, "orders"); err != nil {
			t.Error(err)
		}
	})
}

func TestChangesOfAFailedStore(t *testing.T) {
	inMemory(t, func(t *testing.T, h *house) {
		topic := h.create("orders", 1)
		h.write("orders", 0, 1)
		h.st.commit = func(int) error { return errBroken }
		if err := h.Delete(ctx, "orders"); !errors.Is(err, log.ErrFailed) {
			t.Errorf("Delete: got error %v", err)
		}
		if _, err := h.Create(ctx, "a", Config{}); !errors.Is(err, log.ErrFailed) {
			t.Errorf("Create: got error %v", err)
		}
		if !errors.Is(topic.Err(), log.ErrUnknownTopic) || h.names() != "" {
			t.Errorf("left: %s, error %v", h.names(), topic.Err())
		}
		h.st.commit = nil
		h.reopen()
		if got := h.names(); got != "orders:1" || h.get("orders").Partitions()[0].HighWatermark() != 1 {
			t.Errorf("the deletion was not stored, and there is %q", got)
		}
	})
}

func TestOneOfManyCreates(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		var won, lost atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				switch _, err := h.Create(ctx, "orders", Config{}); {
				case err == nil:
					won.Add(1)
				case errors.Is(err, log.ErrTopicExists):
					lost.Add(1)
				default:
					t.Errorf("got error %v", err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || lost.Load() != 7 || h.next != 2 {
			t.Errorf("%d won, %d lost, next number %d", won.Load(), lost.Load(), h.next)
		}
	})
}

// Appends race with the deletion: none is stored behind it, none is left after Purge.
func TestAppendsRaceWithDelete(t *testing.T) {
	inMemory(t, func(t *testing.T, h *house) {
		topic := h.create("orders", 1)
		var wg sync.WaitGroup
		begun := make(chan struct{})
		for i := range 2 {
			wg.Go(func() {
				for j := 0; ; j++ {
					if i == 0 && j == 10 {
						close(begun)
					}
					var b log.Builder
					b.Append(1, nil, []byte("v"), nil)
					env, err := b.Seal(nil, log.CodecNone)
					if err != nil {
						t.Error(err)
					}
					tx := &writer.Tx{Appends: []writer.Append{{Partition: topic.Partitions()[0], Batch: env}}}
					if err := h.committer.Do(tx); err != nil {
						if !errors.Is(err, log.ErrUnknownTopic) {
							t.Errorf("append: %v", err)
						}
						return
					}
				}
			})
		}
		<-begun
		if err := h.Delete(ctx, "orders"); err != nil {
			t.Error(err)
		}
		stored := h.keys(topic.number)
		wg.Wait()
		if got := h.keys(topic.number); got != stored || got < 10 {
			t.Errorf("%d batches at the deletion, then %d", stored, got)
		}
	})
}

func TestCancelledContextChangesNothing(t *testing.T) {
	inMemory(t, func(t *testing.T, h *house) {
		topic := h.create("orders", 1)
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		try := func(ctx context.Context) {
			t.Helper()
			_, err := h.Create(ctx, "a", Config{})
			for what, err := range map[string]error{
				"create": err,
				"change": h.Change(ctx, "orders", func(c *Config) error { c.Partitions = 2; return nil }),
				"delete": h.Delete(ctx, "orders"),
			} {
				if !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), what+" topic ") {
					t.Errorf("%s: got error %v", what, err)
				}
			}
		}
		commits := h.st.commits
		try(cancelled)
		h.change <- struct{}{} // somebody else is at it
		waiting, cancel := context.WithCancel(ctx)
		time.AfterFunc(0, cancel)
		try(waiting)
		h.unlock()
		if h.st.commits != commits || h.names() != "orders:1" || topic.Err() != nil {
			t.Errorf("there is %s, error %v", h.names(), topic.Err())
		}
	})
}

func TestCloseEndsPartitions(t *testing.T) {
	inMemory(t, func(t *testing.T, h *house) {
		a, b := h.create("a", 2), h.create("b", 1)
		w := partition.NewWaiter()
		b.Partitions()[0].Watch(w)
		h.Close(log.ErrClosed)
		<-w.C()
		for _, p := range append(a.Partitions(), b.Partitions()...) {
			if !errors.Is(p.Err(), log.ErrClosed) {
				t.Errorf("%s: %v", p.TopicPartition(), p.Err())
			}
		}
	})
}

// A topic whose entry is damaged is told, and cannot be used; its name stays taken and its data
// stays, until it is deleted. Nobody else notices.
func TestDamagedTopic(t *testing.T) {
	good := `{"version":1,"number":9,"id":"00112233445566778899aabbccddeeff","partitions":1}`
	for name, tt := range map[string]struct{ value, want string }{
		"no JSON":        {"{", "topic bad: corrupt value: catalogue entry"},
		"half of it":     {good[:40], "topic bad: corrupt value: catalogue entry"},
		"newer version":  {strings.Replace(good, `n":1`, `n":2`, 1), "version 2, this library knows 1"},
		"no version":     {"{}", "version 0"},
		"short id":       {strings.Replace(good, "0011", "00", 1), "id"},
		"id is no hex":   {strings.Replace(good, "0011", "xx11", 1), "id"},
		"no partitions":  {strings.Replace(good, `s":1`, `s":0`, 1), "0 partitions"},
		"too many":       {strings.Replace(good, `s":1`, `s":99999`, 1), "99999"},
		"no number":      {strings.Replace(good, `r":9`, `r":0`, 1), "number 0"},
		"number beyond":  {strings.Replace(good, `r":9`, `r":4294967296`, 1), "topic bad: corrupt value: catalogue entry"},
		"unknown config": {strings.Replace(good, `}`, `,"configs":{"x":"1"}}`, 1), `unknown name "x"`},
		"bad config":     {strings.Replace(good, `}`, `,"configs":{"retention.ms":"x"}}`, 1), "retention.ms"},
	} {
		t.Run(name, func(t *testing.T) {
			inMemory(t, func(t *testing.T, h *house) {
				h.create("good", 1)
				h.write("good", 0, 2)
				h.raw(store.CatalogueKey(topicKey+"bad"), []byte(tt.value))
				h.raw(store.LogStartKey(store.PartitionID{Topic: 9}), store.OffsetValue(5))
				for range 2 {
					h.reopen()
					h.checkDamaged(t, "bad", tt.want)
				}
				if got := h.create("new", 1).number; got <= 9 {
					t.Errorf("a new topic has the number %d, and meets the other's data", got)
				}
				if err := h.Delete(ctx, "bad"); err != nil {
					t.Fatal(err)
				}
				h.purge()
				if h.keys(9) != 0 || h.keys(1) != 2 || len(h.Damaged()) != 0 {
					t.Errorf("deleted, it has %d keys, the other %d, damaged: %v", h.keys(9), h.keys(1), h.Damaged())
				}
				h.create("bad", 1)
				if h.reopen(); len(h.damage) != 0 {
					t.Errorf("then: %v", h.damage)
				}
			})
		})
	}
}

// checkDamaged wants one damaged topic of that name, and the topic good to be well.
func (h *house) checkDamaged(t *testing.T, name, want string) {
	t.Helper()
	if len(h.damage) != 1 || !strings.Contains(h.damage[0].Error(), want) || !slices.Equal(h.Damaged(), []string{name}) {
		t.Errorf("told %v, want %q in it; damaged: %v", h.damage, want, h.Damaged())
	}
	_, get := h.Get(name)
	_, create := h.Create(ctx, name, Config{})
	change := h.Change(ctx, name, func(*Config) error { return nil })
	for what, err := range map[string]error{"get": get, "create": create, "change": change} {
		if !errors.Is(err, log.ErrCorruptValue) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if got := h.get("good").Partitions()[0].HighWatermark(); got != 2 || h.keys(9) != 1 {
		t.Errorf("the other topic ends at %d; of the damaged one %d keys are left", got, h.keys(9))
	}
}

// Two topics of one number: nobody knows whose the data is, and neither is used.
func TestDamagedNumberOfAnother(t *testing.T) {
	inMemory(t, func(t *testing.T, h *house) {
		h.create("a", 1)
		h.write("a", 0, 2)
		entry, err := h.st.Get(store.CatalogueKey(topicKey + "a"))
		if err != nil {
			t.Fatal(err)
		}
		h.raw(store.CatalogueKey(topicKey+"b"), entry)
		h.reopen()
		if len(h.damage) != 2 || len(h.Damaged()) != 2 || h.keys(1) != 2 {
			t.Errorf("told %v, damaged %v, %d keys", h.damage, h.Damaged(), h.keys(1))
		}
		for i, name := range []string{"a", "b"} {
			if err := h.Delete(ctx, name); err != nil {
				t.Fatal(err)
			}
			if h.purge(); h.keys(1) != 2*(1-i) {
				t.Errorf("%s deleted, there are %d keys", name, h.keys(1))
			}
		}
	})
}

// A log start offset that is damaged costs its topic: where the log begins, and what offset
// would come next, nobody knows.
func TestDamagedLogStart(t *testing.T) {
	inMemory(t, func(t *testing.T, h *house) {
		h.create("good", 1)
		h.write("good", 0, 2)
		bad := h.create("bad", 2)
		h.write("bad", 1, 3)
		h.raw(store.LogStartKey(bad.Partitions()[1].ID()), []byte("soon"))
		h.reopen()
		if _, err := h.Get("bad"); !errors.Is(err, log.ErrCorruptValue) || !strings.Contains(err.Error(), "bad/1: log start offset") {
			t.Errorf("get: %v", err)
		}
		if h.keys(bad.number) != 4 || len(h.damage) != 1 {
			t.Errorf("%d keys, told %v", h.keys(bad.number), h.damage)
		}
		if err := h.Delete(ctx, "bad"); err != nil {
			t.Fatal(err)
		}
		if h.purge(); h.keys(bad.number) != 0 {
			t.Errorf("%d keys", h.keys(bad.number))
		}
	})
}

// Without the number of the next topic it is found anew: one that nothing in the store has.
func TestDamagedNextNumber(t *testing.T) {
	for _, value := range []string{"soon", "\xff2345678"} {
		inMemory(t, func(t *testing.T, h *house) {
			h.create("a", 1)
			h.raw(store.LogStartKey(store.PartitionID{Topic: 7}), store.OffsetValue(5))
			h.raw(doomedTopicKey(12), store.OffsetValue(12))
			h.raw(store.CatalogueKey(nextNumberKey), []byte(value))
			h.reopen()
			if len(h.damage) != 1 || !strings.Contains(h.damage[0].Error(), "next topic number") {
				t.Errorf("told %v", h.damage)
			}
			if got := h.create("b", 1).number; got != 13 {
				t.Errorf("got number %d", got)
			}
			if h.reopen(); len(h.damage) != 0 {
				t.Errorf("then: %v", h.damage)
			}
		})
	}
}

// The number of the next topic is above all there are, whatever is stored.
func TestNextNumberIsLost(t *testing.T) {
	inMemory(t, func(t *testing.T, h *house) {
		for _, name := range []string{"a", "b", "c"} {
			h.create(name, 1)
		}
		h.raw(store.CatalogueKey(nextNumberKey), nil)
		h.reopen()
		if got := h.create("d", 1).number; got != 4 {
			t.Errorf("got number %d", got)
		}
	})
}

// A topic is found by its identity for as long as it exists, and Check tells what Create would
// do without doing it.
func TestFindAndCheck(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		config, err := h.Check("orders", Config{Partitions: 2})
		if err != nil || config.Partitions != 2 || config.Retention != DefaultRetention || h.names() != "" {
			t.Errorf("got %+v, error %v, topics %s", config, err, h.names())
		}
		id := h.create("orders", 2).ID()
		h.reopen()
		if found := h.Find(id); found != h.get("orders") {
			t.Errorf("found %v", found)
		}
		if _, err := h.Check("orders", Config{}); !errors.Is(err, log.ErrTopicExists) {
			t.Errorf("got error %v", err)
		}
		if err := h.Delete(ctx, "orders"); err != nil {
			t.Fatal(err)
		}
		if found := h.Find(id); found != nil {
			t.Errorf("found %v", found)
		}
	})
}
