package cluster_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster"
	"github.com/samsa-go/samsa/cluster/kafkatest"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/samsatest"
)

// opens opens a cluster and closes it, within a time that none needs that ends at once.
func opens(t *testing.T, o cluster.Options) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b, err := cluster.Open(ctx, o)
	if err == nil {
		_, err = b.Topics().List(ctx)
		err = errors.Join(err, b.Close())
	}
	if ctx.Err() != nil {
		t.Errorf("it was tried again until the end: %v", err)
	}
	return err
}

// token is one of alice, of which no signature is asked, for an hour.
func token(from time.Time) sasl.Mechanism {
	part := base64.RawURLEncoding.EncodeToString
	claims := fmt.Appendf(nil, `{"sub":"alice","iat":%d,"exp":%d}`, from.Unix(), from.Add(time.Hour).Unix())
	return oauth.Auth{Token: part([]byte(`{"alg":"none"}`)) + "." + part(claims) + "."}.AsMechanism()
}

// Whoever has the right password, and trusts the brokers, is let in by each mechanism; who has not hears so at once.
func TestSecure(t *testing.T) {
	c := kafkatest.New(t, kafkatest.Options{Secure: kafkatest.Secure{
		TLS: true, ACLs: true, Users: map[string]string{"alice": "right"},
		SASL: []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"},
	}})
	mechanisms := func(password string) map[string]sasl.Mechanism {
		return map[string]sasl.Mechanism{
			"PLAIN":         plain.Auth{User: "alice", Pass: password}.AsMechanism(),
			"SCRAM-SHA-256": scram.Auth{User: "alice", Pass: password}.AsSha256Mechanism(),
			"SCRAM-SHA-512": scram.Auth{User: "alice", Pass: password}.AsSha512Mechanism(),
		}
	}
	as := func(m sasl.Mechanism) cluster.Options {
		return cluster.Options{Seeds: c.Seeds(), TLS: c.TLS(), SASL: []sasl.Mechanism{m}}
	}
	for name, m := range mechanisms("right") {
		t.Run(name, func(t *testing.T) {
			if err := opens(t, as(m)); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("OAUTHBEARER", func(t *testing.T) {
		if err := opens(t, as(token(time.Now()))); err != nil {
			t.Error(err)
		}
	})
	for name, m := range mechanisms("wrong") {
		t.Run("wrong "+name, func(t *testing.T) {
			if err := opens(t, as(m)); !errors.Is(err, kafka.Code(58)) || !strings.Contains(err.Error(), c.Seeds()[0]) {
				t.Error(err)
			}
		})
	}
	t.Run("a token that is over", func(t *testing.T) {
		if err := opens(t, as(token(time.Now().Add(-2*time.Hour)))); !errors.Is(err, kafka.Code(58)) {
			t.Error(err)
		}
	})
	t.Run("no password", func(t *testing.T) {
		if err := opens(t, cluster.Options{Seeds: c.Seeds(), TLS: c.TLS()}); !errors.Is(err, samsa.ErrUnavailable) || !strings.Contains(err.Error(), "SASL") {
			t.Error(err)
		}
	})
	t.Run("no TLS", func(t *testing.T) {
		o := as(mechanisms("right")["PLAIN"])
		o.TLS = nil
		if err := opens(t, o); !errors.Is(err, samsa.ErrUnavailable) || !strings.Contains(err.Error(), "TLS") {
			t.Error(err)
		}
	})
	t.Run("TLS where there is none", func(t *testing.T) {
		if err := opens(t, cluster.Options{Seeds: c.Inside(), TLS: c.TLS()}); !errors.Is(err, samsa.ErrUnavailable) || !strings.Contains(err.Error(), "TLS") {
			t.Error(err)
		}
	})
	t.Run("another authority", func(t *testing.T) {
		o := as(mechanisms("right")["PLAIN"])
		o.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
		var untrusted *tls.CertificateVerificationError
		if err := opens(t, o); !errors.Is(err, samsa.ErrUnavailable) || !errors.As(err, &untrusted) {
			t.Error(err)
		}
	})
	t.Run("URL", func(t *testing.T) {
		ca := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(ca, c.CA(), 0o600); err != nil {
			t.Fatal(err)
		}
		for password, ok := range map[string]bool{"right": true, "wrong": false} {
			t.Setenv(cluster.PasswordVariable, password)
			o, err := cluster.ParseURL("kafka://alice@" + c.Seeds()[0] + "/?tls=true&ca=" + ca)
			if err != nil {
				t.Fatal(err)
			}
			if err := opens(t, o); (err == nil) != ok || strings.Contains(errorText(err), password) {
				t.Error(password, err)
			}
		}
	})
	t.Run("not allowed", func(t *testing.T) { testNotAllowed(t, c, as(mechanisms("right")["PLAIN"])) })
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Brokers that want to know who it is are shown a certificate.
func TestMutualTLS(t *testing.T) {
	c := kafkatest.New(t, kafkatest.Options{Secure: kafkatest.Secure{TLS: true, Mutual: true}})
	conf, err := c.ClientTLS("alice")
	if err != nil {
		t.Fatal(err)
	}
	if err := opens(t, cluster.Options{Seeds: c.Seeds(), TLS: conf}); err != nil {
		t.Error(err)
	}
	if err := opens(t, cluster.Options{Seeds: c.Seeds(), TLS: c.TLS()}); !errors.Is(err, samsa.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
	if err := opens(t, cluster.Options{Seeds: c.Seeds()}); !errors.Is(err, samsa.ErrUnavailable) || !strings.Contains(err.Error(), "TLS") {
		t.Error(err)
	}
}

// The certificate that a URL names is shown, and one that is in its place later, by the connections that begin then.
func TestURLShowsACertificate(t *testing.T) {
	s := samsatest.Secure(t, samsatest.New(t), samsatest.Guard{TLS: true, Mutual: true, Options: kafka.Options{
		ACLs: &kafka.ACLs{SuperUsers: []kafka.Principal{{Type: kafka.UserType, Name: "alice"}}},
	}})
	dir := t.TempDir()
	file := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	show := func(name string) string {
		cert, key := s.ClientPEM(name)
		return "&cert=" + file("cert.pem", cert) + "&key=" + file("key.pem", key)
	}
	address := "kafka://" + s.Addr + "/?tls=true&ca=" + file("ca.pem", s.CA())
	if _, err := cluster.ParseURL(address + "&cert=" + file("ca.pem", s.CA()) + "&key=" + file("ca.pem", s.CA())); !errors.Is(err, samsa.ErrInvalidOption) {
		t.Errorf("a key that is none: %v", err)
	}
	create := func(b *samsa.Broker, topic string) error {
		return b.Topics().Create(t.Context(), topic, samsa.TopicConfig{})
	}
	o, err := cluster.ParseURL(address + show("bob"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]error{"alice": nil, "bob": kafka.Code(29)} {
		show(name)
		b, err := cluster.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if err := create(b, name); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	if o, err = cluster.ParseURL(address); err != nil {
		t.Fatal(err)
	}
	if err := opens(t, o); !errors.Is(err, samsa.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("no certificate: %v", err)
	}
}

// allow lets alice do something.
func allow(t *testing.T, c *kafkatest.Cluster, acl *kadm.ACLBuilder, ops ...kadm.ACLOperation) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Inside()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	done, err := kadm.NewClient(cl).CreateACLs(t.Context(), acl.Allow("User:alice").AllowHosts().Operations(ops...).ResourcePatternType(kadm.ACLPatternLiteral))
	for _, d := range done {
		err = errors.Join(err, d.Err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for known := 0; known < len(ops); { // the controller has said so before the broker has heard of it
		all, err := kadm.NewClient(cl).DescribeACLs(t.Context(), acl)
		if err != nil {
			t.Fatal(err)
		}
		known = 0
		for _, d := range all {
			known += len(d.Described)
		}
	}
}

// What is not allowed is Kafka's error, names what it is about, and comes at once, whatever the call.
func testNotAllowed(t *testing.T, c *kafkatest.Cluster, o cluster.Options) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	admin, err := cluster.Open(ctx, cluster.Options{Seeds: c.Inside()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close() }()
	for _, topic := range []string{"hidden", "seen", "written"} {
		if err := admin.Topics().Create(ctx, topic, samsa.TopicConfig{}); err != nil {
			t.Fatal(err)
		}
		if _, err := admin.Produce(ctx, samsa.Record{Topic: topic, Value: []byte("a")}); err != nil {
			t.Fatal(err)
		}
	}
	allow(t, c, kadm.NewACLs().Topics("seen"), kadm.OpDescribe, kadm.OpDescribeConfigs)
	allow(t, c, kadm.NewACLs().Topics("written"), kadm.OpDescribe, kadm.OpDescribeConfigs, kadm.OpWrite, kadm.OpRead)
	o.Name = "billing"
	b, err := cluster.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()

	record := func(topic string) samsa.Record { return samsa.Record{Topic: topic, Value: []byte("b")} }
	poll := func(o samsa.ConsumerOptions) error {
		consumer, err := b.NewConsumer(ctx, o)
		if err != nil {
			return err
		}
		_, err = consumer.Poll(ctx)
		return errors.Join(err, consumer.Close())
	}
	produce := func(topics ...string) error {
		var records []samsa.Record
		for _, topic := range topics {
			records = append(records, record(topic))
		}
		_, err := b.Produce(ctx, records...)
		return err
	}
	producer := func(topic string) (err error) {
		p, err := b.NewProducer(ctx, samsa.ProducerOptions{})
		if err != nil {
			return err
		}
		_, err = p.ProduceSync(ctx, record(topic))
		return errors.Join(err, p.Close())
	}
	const topic, group, whole, id = 29, 30, 31, 53
	for _, call := range []struct {
		name string
		code kafka.Code
		what string // is named
		do   func() error
	}{
		{"produce to a hidden topic", topic, "hidden", func() error { return produce("hidden") }},
		{"produce", topic, "seen", func() error { return produce("seen") }},
		{"produce several", id, "billing", func() error { return produce("written", "written") }},
		{"producer", topic, "seen", func() error { return producer("seen") }},
		{"producer to a hidden topic", topic, "hidden", func() error { return producer("hidden") }},
		{"fetch", topic, "seen", func() error { return poll(samsa.ConsumerOptions{Topics: []string{"seen"}}) }},
		{"fetch from a hidden topic", topic, "hidden", func() error { return poll(samsa.ConsumerOptions{Topics: []string{"hidden"}}) }},
		{"group", group, "crew", func() error { return poll(samsa.ConsumerOptions{Group: "crew", Topics: []string{"written"}}) }},
		{"committed", group, "crew", func() error { _, err := b.Groups().Committed(ctx, "crew"); return err }},
		{"describe group", group, "crew", func() error { _, err := b.Groups().Describe(ctx, "crew"); return err }},
		{"delete group", group, "crew", func() error { return b.Groups().Delete(ctx, "crew") }},
		{"alter offsets", group, "crew", func() error {
			return b.Groups().SetOffsets(ctx, "crew", map[samsa.TopicPartition]samsa.CommittedOffset{{Topic: "written"}: {Offset: 1}})
		}},
		{"update", id, "billing", func() error {
			return b.Update(ctx, func(tx *samsa.Tx) error { return tx.Produce(record("written")) })
		}},
		{"create", topic, "new", func() error { return b.Topics().Create(ctx, "new", samsa.TopicConfig{}) }},
		{"ensure", topic, "hidden", func() error { _, err := b.Topics().Ensure(ctx, "hidden", samsa.TopicConfig{}); return err }},
		{"delete", topic, "seen", func() error { return b.Topics().Delete(ctx, "seen") }},
		{"describe", topic, "hidden", func() error { _, err := b.Topics().Describe(ctx, "hidden"); return err }},
		{"alter", topic, "seen", func() error {
			return b.Topics().Alter(ctx, "seen", func(c *samsa.TopicConfig) error { c.Retention = time.Hour; return nil })
		}},
		{"grow", topic, "seen", func() error {
			return b.Topics().Alter(ctx, "seen", func(c *samsa.TopicConfig) error { c.Partitions = 2; return nil })
		}},
		{"delete records", topic, "seen", func() error { return b.Topics().DeleteRecords(ctx, "seen", map[int32]int64{0: 1}) }},
		{"configs of a group", group, "crew", func() error { _, err := b.Groups().Configs(ctx, "crew"); return err }},
		{"describe transaction", id, "sales", func() error { _, err := b.Transactions().Describe(ctx, "sales"); return err }},
	} {
		err := call.do()
		if !errors.Is(err, call.code) || !strings.Contains(errorText(err), call.what) || errors.Is(err, samsa.ErrOutcomeUnknown) || samsa.Retriable(err) {
			t.Errorf("%s: %v, want code %d, of %s", call.name, err, call.code, call.what)
		}
		if ctx.Err() != nil {
			t.Fatalf("%s: it did not end", call.name)
		}
	}
	if err := produce("written"); err != nil {
		t.Errorf("what is allowed: %v", err)
	}
	allow(t, c, kadm.NewACLs().TransactionalIDs("billing-0"), kadm.OpWrite, kadm.OpDescribe)
	if err := produce("written", "seen"); !errors.Is(err, kafka.Code(topic)) || !strings.Contains(err.Error(), "seen") {
		t.Errorf("a transaction with a topic that is not allowed: %v", err)
	}
	if err := produce("written", "written"); err != nil {
		t.Errorf("a transaction that is allowed: %v", err)
	}
}
