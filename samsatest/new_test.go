package samsatest_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"pgregory.net/rapid"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/samsatest"
)

func TestNewHasTopics(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("orders", 3),
		samsatest.TopicWith("prices", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact}))
	info, err := b.Topics().Describe(ctx, "orders")
	if err != nil || len(info.Partitions) != 3 {
		t.Errorf("orders: %+v, %v", info, err)
	}
	samsatest.Produce(t, b, "prices", "tea=3", "tea=4", "milk=<nil>")
	samsatest.Equal(t, b, "prices", []string{"tea=3", "tea=4", "milk=<nil>"})
}

func TestOtherFrameworks(t *testing.T) {
	var b *samsa.Broker
	ft := runFake(func(ft *fakeTest) {
		b = samsatest.New(ft, samsatest.Topic("t", 1))
		samsatest.Produce(ft, b, "t", "k=v")
		samsatest.Equal(ft, b, "t", []string{"k=v"})
	})
	ft.wantErrs(t)
	if _, err := b.Topics().List(ctx); err == nil {
		t.Error("the broker is open after the test")
	}
}

func TestOpenClientsFailTheTest(t *testing.T) {
	forget := func(opts ...samsatest.Option) *fakeTest {
		return runFake(func(ft *fakeTest) {
			b := samsatest.New(ft, append(opts, samsatest.Topic("t", 1))...)
			if _, err := b.NewProducer(ctx, samsa.ProducerOptions{ClientID: "import"}); err != nil {
				t.Error(err)
			}
			for _, opts := range []samsa.ConsumerOptions{{Group: "g"}, {Group: "h", ClientID: "sum"}, {ClientID: "show"}} {
				opts.Topics = []string{"t"}
				if _, err := b.NewConsumer(t.Context(), opts); err != nil {
					t.Error(err)
				}
			}
		})
	}
	forget().wantErrs(t, "not closed at the end of the test: a consumer (client \"show\"), "+
		"a consumer of group g, a consumer of group h (client \"sum\"), a producer (client \"import\")")
	forget(samsatest.AllowOpenClients()).wantErrs(t)
}

func TestMistakesAreExplained(t *testing.T) {
	onDisk := func(ft *fakeTest) *samsa.Broker {
		return samsatest.New(ft, samsatest.Dir(filepath.Join(t.TempDir(), "d")))
	}
	for name, tc := range map[string]struct {
		do   func(ft *fakeTest)
		want string
	}{
		"bad topic":         {func(ft *fakeTest) { samsatest.New(ft, samsatest.Topic("no/slash", 1)) }, "no/slash"},
		"bad options":       {func(ft *fakeTest) { samsatest.New(ft, samsatest.Options(samsa.Options{MaxUpdateRetries: -7})) }, "MaxUpdateRetries"},
		"fork of a disk":    {func(ft *fakeTest) { samsatest.Fork(ft, onDisk(ft)) }, "on disk"},
		"fork after close":  {func(ft *fakeTest) { b := samsatest.New(ft); _ = b.Close(); samsatest.Fork(ft, b) }, "Fork: closed"},
		"topics of a fork":  {func(ft *fakeTest) { samsatest.Fork(ft, samsatest.New(ft), samsatest.Topic("t", 1)) }, "Topic and Dir are for New"},
		"no such topic":     {func(ft *fakeTest) { samsatest.Drain(ft, samsatest.New(ft), "t") }, `unknown topic: "t"`},
		"produce":           {func(ft *fakeTest) { samsatest.Produce(ft, samsatest.New(ft), "t", "v") }, `unknown topic: "t"`},
		"restart":           {func(ft *fakeTest) { samsatest.Restart(ft, samsatest.New(ft)) }, "not killed"},
		"power on a disk":   {func(ft *fakeTest) { samsatest.CutPower(ft, onDisk(ft)) }, "on disk loses no power"},
		"crash after close": {func(ft *fakeTest) { b := samsatest.New(ft); _ = b.Close(); samsatest.Crash(ft, b) }, "Crash: closed"},
		"nobody to expire":  {func(ft *fakeTest) { samsatest.Expire(ft, samsatest.New(ft), "g", "m") }, "unknown group"},
		"nothing to damage": {func(ft *fakeTest) { samsatest.Corrupt(ft, samsatest.New(ft, samsatest.Topic("t", 1)), "t", 0, 0) }, "t/0: offset out of range"},
		"not equal": {func(ft *fakeTest) {
			b := samsatest.New(ft, samsatest.Topic("t", 1))
			samsatest.Produce(ft, b, "t", "a")
			samsatest.Equal(ft, b, "t", nil)
		}, "topic t has\n\ta\nwant\n\tnothing"},
	} {
		t.Run(name, func(t *testing.T) { runFake(tc.do).wantErrs(t, tc.want) })
	}
}

func TestLogsGoToTheTest(t *testing.T) {
	var b *samsa.Broker
	ft := runFake(func(ft *fakeTest) {
		b = samsatest.New(ft)
		inside.Of(b).Options.(samsa.Options).Logger.With(zap.Int("n", 1)).Warn("look", zap.String("who", "me"))
		inside.Of(b).Options.(samsa.Options).Logger.Debug("do not look")
	})
	inside.Of(b).Options.(samsa.Options).Logger.Warn("too late: the test is over")
	if got := strings.Join(ft.logged, "\n"); got != `samsa: warn look {"n": 1, "who": "me"}` {
		t.Errorf("logged %q", got)
	}
}

func TestForksDoNotKnowOfEachOther(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	samsatest.Produce(t, b, "t", "a", "b")
	set(t, b, "key", "old")
	c := consumer(t, b, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}})
	poll(t, c)
	if err := c.Commit(ctx); err != nil {
		t.Fatal(err)
	}

	fork := samsatest.Fork(t, b)
	samsatest.WaitCommitted(t, fork, "g", "t", 2)
	samsatest.Produce(t, fork, "t", "c of the fork")
	set(t, fork, "key", "new")
	if err := fork.Topics().Create(ctx, "u", samsa.TopicConfig{}); err != nil {
		t.Fatal(err)
	}
	samsatest.Produce(t, b, "t", "c")
	forkOfFork := samsatest.Fork(t, fork)
	if err := fork.Topics().Delete(ctx, "t"); err != nil {
		t.Fatal(err)
	}

	samsatest.Equal(t, b, "t", []string{"a", "b", "c"})
	samsatest.Equal(t, forkOfFork, "t", []string{"a", "b", "c of the fork"})
	if got := get(t, b, "key") + get(t, fork, "key") + get(t, forkOfFork, "key"); got != "oldnewnew" {
		t.Errorf("the keys are %q", got)
	}
	if names, err := b.Topics().List(ctx); err != nil || !slices.Equal(names, []string{"t"}) {
		t.Errorf("topics %q, %v", names, err)
	}
	// The group goes on where it was in the fork's parent.
	again := consumer(t, forkOfFork, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}})
	if got := poll(t, again); !slices.Equal(got, []string{"c of the fork"}) {
		t.Errorf("the group got %q", got)
	}
}

// Forks of a broker that is written to hold whole transactions: both records and the key that
// counts them, or none.
func TestForkOfABusyBroker(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1), samsatest.Topic("u", 1))
	set(t, b, "n", "0")
	stop := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		for n := 1; ; n++ {
			select {
			case <-stop:
				done <- nil
				return
			default:
			}
			err := b.Update(ctx, func(tx *samsa.Tx) error {
				r := samsatest.Record("t", fmt.Sprint(n))
				s := samsatest.Record("u", fmt.Sprint(n))
				if err := tx.Produce(r, s); err != nil {
					return err
				}
				return tx.Set([]byte("n"), []byte(fmt.Sprint(n)))
			})
			if err != nil {
				done <- err
				return
			}
		}
	}()
	for range 50 {
		fork := samsatest.Fork(t, b)
		records := samsatest.Texts(samsatest.Drain(t, fork, "t"))
		if n := get(t, fork, "n"); n != fmt.Sprint(len(records)) {
			t.Errorf("%d records, and the key says %s", len(records), n)
		}
		samsatest.Equal(t, fork, "u", records)
	}
	close(stop)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestParallelForks(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 2))
	samsatest.Produce(t, b, "t", "k=v")
	for i := range 20 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			b := samsatest.Fork(t, b)
			samsatest.Produce(t, b, "t", fmt.Sprintf("k=%d", i))
			samsatest.Equal(t, b, "t", []string{"k=v", fmt.Sprintf("k=%d", i)})
		})
	}
}

func TestTextsOfRecords(t *testing.T) {
	for text, want := range map[string]samsa.Record{
		"v":       {Value: []byte("v")},
		"":        {Value: []byte{}},
		"k=v":     {Key: []byte("k"), Value: []byte("v")},
		"k=":      {Key: []byte("k"), Value: []byte{}},
		"k=a=b":   {Key: []byte("k"), Value: []byte("a=b")},
		"=a=b":    {Value: []byte("a=b")},
		"k=<nil>": {Key: []byte("k")},
	} {
		got := samsatest.Record("t", text)
		if string(got.Key) != string(want.Key) || (got.Key == nil) != (want.Key == nil) ||
			string(got.Value) != string(want.Value) || (got.Value == nil) != (want.Value == nil) {
			t.Errorf("%q makes %q, %q", text, got.Key, got.Value)
		}
		if back := samsatest.Text(got); back != text {
			t.Errorf("%q comes back as %q", text, back)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		r := samsa.Record{Value: []byte(rapid.StringMatching(`[a-c=]*`).Draw(t, "value"))}
		if key := rapid.StringMatching(`[a-c]*`).Draw(t, "key"); key != "" {
			r.Key = []byte(key)
		}
		back := samsatest.Record("t", samsatest.Text(r))
		if string(back.Key) != string(r.Key) || string(back.Value) != string(r.Value) {
			t.Errorf("%q, %q comes back as %q, %q", r.Key, r.Value, back.Key, back.Value)
		}
	})
}
