package config

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Every default is a value that could be set, and every name that a table names is in the other.
func TestTables(t *testing.T) {
	b := Broker{}
	all := make(map[string]string)
	for _, s := range Brokers {
		if s.Doc == "" || s.Type == 0 || FindBroker(s.Name).Name != s.Name {
			t.Errorf("broker config %+v", s)
		}
		all[s.Name] = s.Default
	}
	if _, err := b.With(all); err != nil {
		t.Error(err)
	}
	own := make(map[string]string)
	for _, s := range Settings {
		for _, name := range []string{s.Broker, s.least, s.most} {
			if name != "" && FindBroker(name) == nil {
				t.Errorf("%s: the broker has no config %s", s.Name, name)
			}
		}
		if s.Doc == "" || s.Type == 0 || Find(s.Name).Name != s.Name {
			t.Errorf("config %+v", s)
		}
		own[s.Name] = Values{}.Value(s.Name)
	}
	if _, err := b.Check(own); err != nil {
		t.Error(err)
	}
	if len(Settings) != 27+2 { // Kafka's, and two of ours
		t.Errorf("%d configs", len(Settings))
	}
}

func TestValues(t *testing.T) {
	var v Values
	first, most := v.ShareBackoff()
	topic, records := v.DeadLetters()
	for name, ok := range map[string]bool{
		"lock":        v.ShareLock() == 30*time.Second,
		"deliveries":  v.ShareDeliveries() == 5,
		"locks":       v.ShareMaxLocks() == 2000,
		"reset":       v.ShareReset() == Reset{Kind: ResetLatest},
		"isolation":   v.ShareIsolation() == log.ReadUncommitted,
		"renew":       v.ShareRenew(),
		"backoff":     first == 0 && most == time.Minute,
		"letters":     topic == "" && !records,
		"sessions":    v.ShareSession() == 45*time.Second && v.ConsumerSession() == v.ShareSession() && v.StreamsSession() == v.ShareSession(),
		"heartbeats":  v.ShareHeartbeat() == 5*time.Second && v.ConsumerHeartbeat() == v.ShareHeartbeat() && v.StreamsHeartbeat() == v.ShareHeartbeat(),
		"assignments": v.ShareAssignmentInterval() == time.Second && v.ConsumerAssignmentInterval() == time.Second && v.StreamsAssignmentInterval() == time.Second,
		"streams":     v.StreamsStandbys() == 0 && v.StreamsWarmups() == 2 && v.StreamsInitialDelay() == 3*time.Second && v.StreamsRecoveryLag() == 10000 && v.StreamsTaskOffsets() == time.Minute,
		"tags":        len(v.StreamsTags()) == 0 && v.StreamsAssignor() == "sticky",
	} {
		if !ok {
			t.Errorf("default of %s", name)
		}
	}
	b := Broker{}
	if up, down := b.ConsumerMigration(); !up || !down || b.MaxSize("share") != 200 || b.MaxShareSessions() != 2000 || b.RegexRefresh() != 10*time.Minute {
		t.Errorf("defaults of the broker")
	}
	if create, prefix := b.DeadLetterTopics(); create || prefix != "dlq." {
		t.Errorf("topics for dead letters: %v, %q", create, prefix)
	}
	v = b.Group(map[string]string{
		"share.auto.offset.reset": "by_duration:P1DT2H3M4.5S", "share.isolation.level": "read_committed", "share.renew.acknowledge.enable": "FALSE",
		"errors.deadletterqueue.topic.name": "dlq.x", "errors.deadletterqueue.copy.record.enable": "true",
		"share.record.lock.duration.ms": "20000", "streams.rack.aware.assignment.tags": "zone, rack",
	})
	want := 24*time.Hour + 2*time.Hour + 3*time.Minute + 4500*time.Millisecond
	if r := v.ShareReset(); r != (Reset{ResetAgo, want}) || v.ShareIsolation() != log.ReadCommitted || v.ShareRenew() || v.ShareLock() != 20*time.Second {
		t.Errorf("got %v, %s", r, v.ShareLock())
	}
	if topic, records = v.DeadLetters(); topic != "dlq.x" || !records || strings.Join(v.StreamsTags(), "+") != "zone+rack" {
		t.Errorf("got %q, %v, %v", topic, records, v.StreamsTags())
	}
}

func TestBadConfigs(t *testing.T) {
	for _, tt := range []string{
		"share.moon=full", "share.record.lock.duration.ms=14999", "share.record.lock.duration.ms=60001", "share.delivery.count.limit=1",
		"share.delivery.count.limit=11", "share.partition.max.record.locks=99", "share.partition.max.record.locks=4001",
		"share.record.lock.duration.ms=1e4", "share.record.lock.duration.ms=99999999999", "share.auto.offset.reset=none",
		"share.auto.offset.reset=by_duration:P", "share.auto.offset.reset=by_duration:PT", "share.auto.offset.reset=by_duration:-P1D",
		"share.auto.offset.reset=by_duration:P1DT", "share.auto.offset.reset=by_duration:P999999999999D", "share.auto.offset.reset=by_duration:",
		"share.isolation.level=READ_COMMITTED", "share.renew.acknowledge.enable=1", "share.heartbeat.interval.ms=4999",
		"errors.deadletterqueue.topic.name=__dead", "errors.deadletterqueue.copy.record.enable=", "share.retry.backoff.ms=-1",
		"streams.num.standby.replicas=3", "streams.num.standby.replicas=-1", "streams.assignor.name=moon", "streams.rack.aware.assignment.tags=a,a",
		"streams.rack.aware.assignment.tags=a,,b", "streams.num.warmup.replicas=21", "streams.task.offset.interval.ms=14999", "consumer.assignment.interval.ms=15001",
	} {
		name, value, _ := strings.Cut(tt, "=")
		if _, err := (Broker{}).Check(map[string]string{name: value}); !errors.Is(err, log.ErrInvalidConfig) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", tt, err)
		}
	}
	for _, tt := range []string{
		"group.share.moon=full", "group.share.max.delivery.count.limit=26", "group.share.min.delivery.count.limit=6", "group.share.record.lock.duration.ms=999",
		"group.share.heartbeat.interval.ms=16000", "group.share.min.session.timeout.ms=45001", "group.consumer.assignors=moon", "group.consumer.assignors=",
		"group.consumer.migration.policy=moon", "group.share.max.share.sessions=199", "group.streams.num.standby.replicas=3", "group.consumer.max.size=0",
	} {
		name, value, _ := strings.Cut(tt, "=")
		if _, err := (Broker{}).With(map[string]string{name: value}); !errors.Is(err, log.ErrInvalidConfig) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", tt, err)
		}
	}
}

// A session is longer than a heartbeat, also where one of them is a default.
func TestSessionsAndHeartbeats(t *testing.T) {
	b, err := Broker{}.With(map[string]string{"group.share.min.session.timeout.ms": "1000", "group.share.min.heartbeat.interval.ms": "1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		session, beat string
		ok            bool
	}{{"5000", "", false}, {"5001", "", true}, {"2000", "2000", false}, {"2000", "1999", true}} {
		own := map[string]string{"share.session.timeout.ms": tt.session}
		if tt.beat != "" {
			own["share.heartbeat.interval.ms"] = tt.beat
		}
		if _, err := b.Check(own); err == nil != tt.ok {
			t.Errorf("%v: %v", own, err)
		}
	}
}

// Bounds that have come nearer hold for what was set before.
func TestBoundsThatChange(t *testing.T) {
	own := map[string]string{"share.record.lock.duration.ms": "60000", "streams.num.standby.replicas": "2"}
	b, err := Broker{}.With(map[string]string{"group.share.max.record.lock.duration.ms": "40000", "group.streams.max.standby.replicas": "1"})
	if err != nil {
		t.Fatal(err)
	}
	if v := b.Group(own); v.ShareLock() != 40*time.Second || v.StreamsStandbys() != 1 || v.Value("share.record.lock.duration.ms") != "40000" {
		t.Errorf("got %s, %d", v.ShareLock(), v.StreamsStandbys())
	}
}

func open(t *testing.T, st store.Store) (*Registry, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.WarnLevel)
	c := writer.NewCommitter(st, zap.NewNop())
	t.Cleanup(c.Close)
	r, err := Open(st, c, Broker{}, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	return r, logs
}

func set(configs map[string]string) func(map[string]string) error {
	return func(own map[string]string) error {
		maps.Copy(own, configs)
		return nil
	}
}

func TestRegistry(t *testing.T) {
	st := store.OpenMemory()
	r, _ := open(t, st)
	var told []string
	r.Watch(func(group string) { told = append(told, group) })
	lock := map[string]string{"share.record.lock.duration.ms": " 20000 "}
	if err := r.Change(t.Context(), "mailer", true, set(lock)); err != nil || len(r.List()) != 0 {
		t.Errorf("validate only: %v, %v", err, r.List())
	}
	if err := r.Change(t.Context(), "mailer", false, set(lock)); err != nil {
		t.Fatal(err)
	}
	if err := r.Change(t.Context(), "mailer", false, set(map[string]string{"share.moon": "full"})); !errors.Is(err, log.ErrInvalidConfig) {
		t.Errorf("got %v", err)
	}
	for _, name := range []string{"", strings.Repeat("x", store.MaxGroupName+1)} {
		if err := r.Change(t.Context(), name, false, set(lock)); !errors.Is(err, log.ErrInvalidGroup) {
			t.Errorf("a name of %d bytes: %v", len(name), err)
		}
	}
	is := func(r *Registry, want string) {
		t.Helper()
		if got := strings.Join(r.List(), " "); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	is(r, "mailer")
	again, logs := open(t, st)
	is(again, "mailer")
	if v := again.Values("mailer"); v.ShareLock() != 20*time.Second || again.Values("other").ShareLock() != 30*time.Second || logs.Len() != 0 {
		t.Errorf("got %s", v.ShareLock())
	}
	if err := r.Change(t.Context(), "mailer", false, func(own map[string]string) error { clear(own); return nil }); err != nil {
		t.Fatal(err)
	}
	is(r, "")
	again, _ = open(t, st)
	is(again, "")
	r.SetBroker(Broker{})
	if got := strings.Join(told, ","); got != "mailer,mailer," {
		t.Errorf("told of %q", got)
	}
}

// What is damaged, or from a later library, costs the group its configs and nobody else anything.
func TestDamagedConfigs(t *testing.T) {
	st := store.OpenMemory()
	var b store.Batch
	b.Set(store.GroupConfigKey("a"), []byte("{"))
	b.Set(store.GroupConfigKey("b"), encode(map[string]string{"share.delivery.count.limit": "7"}))
	b.Set(store.GroupConfigKey("c"), []byte(`{"version":2}`))
	b.Set(store.GroupConfigKey("d"), encode(map[string]string{"share.moon": "7"}))
	b.Set(store.GroupConfigKey("e"), encode(map[string]string{"share.delivery.count.limit": "seven"}))
	if err := st.Commit(&b); err != nil {
		t.Fatal(err)
	}
	r, logs := open(t, st)
	if got := strings.Join(r.List(), " "); got != "b" || r.Values("b").ShareDeliveries() != 7 || logs.Len() != 4 {
		t.Errorf("got %q, %d lines", got, logs.Len())
	}
	if err := r.Change(t.Context(), "a", false, set(map[string]string{"share.delivery.count.limit": "3"})); err != nil || r.Values("a").ShareDeliveries() != 3 {
		t.Errorf("set again: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(map[string]string{"share.auto.offset.reset": "by_duration:PT1H"}))
	f.Add([]byte(`{"version":1,"configs":{"share.delivery.count.limit":"5"}}`))
	f.Fuzz(func(t *testing.T, v []byte) {
		configs, err := decode(v)
		if err != nil {
			if !errors.Is(err, log.ErrCorruptValue) {
				t.Errorf("%q: %v", v, err)
			}
			return
		}
		again, err := decode(encode(configs))
		if err != nil || !maps.Equal(again, configs) {
			t.Errorf("%q became %q, error %v", configs, again, err)
		}
		for name := range configs {
			Broker{}.Group(configs).Value(name)
		}
	})
}
