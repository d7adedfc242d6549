package cluster_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster/kafkatest"
	"github.com/samsa-go/samsa/kafka"
)

// limited is a broker with quotas: one door for who sets them, and one for users.
type limited struct {
	t     *testing.T
	name  string
	admin *kgo.Client
	door  string
}

const limitedUsers = 40

func limitedUser(i int) string { return fmt.Sprint("user-", i) }

func limitedBrokers(t *testing.T) (kafkas, samsas *limited) {
	passwords := make(map[string]string)
	for i := range limitedUsers {
		passwords[limitedUser(i)] = "right"
	}
	k := kafkatest.New(t, kafkatest.Options{Secure: kafkatest.Secure{SASL: []string{"PLAIN"}, Users: passwords}})
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	users, err := kafka.UsersOf(b)
	if err != nil {
		t.Fatal(err)
	}
	for name, password := range passwords {
		if err := users.Set(t.Context(), name, password); err != nil {
			t.Fatal(err)
		}
	}
	var doors [2]string
	for i, o := range []kafka.Options{{}, {Security: kafka.Security{SASL: &kafka.SASL{Mechanisms: []string{"PLAIN"}}}}} {
		srv, err := kafka.Listen(b, "127.0.0.1:0", o)
		if err != nil {
			t.Fatal(err)
		}
		doors[i] = srv.Addr().String()
	}
	admin := func(addr string) *kgo.Client {
		cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RequestRetries(0))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cl.Close)
		return cl
	}
	return &limited{t, "Kafka", admin(k.Inside()[0]), k.Seeds()[0]}, &limited{t, "Samsa", admin(doors[0]), doors[1]}
}

// wire is a connection that hears what is said to it, and heeds nothing of it.
type wire struct {
	net.Conn
	client string
}

// connect returns a connection of a user who has logged in, without whatever counts against quotas but that.
func (l *limited) connect(user, client string) (*wire, error) {
	nc, err := net.Dial("tcp", l.door)
	if err != nil {
		return nil, err
	}
	l.t.Cleanup(func() { _ = nc.Close() })
	w := &wire{nc, client}
	handshake := kmsg.NewPtrSASLHandshakeRequest()
	handshake.Mechanism = "PLAIN"
	if _, err := w.ask(handshake, 1); err != nil {
		return nil, err
	}
	login := kmsg.NewPtrSASLAuthenticateRequest()
	login.SASLAuthBytes = []byte("\x00" + user + "\x00right")
	resp, err := w.ask(login, 2)
	if err == nil {
		err = kerr.ErrorForCode(resp.(*kmsg.SASLAuthenticateResponse).ErrorCode)
	}
	return w, err
}

func (w *wire) send(req kmsg.Request, version int16) error {
	req.SetVersion(version)
	_, err := w.Write(kmsg.NewRequestFormatter(kmsg.FormatterClientID(w.client)).AppendRequest(nil, req, 1))
	return err
}

func (w *wire) ask(req kmsg.Request, version int16) (kmsg.Response, error) {
	if err := w.send(req, version); err != nil {
		return nil, err
	}
	size := make([]byte, 4)
	if _, err := io.ReadFull(w, size); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(size))
	if _, err := io.ReadFull(w, body); err != nil {
		return nil, err
	}
	resp := req.ResponseKind()
	resp.SetVersion(version)
	if body = body[4:]; resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		body = body[1:] // no tags
	}
	return resp, resp.ReadFrom(body)
}

// limits is limits of one entity: its parts as "user=alice", "user" for the default; values, of which 0 removes one.
type limits struct {
	entity []string
	values map[string]float64
}

func (l *limited) alter(ctx context.Context, validateOnly bool, all ...limits) string {
	l.t.Helper()
	req := kmsg.NewPtrAlterClientQuotasRequest()
	req.ValidateOnly = validateOnly
	for _, one := range all {
		e := kmsg.NewAlterClientQuotasRequestEntry()
		for _, part := range one.entity {
			p := kmsg.NewAlterClientQuotasRequestEntryEntity()
			kind, name, named := strings.Cut(part, "=")
			if p.Type = kind; named {
				p.Name = &name
			}
			e.Entity = append(e.Entity, p)
		}
		for _, key := range slices.Sorted(maps.Keys(one.values)) {
			op := kmsg.NewAlterClientQuotasRequestEntryOp()
			op.Key, op.Value, op.Remove = key, one.values[key], one.values[key] == 0
			e.Ops = append(e.Ops, op)
		}
		req.Entries = append(req.Entries, e)
	}
	resp, err := req.RequestWith(ctx, l.admin)
	if err != nil {
		return "no answer"
	}
	var lines []string
	for _, r := range resp.Entries {
		lines = append(lines, fmt.Sprint(parts(r.Entity), " ", kerr.ErrorForCode(r.ErrorCode)))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// parts returns the parts of an entity of an answer, in order.
func parts(entity any) string {
	var all []string
	v := reflect.ValueOf(entity)
	for i := range v.Len() {
		text := v.Index(i).FieldByName("Type").String()
		if name := v.Index(i).FieldByName("Name"); !name.IsNil() {
			text += "=" + name.Elem().String()
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}

// describe finds quotas: of each component "user=alice", "user" for the default, or "user?" for any.
func (l *limited) describe(ctx context.Context, strict bool, components ...string) string {
	l.t.Helper()
	req := kmsg.NewPtrDescribeClientQuotasRequest()
	req.Strict = strict
	for _, text := range components {
		c := kmsg.NewDescribeClientQuotasRequestComponent()
		kind, name, named := strings.Cut(text, "=")
		c.EntityType, c.MatchType = kind, kmsg.QuotasMatchTypeDefault
		if named {
			c.MatchType, c.Match = kmsg.QuotasMatchTypeExact, &name
		} else if kind, anyone := strings.CutSuffix(kind, "?"); anyone {
			c.EntityType, c.MatchType = kind, kmsg.QuotasMatchTypeAny
		} else if kind, odd := strings.CutSuffix(kind, "!"); odd {
			c.EntityType, c.MatchType = kind, 9
		}
		req.Components = append(req.Components, c)
	}
	resp, err := req.RequestWith(ctx, l.admin)
	if err != nil {
		return "no answer"
	}
	lines := []string{fmt.Sprint(kerr.ErrorForCode(resp.ErrorCode), resp.Entries == nil)}
	for _, e := range resp.Entries {
		var values []string
		for _, v := range e.Values {
			values = append(values, fmt.Sprint(v.Key, "=", v.Value))
		}
		slices.Sort(values)
		lines = append(lines, parts(e.Entity)+" "+strings.Join(values, ","))
	}
	slices.Sort(lines[1:])
	return strings.Join(lines, "\n")
}

// awaitQuotas waits until both have the same quotas: Kafka's controller says so before its broker knows.
func awaitQuotas(ctx context.Context, t *testing.T, kafkas, samsas *limited) {
	t.Helper()
	want := samsas.describe(ctx, false)
	for got := ""; got != want; got = kafkas.describe(ctx, false) {
		if ctx.Err() != nil {
			t.Fatalf("Kafka has\n%s\nSamsa has\n%s", got, want)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// quotaEdits are changes of quotas, one behind the other, right ones and wrong ones.
var quotaEdits = [][]limits{
	{{[]string{"user=a"}, map[string]float64{"producer_byte_rate": 1000, "consumer_byte_rate": 2000}}},
	{{[]string{"user"}, map[string]float64{"request_percentage": 12.5}}, {[]string{"client-id"}, map[string]float64{"controller_mutation_rate": 0.5}}},
	{{[]string{"user=a", "client-id=c"}, map[string]float64{"producer_byte_rate": 1}}, {[]string{"client-id", "user=a"}, map[string]float64{"producer_byte_rate": 2}}},
	{{[]string{"user", "client-id=c"}, map[string]float64{"producer_byte_rate": 3}}, {[]string{"user", "client-id"}, map[string]float64{"producer_byte_rate": 4}}},
	{{[]string{"ip=10.0.0.1"}, map[string]float64{"connection_creation_rate": 5}}, {[]string{"ip"}, map[string]float64{"connection_creation_rate": 6}}},
	{{[]string{"ip=::1"}, map[string]float64{"connection_creation_rate": 5}}, {[]string{"client-id=c d/é"}, map[string]float64{"consumer_byte_rate": 1e12}}},

	{{[]string{"user=a"}, map[string]float64{"nothing": 1}}, {[]string{"user=b"}, map[string]float64{"producer_byte_rate": 9}}},
	{{[]string{"user=a"}, map[string]float64{"producer_byte_rate": 1.5}}},
	{{[]string{"user=a"}, map[string]float64{"producer_byte_rate": -1}}},
	{{[]string{"user=a"}, map[string]float64{"request_percentage": -0.5}}},
	{{[]string{"user=a"}, map[string]float64{"producer_byte_rate": 1e19}}},
	{{[]string{"user=a"}, map[string]float64{"connection_creation_rate": 1}}},
	{{[]string{"ip=10.0.0.2"}, map[string]float64{"producer_byte_rate": 1}}},
	{{[]string{"ip=10.0.0.2"}, map[string]float64{"connection_creation_rate": 1.5}}},
	{{[]string{"ip=10.0.0.2"}, map[string]float64{"connection_creation_rate": 3e9}}},
	{{[]string{"ip=10.0.0.999"}, map[string]float64{"connection_creation_rate": 1}}},
	{{[]string{"ip=10.0.0.2", "user=a"}, map[string]float64{"connection_creation_rate": 1}}},
	{{[]string{"group=a"}, map[string]float64{"producer_byte_rate": 1}}},
	{{[]string{"user="}, map[string]float64{"producer_byte_rate": 1}}},
	{{[]string{"user=a", "user=b"}, map[string]float64{"producer_byte_rate": 1}}},
	{{nil, map[string]float64{"producer_byte_rate": 1}}},
	{{[]string{"user=nobody"}, nil}},

	{{[]string{"user=nobody"}, map[string]float64{"producer_byte_rate": 0}}},
	{{[]string{"user=a"}, map[string]float64{"producer_byte_rate": 0, "request_percentage": 3}}},
	{{[]string{"user=a", "client-id=c"}, map[string]float64{"producer_byte_rate": 0}}},
}

var quotaFilters = [][]string{
	{}, {"user=a"}, {"user=b"}, {"user"}, {"user?"}, {"client-id=c"}, {"client-id"}, {"client-id?"}, {"user=a", "client-id=c"}, {"user=a", "client-id"},
	{"user=a", "client-id?"}, {"user", "client-id=c"}, {"user", "client-id"}, {"user?", "client-id?"}, {"client-id?", "user"}, {"ip?"}, {"ip"}, {"ip=10.0.0.1"},
	{"ip=10.0.0.9"}, {"ip?", "user?"}, {"user?", "user"}, {"group?"}, {"?"}, {"user!"}, {"user="}, {"ip=no address"},
}

// What can be a quota, and which a filter finds, Samsa says as Kafka does.
func TestQuotasAreToldAsKafkas(t *testing.T) {
	kafkatest.Need(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	kafkas, samsas := limitedBrokers(t)
	for _, edit := range quotaEdits {
		for _, validateOnly := range []bool{true, false} {
			k, s := kafkas.alter(ctx, validateOnly, edit...), samsas.alter(ctx, validateOnly, edit...)
			if k != s {
				t.Errorf("%v, only to validate %t:\nKafka says\n%s\nSamsa says\n%s", edit, validateOnly, k, s)
			}
			awaitQuotas(ctx, t, kafkas, samsas)
		}
		for _, filter := range quotaFilters {
			for _, strict := range []bool{false, true} {
				if k, s := kafkas.describe(ctx, strict, filter...), samsas.describe(ctx, strict, filter...); k != s {
					t.Errorf("%v, strict %t:\nKafka finds\n%s\nSamsa finds\n%s", filter, strict, k, s)
				}
			}
		}
	}
}

// levels are the entities that have limits of a client, the strongest first; USER is its user, and CLIENT its id.
var levels = [][]string{
	{"user=USER", "client-id=CLIENT"}, {"user=USER", "client-id"}, {"user=USER"},
	{"user", "client-id=CLIENT"}, {"user", "client-id"}, {"user"}, {"client-id=CLIENT"}, {"client-id"},
}

// leveled is the limits of one name at levels of a client.
func leveled(user, client, limit string, values map[int]float64) (all []limits) {
	for _, i := range slices.Sorted(maps.Keys(values)) {
		var entity []string
		for _, part := range levels[i] {
			entity = append(entity, strings.NewReplacer("USER", user, "CLIENT", client).Replace(part))
		}
		all = append(all, limits{entity, map[string]float64{limit: values[i]}})
	}
	return all
}

// taken is what a client hears that has taken much.
type taken struct {
	still  int32 // in ms
	result string
}

// take has a new client of that name do what counts by a limit, far beyond a small one.
func (l *limited) take(limit, user, client string, topic [16]byte) (got taken) {
	l.t.Helper()
	w, err := l.connect(user, client)
	if err != nil {
		l.t.Fatalf("%s: %v", l.name, err)
	}
	return l.takeBy(w, limit, topic)
}

func (l *limited) takeBy(w *wire, limit string, topic [16]byte) (got taken) {
	l.t.Helper()
	ask := func(req kmsg.Request, version int16) kmsg.Response {
		resp, err := w.ask(req, version)
		if err != nil {
			l.t.Fatalf("%s: %v", l.name, err)
		}
		return resp
	}
	switch limit {
	case "producer_byte_rate":
		req := kmsg.NewPtrProduceRequest()
		rt, rp := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
		rt.TopicID, rp.Records = topic, recordBatch
		rt.Partitions, req.Acks, req.TimeoutMillis = append(rt.Partitions, rp), 1, 5000
		req.Topics = append(req.Topics, rt)
		resp := ask(req, 13).(*kmsg.ProduceResponse)
		return taken{resp.ThrottleMillis, fmt.Sprint(kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode))}
	case "consumer_byte_rate":
		for range 100 { // each is answered with what there is, until it is too much
			req := kmsg.NewPtrFetchRequest()
			rt, rp := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
			rt.TopicID, rp.PartitionMaxBytes = topic, 1<<20
			rt.Partitions, req.MaxBytes, req.SessionEpoch = append(rt.Partitions, rp), 1<<20, -1
			req.Topics = append(req.Topics, rt)
			resp := ask(req, 16).(*kmsg.FetchResponse)
			if got = (taken{resp.ThrottleMillis, fmt.Sprint(kerr.ErrorForCode(resp.ErrorCode), " something ", len(resp.Topics) > 0)}); got.still > 0 {
				return got
			}
		}
		return got
	case "request_percentage":
		for range 20 {
			resp := ask(metadataOf("t", nil), 12).(*kmsg.MetadataResponse)
			if got.still = resp.ThrottleMillis; got.still > 0 {
				return got
			}
		}
		return got
	}
	req := kmsg.NewPtrCreateTopicsRequest()
	for _, name := range []string{"x", "y"} {
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic, rt.NumPartitions, rt.ReplicationFactor = name, 100, 1
		req.Topics = append(req.Topics, rt)
	}
	req.ValidateOnly, req.TimeoutMillis = true, 5000
	resp := ask(req, 7).(*kmsg.CreateTopicsResponse)
	for _, t := range resp.Topics {
		got.result += fmt.Sprint(t.Topic, " ", kerr.ErrorForCode(t.ErrorCode), " ")
	}
	got.still = resp.ThrottleMillis
	return got
}

// Whoever takes much is told to be still, or not, as by Kafka: by the limit that says most about it, of each kind of limit.
func TestQuotasHoldAsKafkas(t *testing.T) {
	kafkatest.Need(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	kafkas, samsas := limitedBrokers(t)
	var ids [2][16]byte
	for i, l := range []*limited{kafkas, samsas} {
		adm := kadm.NewClient(l.admin)
		created, err := adm.CreateTopics(ctx, 1, 1, nil, "t")
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = created["t"].ID
	}
	small := map[string]float64{"producer_byte_rate": 1, "consumer_byte_rate": 20, "request_percentage": 1e-6, "controller_mutation_rate": 1}
	user := 0
	for _, limit := range []string{"producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"} {
		for level := range levels {
			name, client := limitedUser(user), fmt.Sprint("client-", user)
			user++
			values := map[int]float64{level: small[limit]}
			for other := range levels {
				if other > level && (other+level)%2 == 1 {
					values[other] = 1e9
				}
			}
			if level%3 == 2 && level > 0 { // and a stronger one that gives all
				values[level-1] = 1e9
			}
			edit := leveled(name, client, limit, values)
			k, s := kafkas.alter(ctx, false, edit...), samsas.alter(ctx, false, edit...)
			if k != s {
				t.Errorf("%v: Kafka says %s, Samsa %s", edit, k, s)
			}
			awaitQuotas(ctx, t, kafkas, samsas)
			want := samsas.take(limit, name, client, ids[1])
			got := kafkas.take(limit, name, client, ids[0])
			for (got.still > 0) != (want.still > 0) && ctx.Err() == nil { // it tells of quotas before they hold
				got = kafkas.take(limit, name, client, ids[0])
			}
			if (got.still > 0) != (want.still > 0) || got.result != want.result {
				t.Errorf("%v: Kafka says %+v, Samsa %+v", edit, got, want)
			}
			if testing.Verbose() {
				t.Logf("%v: Kafka says %+v, Samsa %+v", edit, got, want)
			}
			if want.still > 60_000 {
				kafkas.isMuted(name, client, func(w *wire) { kafkas.takeBy(w, limit, ids[0]) })
				samsas.isMuted(name, client, func(w *wire) { samsas.takeBy(w, limit, ids[1]) })
			}
			for i := range edit {
				edit[i].values = map[string]float64{limit: 0}
			}
			kafkas.alter(ctx, false, edit...)
			samsas.alter(ctx, false, edit...)
			awaitQuotas(ctx, t, kafkas, samsas)
		}
	}
	edit := limits{[]string{"ip=127.0.0.1"}, map[string]float64{"connection_creation_rate": 1}}
	kafkas.alter(ctx, false, edit)
	samsas.alter(ctx, false, edit)
	awaitQuotas(ctx, t, kafkas, samsas)
	for _, l := range []*limited{kafkas, samsas} {
		for { // until one is too many, which ends without an answer
			if _, err := l.connect(limitedUser(0), "many"); err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
					t.Errorf("%s: %v", l.name, err)
				}
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("%s takes all connections", l.name)
			}
		}
	}
}

// isMuted checks that a client, which take has made be still for minutes, is not heard while others are.
func (l *limited) isMuted(user, client string, take func(*wire)) {
	l.t.Helper()
	muted, err := l.connect(user, client)
	if err == nil {
		take(muted)
		err = muted.send(metadataOf("t", nil), 12)
	}
	if err != nil {
		l.t.Fatalf("%s: %v", l.name, err)
	}
	other, err := l.connect(limitedUser(limitedUsers-1), "other")
	for range 50 {
		if err == nil {
			_, err = other.ask(metadataOf("t", nil), 12)
		}
	}
	if err != nil {
		l.t.Fatalf("%s: %v", l.name, err)
	}
	_ = muted.SetReadDeadline(time.Now().Add(time.Millisecond))
	if n, err := muted.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		l.t.Errorf("%s answers who is to be still: %v", l.name, err)
	}
}
