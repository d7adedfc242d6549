package clienttest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	xdgscram "github.com/xdg-go/scram"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// A login counts for reauthSession (KIP-368), and so often clients log in again before their story ends. Nobody can do so within a second, as at Kafka, and
// franz-go does a second before the end: a session of less than two of them it has refused, ILLEGAL_SASL_STATE.
const (
	reauthSession = 2200 * time.Millisecond
	reauthLogins  = 5
)

// loggedInAgain reports whether clients have logged in again often enough.
func loggedInAgain(s *samsatest.Secured) bool {
	st := s.Server.Stats()
	return st.Logins >= st.Accepted+reauthLogins
}

// round is what a client does again and again while its logins end: round i is sent to the topic plain by an idempotent producer, in a record of each of
// stormKeys keys, then to transacted in a transaction; then a member of a group has read from plain what there is, and commits.
type round func(i int) error

// TestReauthentication has clients produce, with and without transactions, and consume in a group, while their logins end and they log in again on the same
// connections: nothing is lost, nothing is there twice, the order of each key holds, and nothing is refused.
func TestReauthentication(t *testing.T) {
	for name, begin := range map[string]func(t *testing.T, k *kit, addr string) round{"franz-go": franzRounds, "sarama": saramaRounds} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits much of the time
			k, s := reauthenticating(t)
			play, n := begin(t, k, s.Addr), 0
			for !loggedInAgain(s) {
				if err := play(n); err != nil {
					t.Fatalf("round %d, login %d: %v", n, s.Server.Stats().Logins, err)
				}
				n++
			}
			k.wentOn(s, n, n)
		})
	}
	t.Run("Java", func(t *testing.T) {
		t.Parallel()
		javaClients.needs(t, "kafka-clients")
		k, s := reauthenticating(t)
		cmd := javaClients.command(k.ctx, filepath.Join("testdata", "java", "Storm.java"), s.Addr, "plain", "transacted", "g", "security.protocol=SASL_PLAINTEXT", "sasl.mechanism=SCRAM-SHA-256",
			`sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="alice" password="right";`)
		done := k.play(cmd, func() {
			c, err := k.NewConsumer(k.ctx, samsa.ConsumerOptions{Topics: []string{"plain"}})
			must(t, err)
			for !loggedInAgain(s) {
				_, err := c.Poll(k.ctx) // it goes on meanwhile
				must(t, err)
			}
			must(t, c.Close())
		})
		if done.Committed == 0 {
			t.Fatalf("it has committed nothing: %+v", done)
		}
		k.wentOn(s, done.Sent, done.Committed)
	})
}

// reauthenticating is a broker whose logins end soon.
func reauthenticating(t *testing.T) (*kit, *samsatest.Secured) {
	t.Helper()
	k := inMemory(t, samsa.Options{}).within(t, javaPatience)
	k.create("plain", 6)
	k.create("transacted", 6)
	return k, samsatest.Secure(t, k.Broker, samsatest.Guard{Users: map[string]string{"alice": "right"}, MaxReauth: reauthSession})
}

// wentOn checks what is stored, and that clients have logged in again where they were, and were never refused.
func (k *kit) wentOn(s *samsatest.Secured, sent, committed int) {
	k.t.Helper()
	u := upheaval{kit: k}
	u.ordered("plain", []int{sent, sent, sent, sent}, stormKeys*sent)
	u.ordered("transacted", []int{committed, committed, committed, committed}, stormKeys*committed)
	st := s.Server.Stats()
	k.t.Logf("%d rounds, %d in transactions, %d logins, %d connections", sent, committed, st.Logins, st.Accepted)
	if st.FailedLogins > 0 || !loggedInAgain(s) {
		k.t.Errorf("%d logins have failed; %d logins on %d connections", st.FailedLogins, st.Logins, st.Accepted)
	}
}

// franzRounds begins franz-go's.
func franzRounds(t *testing.T, k *kit, addr string) round {
	alice := func(opts ...kgo.Opt) *kgo.Client {
		cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(addr), kgo.SASL(scram.Auth{User: "alice", Pass: "right"}.AsSha256Mechanism()))...)
		must(t, err)
		t.Cleanup(cl.Close)
		return cl
	}
	p, tx := alice(), alice(kgo.TransactionalID("bank"))
	m := alice(kgo.ConsumerGroup("g"), kgo.ConsumeTopics("plain"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
	read := 0
	return func(i int) error {
		send := func(cl *kgo.Client, topic string) error {
			var all []*kgo.Record
			for key := range stormKeys {
				all = append(all, &kgo.Record{Topic: topic, Key: fmt.Append(nil, key), Value: fmt.Append(nil, i)})
			}
			return cl.ProduceSync(k.ctx, all...).FirstErr()
		}
		if err := send(p, "plain"); err != nil {
			return err
		}
		if err := errors.Join(tx.BeginTransaction(), send(tx, "transacted"), tx.EndTransaction(k.ctx, kgo.TryCommit)); err != nil {
			return err
		}
		for read < stormKeys*(i+1) {
			fetched := m.PollFetches(k.ctx)
			if err := fetched.Err(); err != nil {
				return err
			}
			read += fetched.NumRecords()
		}
		return m.CommitUncommittedOffsets(k.ctx)
	}
}

// saramaRounds begins sarama's.
func saramaRounds(t *testing.T, k *kit, addr string) round {
	config := func() *sarama.Config {
		c := sarama.NewConfig()
		c.Version = sarama.V3_6_0_0
		c.Net.SASL.Enable, c.Net.SASL.User, c.Net.SASL.Password, c.Net.SASL.Mechanism = true, "alice", "right", sarama.SASLTypeSCRAMSHA256
		c.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &saramaScram{hash: xdgscram.SHA256} }
		c.Net.MaxOpenRequests, c.Producer.Idempotent, c.Producer.RequiredAcks, c.Producer.Return.Successes = 1, true, sarama.WaitForAll, true
		c.Consumer.Offsets.Initial = sarama.OffsetOldest
		return c
	}
	producer := func(id string) sarama.SyncProducer {
		c := config()
		c.Producer.Transaction.ID = id
		p, err := sarama.NewSyncProducer([]string{addr}, c)
		must(t, err)
		t.Cleanup(func() { must(t, p.Close()) })
		return p
	}
	p, tx := producer(""), producer("bank")
	m, err := sarama.NewConsumerGroup([]string{addr}, "g", config())
	must(t, err)
	ctx, cancel := context.WithCancel(k.ctx)
	got, ended := counting(make(chan int64)), make(chan error, 1)
	go func() {
		var err error
		for ctx.Err() == nil && err == nil {
			err = m.Consume(ctx, []string{"plain"}, got)
		}
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, m.Close()); err != nil {
			t.Error(err)
		}
	})
	read := 0
	return func(i int) error {
		send := func(p sarama.SyncProducer, topic string) error {
			var all []*sarama.ProducerMessage
			for key := range stormKeys {
				all = append(all, &sarama.ProducerMessage{Topic: topic, Key: sarama.StringEncoder(fmt.Sprint(key)), Value: sarama.StringEncoder(fmt.Sprint(i))})
			}
			return p.SendMessages(all)
		}
		if err := send(p, "plain"); err != nil {
			return err
		}
		if err := errors.Join(tx.BeginTxn(), send(tx, "transacted"), tx.CommitTxn()); err != nil {
			return err
		}
		for read < stormKeys*(i+1) {
			select {
			case <-got:
				read++
			case err := <-ended:
				ended <- err
				return fmt.Errorf("the group has ended: %w", err)
			case <-k.ctx.Done():
				return fmt.Errorf("%d records were read of %d: %w", read, stormKeys*(i+1), k.ctx.Err())
			}
		}
		return nil
	}
}

// counting hands over the offset of each record.
type counting chan int64

func (counting) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (counting) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (c counting) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for m := range claim.Messages() {
		select {
		case c <- m.Offset:
			s.MarkMessage(m, "")
		case <-s.Context().Done():
			return nil
		}
	}
	return nil
}
