package kafka

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster/kafkatest"
)

const (
	idExpiry       = 10 * time.Second // that a slow machine has used an id within
	producerExpiry = 500 * time.Millisecond
)

// What a producer is answered whose transactional id was forgotten, and one that a partition has forgotten.
var expiredStories = []story{
	{"expired", expiredStory},
	{"expired, and begun anew", begunAnewStory},
	{"expired in its transaction", neverOpenStory},
	{"forgotten in a partition", forgottenStory},
}

// Ids are forgotten as in a real Kafka, which is started with times so short. Still it waits for them some minutes.
func TestExpiredAsInKafka(t *testing.T) {
	if os.Getenv("EXPIRY") == "" {
		t.Skip("it waits some minutes for ids to be forgotten, and fetches Kafka: only with EXPIRY=1")
	}
	c, err := kafkatest.Start(t.Context(), kafkatest.Options{Dir: t.TempDir(), Configs: map[string]string{
		"transactional.id.expiration.ms":                             fmt.Sprint(idExpiry.Milliseconds()),
		"transaction.remove.expired.transaction.cleanup.interval.ms": "200",
		"producer.id.expiration.ms":                                  fmt.Sprint(producerExpiry.Milliseconds()),
		"producer.id.expiration.check.interval.ms":                   "200",
	}})
	if err != nil {
		t.Fatal(err)
	}
	at := func(level int16) round {
		return round{fmt.Sprint(level, ": "), func(t *testing.T, addr string) []note { return answers(t, addr, level, expiredStories) }}
	}
	opts := samsa.Options{Transactions: samsa.TransactionOptions{IDExpiry: idExpiry}, ProducerIDExpiry: producerExpiry, RetentionInterval: 200 * time.Millisecond}
	asWith(t, c.Seeds()[0], opts, nil, strings.Contains, at(0), at(2))
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
}

// become waits until a word is what it has to be.
func (a *txnAsker) become(what, want string, word func() string) {
	a.t.Helper()
	for begun := time.Now(); word() != want; time.Sleep(50 * time.Millisecond) {
		if time.Since(begun) > 3*time.Minute {
			a.t.Fatalf("%s: %s: %s, want %s", a.story, what, word(), want)
		}
	}
}

// expire waits until the id is forgotten.
func (a *txnAsker) expire() {
	a.t.Helper()
	a.become("state", "TRANSACTIONAL_ID_NOT_FOUND", func() string { return a.state(a.id) })
}

func expiredStory(a *txnAsker) {
	a.begin(time.Minute)
	a.produced(a.out, "x")
	a.ended(5, true)
	a.expire()
	a.note("listed", a.listed(0, func(*kmsg.ListTransactionsRequest) {}))
	a.note("stored", a.fetch(a.out, 1, 0))
	a.outdated()
	a.note("state", a.state(a.id))
	a.note("stored at last", a.fetch(a.out, 0, 0))
}

func begunAnewStory(a *txnAsker) {
	a.begin(time.Minute)
	old := a.now
	a.note("begun", old)
	a.expire()
	a.note("goes on with what it was", a.init(4, &old, 60_000), a.now)
	a.note("again", a.init(4, &old, 60_000))
	a.begin(time.Minute)
	a.note("anew", a.now)
	a.expire()
	a.begin(time.Minute)
	a.note("anew, once more", a.now)
	now := a.now
	a.now = old
	a.outdated()
	a.now = now
}

// neverOpenStory is of one that is longer in its transaction than ids are remembered.
func neverOpenStory(a *txnAsker) {
	a.begin(2 * idExpiry)
	a.produced(a.out, "x")
	a.become("state", "CompleteAbort", func() string { return a.state(a.id) })
	a.note("described", a.described())
	a.expire()
	a.note("stored", a.fetch(a.out, 0, 0))
}

// forgottenStory is of an idempotent producer without a transactional id.
func forgottenStory(a *txnAsker) {
	code, p := a.initOnce(4, nil, nil, 60_000)
	a.note("begun", code, p)
	send := func(what string, epoch int16, seq int32) {
		code, at := a.send(9, -1, nil, a.out, a.batch(0, producer{p.ID, epoch}, seq, what))
		a.note(what, code, fmt.Sprint("at ", at))
	}
	send("first", 0, 0)
	a.become("producers", "ok", func() string { return a.producers(a.out) })
	send("goes on", 0, 1)
	a.become("producers", "ok", func() string { return a.producers(a.out) })
	send("leaves some out", 0, 7)
	a.become("producers", "ok", func() string { return a.producers(a.out) })
	send("a new epoch that does not begin with 0", 1, 3)
	a.become("producers", "ok", func() string { return a.producers(a.out) })
	send("an epoch of the past", 0, 0)
}
