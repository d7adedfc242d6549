package console_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/console"
	"github.com/samsa-go/samsa/internal/api"
	"github.com/samsa-go/samsa/internal/fake"
	"github.com/samsa-go/samsa/samsatest"
)

// told is a kit that notes what it is told.
type told struct {
	api.Kit
	b      *samsa.Broker
	faults []api.NewFault
	did    []string
}

func (k *told) Broker() *samsa.Broker { return k.b }
func (k *told) Faults() (all []api.Fault) {
	for i, f := range k.faults {
		all = append(all, api.Fault{ID: int64(i), Text: fmt.Sprintf("<%s>", f.On), Hits: 3})
	}
	return all
}
func (k *told) Forks() []api.Fork { return nil }
func (k *told) NewFault(f api.NewFault) (api.Fault, error) {
	k.faults = append(k.faults, f)
	return api.Fault{}, nil
}
func (k *told) note(format string, args ...any) error {
	k.did = append(k.did, fmt.Sprintf(format, args...))
	return nil
}
func (k *told) ReleaseFault(id int64) error                    { return k.note("release %d", id) }
func (k *told) RemoveFault(id int64) error                     { return k.note("remove %d", id) }
func (k *told) Expire(_ context.Context, e api.Expire) error   { return k.note("expire %+v", e) }
func (k *told) Restart(_ context.Context, r api.Restart) error { return k.note("restart %q", r.Kill) }
func (k *told) Reset(context.Context) error                    { return k.note("reset") }

// controlled is a fake broker of whose control a kit is told.
type controlled struct {
	*told
	http.Handler
}

// A fake broker's faults and time are controlled from its page, which other brokers do not have.
func TestKit(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	k := &told{b: b}
	s := site{t, b, console.Handler(nil, console.Options{Write: true, Fake: controlled{k, api.KitHandler(k)}})}
	c, err := b.NewConsumer(t.Context(), samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, ClientID: "client"})
	s.no(err)
	defer func() { s.no(c.Close()) }()
	s.put(samsa.Record{Topic: "t"})
	_, err = c.Poll(t.Context()) // it has joined then
	s.no(err)
	s.sent("/kit", url.Values{"do": {"fault"}, "on": {"appends"}, "topic": {"t"}, "next": {"2"}, "act": {"fail"}, "with": {"ErrDiskFull"}, "answers": {"1"}})
	s.sent("/kit", url.Values{"do": {"fault"}, "on": {"requests"}, "client": {"c"}, "act": {"code"}, "with": {"6"}})
	s.sent("/kit", url.Values{"do": {"fault"}, "on": {"commits"}, "group": {"g"}, "act": {"delay"}, "with": {"200ms"}})
	s.sent("/kit", url.Values{"do": {"fault"}, "on": {"fetches"}, "act": {"hold"}})
	s.sent("/kit", url.Values{"do": {"fault"}, "on": {"joins"}, "transaction": {"*"}, "act": {"fail"}})
	want := []api.NewFault{
		{On: "appends", Topic: "t", Next: 2, Error: "ErrDiskFull", Answers: true}, {On: "requests", Client: "c", Code: 6},
		{On: "commits", Group: "g", Delay: api.Duration(200 * time.Millisecond)}, {On: "fetches", Hold: true}, {On: "joins", Transaction: "*", Fail: true},
	}
	if !reflect.DeepEqual(k.faults, want) {
		t.Errorf("faults %+v, want %+v", k.faults, want)
	}
	for _, form := range []url.Values{
		{"do": {"release"}, "id": {"1"}}, {"do": {"remove"}, "id": {"2"}}, {"do": {"expire"}, "group": {"g"}, "member": {"m"}},
		{"do": {"restart"}}, {"do": {"crash"}}, {"do": {"power"}}, {"do": {"reset"}, "sure": {"yes"}},
	} {
		s.sent("/kit", form)
	}
	if did := strings.Join(k.did, ", "); did != `release 1, remove 2, expire {Group:g Member:m Transaction:}, restart "", restart "crash", restart "power", reset` {
		t.Errorf("it did %s", did)
	}
	for _, wrong := range []url.Values{
		{"do": {"reset"}}, {"do": {"sing"}}, {"do": {"remove"}, "id": {"x"}}, {"do": {"fault"}, "act": {"delay"}, "with": {"long"}},
		{"do": {"fault"}, "act": {"code"}, "with": {"six"}}, {"do": {"fault"}, "act": {"fail"}, "next": {"x"}}, {"do": {"fault"}, "act": {"dance"}},
	} {
		if status, _, body := s.post("/kit", wrong); status != 400 {
			t.Errorf("%v: status %d\n%s", wrong, status, body)
		}
	}
	s.want("/kit", "&lt;appends&gt;", "Its session ends", "client-")
	s.want("/", `href="kit"`, "<b>fake</b>")
	if pages := s.crawl(""); pages["/kit"] == "" || inline.MatchString(pages["/kit"]) {
		t.Error("no link leads to the kit, or there is code in it")
	}
	s = newSite(t, console.Options{Write: true})
	if status, _, _ := s.ask("GET", "/kit"); status != 404 {
		t.Errorf("of a broker that is no fake: %d", status)
	}
	if strings.Contains(s.page("/"), "Test kit") {
		t.Error("a broker that is no fake offers the kit")
	}
}

// What the page of the kit is told befalls who uses the broker, and the other pages show the broker that there is now.
func TestKitOfAFake(t *testing.T) {
	k, err := fake.New(t.Context(), fake.Options{Prepare: func(ctx context.Context, b *samsa.Broker) error {
		return b.Topics().Create(ctx, "t", samsa.TopicConfig{})
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	}()
	s := site{t, k.Broker(), console.Handler(nil, console.Options{Write: true, Fake: k})}
	record := url.Values{"topic": {"t"}, "key_as": {"null"}, "value": {"v"}, "value_as": {"text"}, "headers_as": {"text"}}
	s.sent("/kit", url.Values{"do": {"fault"}, "on": {"appends"}, "topic": {"t"}, "next": {"1"}, "act": {"fail"}, "with": {"ErrDiskFull"}})
	if status, _, body := s.post("/produce", record); status != 503 || !strings.Contains(body, "disk") {
		t.Errorf("status %d:\n%s", status, body)
	}
	s.sent("/produce", record)
	s.sent("/kit", url.Values{"do": {"crash"}})
	if at, _, _ := s.rows("records?topic=t"); len(at) != 1 {
		t.Errorf("after a crash: %v", at)
	}
	s.sent("/kit", url.Values{"do": {"reset"}, "sure": {"yes"}})
	if at, _, _ := s.rows("records?topic=t"); len(at) != 0 {
		t.Errorf("after a reset: %v", at)
	}
	s.want("/", "<b>fake</b>")
	if status, _, _ := s.post("/kit", url.Values{"do": {"fault"}, "on": {"appends"}, "act": {"fail"}, "with": {"ErrOfNobody"}}); status != 400 {
		t.Errorf("an error that is not there: status %d", status)
	}
}
