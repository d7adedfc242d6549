package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/feature"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/log"
)

// slowStore takes a minute for the commits and fsyncs that it is told to.
type slowStore struct {
	store.Store
	commits, syncs int // so many of the next
}

func (s *slowStore) Commit(b *store.Batch) error {
	if s.commits > 0 {
		s.commits--
		time.Sleep(time.Minute)
	}
	return s.Store.Commit(b)
}

func (s *slowStore) Sync() error {
	if s.syncs > 0 {
		s.syncs--
		time.Sleep(time.Minute)
	}
	return s.Store.Sync()
}

// storing is a broker with something to change: topic a with two records, a group old that has come to offset 0, and
// a consumer that has polled them as a member of g.
type storing struct {
	*kit
	st *slowStore
	p  *samsa.Producer
	c  *samsa.Consumer
}

func newStoring(t *testing.T) *storing {
	t.Helper()
	st := &slowStore{Store: store.OpenMemory()}
	b, err := inside.Open[*samsa.Broker](st, samsa.Options{Groups: samsa.GroupOptions{InitialRebalanceDelay: -1}})
	if err != nil {
		t.Fatal(err)
	}
	k := &kit{Broker: b, t: t, ctx: context.Background()}
	t.Cleanup(k.close)
	k.create("a", 1)
	k.write("a", "1", "2")
	if err := b.Groups().AlterOffsets(k.ctx, "old", samsa.To(samsa.Earliest()), samsa.TopicPartition{Topic: "a"}); err != nil {
		t.Fatal(err)
	}
	s := &storing{kit: k, st: st, p: k.producer(samsa.ProducerOptions{})}
	s.c = k.consumer(samsa.ConsumerOptions{Group: "g", Topics: []string{"a"}, Member: samsa.MemberOptions{ManualCommit: true}})
	k.read(s.c, 2)
	return s
}

// holds describes all that the calls below could have changed.
func (s *storing) holds() string {
	s.t.Helper()
	var all []any
	add := func(v any, err error) {
		if err != nil {
			v = err
		}
		all = append(all, v)
	}
	topics, groups := s.Topics(), s.Groups()
	add(topics.List(s.ctx))
	add(topics.Describe(s.ctx, "a"))
	add(groups.List(s.ctx))
	add(groups.Committed(s.ctx, "old"))
	add(groups.Committed(s.ctx, "g"))
	add(nil, s.View(s.ctx, func(tx *samsa.ReadTx) error {
		for e, err := range tx.Scan(nil) {
			add(string(e.Key), err)
		}
		return nil
	}))
	return fmt.Sprint(all...)
}

// What a call says when its context ends.
const (
	endsWithIt = iota // with the error of the context, and nothing is stored
	waits             // with the outcome, which is waited for
	unknown           // with ErrOutcomeUnknown and the error of the context
)

// storingCalls are the methods with a context that store something, and what they say when the context ends while
// the store works on it, and while it waits behind another.
var storingCalls = []struct {
	name           string
	call           func(ctx context.Context, s *storing) error
	begun, waiting int
}{
	{"Broker.Produce", func(ctx context.Context, s *storing) error {
		_, err := s.Produce(ctx, samsa.Record{Topic: "a"})
		return err
	}, waits, endsWithIt},
	{"Broker.Update", func(ctx context.Context, s *storing) error {
		return s.Update(ctx, func(tx *samsa.Tx) error {
			return errors.Join(tx.Set([]byte("k"), nil), tx.Produce(samsa.Record{Topic: "a"}),
				tx.CommitOffsets(s.c, map[samsa.TopicPartition]samsa.CommittedOffset{{Topic: "a"}: {Offset: 1}}))
		})
	}, waits, endsWithIt},
	{"Producer.ProduceSync", func(ctx context.Context, s *storing) error {
		_, err := s.p.ProduceSync(ctx, samsa.Record{Topic: "a"})
		return err
	}, unknown, unknown},
	{"Producer.ProduceSync of one that is refused", func(ctx context.Context, s *storing) error {
		_, err := s.p.ProduceSync(ctx, samsa.Record{Topic: "a"}, samsa.Record{Topic: "a", Value: make([]byte, 2<<20)})
		if !errors.Is(err, samsa.ErrRecordTooLarge) {
			return fmt.Errorf("%w, and not that a record is too large", err)
		}
		return errors.Join(err, ctx.Err())
	}, unknown, unknown},
	{"Topics.Create", func(ctx context.Context, s *storing) error {
		return s.Topics().Create(ctx, "b", samsa.TopicConfig{})
	}, waits, endsWithIt},
	{"Topics.Alter", func(ctx context.Context, s *storing) error {
		return s.Topics().Alter(ctx, "a", func(c *samsa.TopicConfig) error { return c.SetConfig("retention.ms", "5000") })
	}, waits, endsWithIt},
	{"Topics.AddPartitions", func(ctx context.Context, s *storing) error {
		return s.Topics().AddPartitions(ctx, "a", 3)
	}, waits, endsWithIt},
	{"Topics.Delete", func(ctx context.Context, s *storing) error { return s.Topics().Delete(ctx, "a") }, waits, endsWithIt},
	{"Topics.DeleteRecords", func(ctx context.Context, s *storing) error {
		return s.Topics().DeleteRecords(ctx, "a", map[int32]int64{0: 1})
	}, waits, endsWithIt},
	{"Groups.AlterOffsets", func(ctx context.Context, s *storing) error {
		return s.Groups().AlterOffsets(ctx, "old", samsa.Shift(1))
	}, waits, endsWithIt},
	{"Groups.DeleteOffsets", func(ctx context.Context, s *storing) error {
		return s.Groups().DeleteOffsets(ctx, "old", samsa.TopicPartition{Topic: "a"})
	}, waits, endsWithIt},
	{"Groups.Delete", func(ctx context.Context, s *storing) error { return s.Groups().Delete(ctx, "old") }, waits, endsWithIt},
	{"Consumer.Commit", func(ctx context.Context, s *storing) error { return s.c.Commit(ctx) }, waits, endsWithIt},
	{"Consumer.CommitRecords", func(ctx context.Context, s *storing) error {
		return s.c.CommitRecords(ctx, samsa.Record{Topic: "a", Offset: 0})
	}, waits, endsWithIt},
	{"Consumer.CommitOffsets", func(ctx context.Context, s *storing) error {
		return s.c.CommitOffsets(ctx, map[samsa.TopicPartition]samsa.CommittedOffset{{Topic: "a"}: {Offset: 1}})
	}, waits, endsWithIt},
}

// checkOutcome checks err against what was expected, and that nothing has changed where nothing may.
func (s *storing) checkOutcome(when string, want int, err error, before string) {
	s.t.Helper()
	ended, open := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled), errors.Is(err, samsa.ErrOutcomeUnknown)
	if ended != (want != waits) || open != (want == unknown) || err != nil && want == waits {
		s.t.Errorf("%s: got %v, outcome unknown: %t", when, err, open)
	}
	time.Sleep(time.Hour) // what is stored is
	if after := s.holds(); (after != before) == (want == endsWithIt) {
		s.t.Errorf("%s: got %v\nhad %s\nhas %s", when, err, before, after)
	}
}

// The error of a context tells whether something may be stored.
func TestWhatTheEndOfAContextSays(t *testing.T) {
	for _, tt := range storingCalls {
		run := func(when string, fn func(t *testing.T, s *storing, before string)) {
			t.Run(tt.name+"/"+when, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newStoring(t)
					fn(t, s, s.holds())
				})
			})
		}
		run("before", func(t *testing.T, s *storing, before string) {
			ctx, cancel := context.WithCancel(s.ctx)
			cancel()
			s.checkOutcome("before", endsWithIt, tt.call(ctx, s), before)
		})
		run("begun", func(t *testing.T, s *storing, before string) {
			ctx, cancel := context.WithTimeout(s.ctx, time.Second)
			defer cancel()
			s.st.commits = 1
			s.checkOutcome("begun", tt.begun, tt.call(ctx, s), before)
		})
		run("waiting", func(t *testing.T, s *storing, before string) {
			ctx, cancel := context.WithTimeout(s.ctx, time.Second)
			defer cancel()
			s.st.commits = 1
			other := make(chan error, 1)
			go func() { // changes nothing that is looked at
				_, err := s.NewProducer(s.ctx, samsa.ProducerOptions{ID: "other"})
				other <- err
			}()
			synctest.Wait()
			s.checkOutcome("waiting", tt.waiting, tt.call(ctx, s), before)
			if err := <-other; err != nil {
				t.Error(err)
			}
		})
	}
}

// inTurnCalls are calls that one does at a time, until what he has changed is stored. Several may have a commit of their own.
var inTurnCalls = map[string]func(ctx context.Context, s *storing) error{
	"Topics.Create": func(ctx context.Context, s *storing) error {
		return s.Topics().Create(ctx, "b", samsa.TopicConfig{})
	},
	"Broker.NewProducer": func(ctx context.Context, s *storing) error {
		_, err := s.NewProducer(ctx, samsa.ProducerOptions{ID: "id"})
		return err
	},
	"Groups.SetConfigs": func(ctx context.Context, s *storing) error {
		return s.Groups().SetConfigs(ctx, "old", map[string]string{"share.auto.offset.reset": "earliest"})
	},
	"InitProducerID": func(ctx context.Context, s *storing) error {
		_, err := inside.Of(s.Broker).Producers.NextID(ctx)
		return err
	},
	"UpdateFeatures": func(ctx context.Context, s *storing) error {
		return inside.Of(s.Broker).Features.Set(ctx, map[string]int16{feature.Shares: 1})
	},
	"QuotaSet.Set": func(ctx context.Context, s *storing) error {
		quotas, err := kafka.QuotasOf(s.Broker)
		if err != nil {
			return err
		}
		return quotas.Set(ctx, kafka.Quota{User: "bob", Limits: map[string]float64{"producer_byte_rate": 1}})
	},
	"ACLSet.Create": func(ctx context.Context, s *storing) error {
		acls, err := kafka.ACLsOf(s.Broker)
		if err != nil {
			return err
		}
		return acls.Create(ctx, otherACL)
	},
	"Users.Set": func(ctx context.Context, s *storing) error {
		users, err := kafka.UsersOf(s.Broker)
		if err != nil {
			return err
		}
		return users.Set(ctx, "bob", "secret")
	},
	"Mirror.Run": func(ctx context.Context, s *storing) error { // as the copier of a mirror that another one takes the place of
		copier, err := inside.Of(s.Broker).Parts.Copying.NewCopier(ctx, "m")
		if err != nil {
			return err
		}
		defer copier.Close()
		return copier.Copy(ctx, nil, func() ([]log.Record, error) { return []log.Record{{Topic: "a"}}, nil })
	},
}

// Who waits for another one does so until his context ends. The other one does not notice.
func TestWhoWaitsForAnotherEndsWithHisContext(t *testing.T) {
	for name, call := range inTurnCalls {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStoring(t)
				s.st.commits = 1
				first := make(chan error, 1)
				go func() { first <- call(s.ctx, s) }()
				synctest.Wait()
				ctx, cancel := context.WithTimeout(s.ctx, time.Second)
				defer cancel()
				if err := call(ctx, s); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("the second: %v", err)
				}
				select {
				case err := <-first:
					t.Fatalf("the second has waited for the first: %v", err)
				default:
				}
				if err := <-first; err != nil {
					t.Errorf("the first: %v", err)
				}
			})
		})
	}
}

// Who looks at a kept table while that stores does so until his context ends.
func TestTableThatStoresEndsWithTheContext(t *testing.T) {
	for name, call := range map[string]func(ctx context.Context, table *samsa.Table) error{
		"Lag": func(ctx context.Context, table *samsa.Table) error {
			_, err := table.Lag(ctx)
			return err
		},
		"WaitFor": func(ctx context.Context, table *samsa.Table) error { return table.WaitFor(ctx) },
		"Watch": func(ctx context.Context, table *samsa.Table) (last error) {
			for _, last = range table.Watch(ctx) {
				continue
			}
			return last
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStoring(t)
				table, err := s.NewTable(s.ctx, samsa.TableOptions{Topic: "a", Name: "kept"})
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := table.Close(); err != nil {
						t.Error(err)
					}
				}()
				synctest.Wait()
				s.st.commits = 2 // that of the record, and that of the table
				s.write("a", "3")
				synctest.Wait()
				ctx, cancel := context.WithTimeout(s.ctx, time.Second)
				defer cancel()
				if err := call(ctx, table); !errors.Is(err, context.DeadlineExceeded) || s.st.commits > 0 {
					t.Errorf("%v, %d commits were not made", err, s.st.commits)
				}
				time.Sleep(time.Minute) // it is stored
			})
		})
	}
}

// Sync and Flush store nothing: the end of their context leaves nothing open.
func TestSyncAndFlushEndWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStoring(t)
		ctx, cancel := context.WithTimeout(s.ctx, time.Second)
		defer cancel()
		s.st.syncs = 1
		if err := s.Sync(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, samsa.ErrOutcomeUnknown) {
			t.Errorf("sync: got %v", err)
		}
		if err := s.Sync(s.ctx); err != nil {
			t.Error(err)
		}
		ctx, cancel = context.WithTimeout(s.ctx, time.Second)
		defer cancel()
		s.st.commits = 1
		fate := samsa.ErrUnavailable
		s.p.Produce(s.ctx, samsa.Record{Topic: "a"}, func(_ samsa.Record, err error) { fate = err })
		if err := s.p.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, samsa.ErrOutcomeUnknown) {
			t.Errorf("flush: got %v", err)
		}
		if err := s.p.Flush(s.ctx); err != nil || fate != nil {
			t.Errorf("got %v, the record %v", err, fate)
		}
	})
}
