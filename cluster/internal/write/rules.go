package write

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/turns"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// rules are what the config of a topic says of its records. Nobody hears of changes: who goes by them asks again before a record is
// refused, or when they are old.
type rules struct {
	topic  engine.Topic
	known  atomic.Pointer[answer] // nil before the first
	asking turns.Turn             // one at a time
}

// answer is what the cluster has said.
type answer struct {
	rules *partition.Rules // nil for what the cluster does not say
	at    time.Time
}

// rulesAge is how old rules get.
const rulesAge = 10 * time.Second

// rulesOf returns the rules of a topic.
func (w *Writes) rulesOf(t engine.Topic) *rules {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.rules[t.Name()]
	if r == nil || r.topic != t {
		r = &rules{topic: t, asking: turns.New()}
		w.rules[t.Name()] = r
	}
	return r
}

// get returns the rules as they were no longer than age ago, or when the cluster does not tell them until ctx ends those of before, if any.
func (ru *rules) get(ctx context.Context, w *Writes, age time.Duration) *partition.Rules {
	known := ru.known.Load()
	if ru.asking.TakeUntil(ctx) != nil {
		if known == nil {
			return nil
		}
		return known.rules
	}
	defer ru.asking.Give()
	known = ru.known.Load()
	if known == nil || time.Since(known.at) > age {
		now, err := w.askRules(ctx, ru.topic.Name())
		switch {
		case err == nil:
		case known != nil:
			now = known.rules
		case ctx.Err() != nil:
			return nil
		}
		known = &answer{now, time.Now()}
		ru.known.Store(known)
	}
	return known.rules
}

// most returns how many bytes a batch may have of what is known.
func (ru *rules) most() int {
	if known := ru.known.Load(); known != nil && known.rules != nil {
		return min(mostBatch, known.rules.MaxMessageBytes)
	}
	return mostBatch
}

// mostOf returns how many bytes a batch of a topic may have.
func (w *Writes) mostOf(ctx context.Context, name string) (int, error) {
	if _, err := w.topics.Count(ctx, name); err != nil {
		return 0, err
	}
	t, err := w.topics.Get(name)
	if err != nil {
		return 0, err
	}
	ru := w.rulesOf(t)
	ru.get(ctx, w, rulesAge)
	return ru.most(), nil
}

// checks are what of a record is checked.
type checks int

const (
	ofSize checks = 1 << iota // and its key
	ofTime
)

// allows reports whether the topic takes a record by what is known of it.
func (ru *rules) allows(r *log.Record, c checks) bool {
	known := ru.known.Load()
	return known != nil && c.refuse(known.rules, r) == nil
}

// allow refuses a record that the topic does not take. It asks the cluster, unless allows says yes.
func (ru *rules) allow(ctx context.Context, w *Writes, r *log.Record, c checks) error {
	if ru.get(ctx, w, math.MaxInt64); ru.allows(r, c) {
		return nil
	}
	return c.refuse(ru.get(ctx, w, 0), r)
}

// refuse returns why a topic of these rules does not take a record.
func (c checks) refuse(rules *partition.Rules, r *log.Record) error {
	if c&ofSize != 0 {
		if err := refuseSize(rules, r); err != nil {
			return err
		}
	}
	if c&ofTime != 0 {
		return refuseTime(rules, r)
	}
	return nil
}

// refuseSize returns why a topic of these rules takes a record at no time.
func refuseSize(rules *partition.Rules, r *log.Record) error {
	if rules == nil {
		return nil
	}
	tp := log.TopicPartition{Topic: r.Topic, Partition: r.Partition}
	if rules.KeyRequired && r.Key == nil {
		return fmt.Errorf("%s: %w: it has no key, which a compacted topic requires", tp, log.ErrInvalidRecord)
	}
	if log.BatchHeaderSize+log.RecordBound(r) > rules.MaxMessageBytes {
		var empty log.Builder
		if n := empty.SizeWith(r.Key, r.Value, r.Headers); n > rules.MaxMessageBytes {
			return fmt.Errorf("%s: %w: %d bytes with overhead, max.message.bytes is %d", tp, log.ErrRecordTooLarge, n, rules.MaxMessageBytes)
		}
	}
	return nil
}

// refuseTime returns why a topic of these rules does not take the timestamp of a record.
func refuseTime(rules *partition.Rules, r *log.Record) error {
	tp := log.TopicPartition{Topic: r.Topic, Partition: r.Partition}
	if rules == nil || r.Timestamp.IsZero() || rules.LogAppendTime {
		return nil
	}
	if ms, may := r.Timestamp.UnixMilli(), rules.Timestamps(time.Now().UnixMilli()); !may.Has(ms) {
		return fmt.Errorf("%s: %w", tp, may.Refuse(ms))
	}
	return nil
}

// askRules asks for the rules of a topic. What the cluster does not say is allowed.
func (w *Writes) askRules(ctx context.Context, name string) (*partition.Rules, error) {
	const (
		size   = "max.message.bytes"
		kind   = "message.timestamp.type"
		before = "message.timestamp.before.max.ms"
		after  = "message.timestamp.after.max.ms"
		policy = "cleanup.policy"
	)
	req := kmsg.NewPtrDescribeConfigsRequest()
	rr := kmsg.NewDescribeConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeTopic, name
	rr.ConfigNames = []string{size, kind, before, after, policy}
	req.Resources = append(req.Resources, rr)
	what := "configs of " + name
	got, err := link.AskOne(ctx, w.link.Client, what, req,
		func(r *kmsg.DescribeConfigsResponse) []kmsg.DescribeConfigsResponseResource { return r.Resources },
		func(r *kmsg.DescribeConfigsResponseResource) (int16, *string) { return r.ErrorCode, r.ErrorMessage })
	if err != nil {
		return nil, err
	}
	said := make(map[string]string)
	for _, c := range got.Configs {
		if c.Value != nil {
			said[c.Name] = *c.Value
		}
	}
	number := func(name string) int64 {
		if n, err := strconv.ParseInt(said[name], 10, 64); err == nil && n >= 0 {
			return n
		}
		return 1<<63 - 1
	}
	return &partition.Rules{
		MaxMessageBytes: int(number(size)), LogAppendTime: said[kind] == "LogAppendTime", KeyRequired: strings.Contains(said[policy], "compact"),
		TimestampBeforeMaxMs: number(before), TimestampAfterMaxMs: number(after),
	}, nil
}
