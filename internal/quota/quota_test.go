package quota

import (
	"errors"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"pgregory.net/rapid"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func entity(t testing.TB, parts ...Part) Entity {
	e, err := NewEntity(parts...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Of all limits that could be a client's the one that says most about it counts.
func TestPrecedence(t *testing.T) {
	user, anyUser := Part{Type: User, Name: "alice"}, Part{Type: User, Default: true}
	client, anyClient := Part{Type: ClientID, Name: "app"}, Part{Type: ClientID, Default: true}
	entries := make(map[string]Entry)
	// From the weakest on, each is stronger than all before.
	for i, parts := range [][]Part{{anyClient}, {client}, {anyUser}, {anyUser, anyClient}, {anyUser, client}, {user}, {user, anyClient}, {user, client}} {
		e := entity(t, parts...)
		entries[e.key()] = Entry{e, Limits{ProduceBytes: float64(i + 1)}}
		value, _, ok := newTable(entries).Of(ProduceBytes, "alice", "app")
		if !ok || value != float64(i+1) {
			t.Errorf("with %v: %v, %t", e, value, ok)
		}
	}
	table := newTable(entries)
	if _, _, ok := table.Of(FetchBytes, "alice", "app"); ok {
		t.Error("another limit")
	}
	_, a, _ := table.Of(ProduceBytes, "alice", "app")
	_, b, _ := table.Of(ProduceBytes, "alice", "other")
	_, c, _ := table.Of(ProduceBytes, "bob", "other")
	if a == b || b == c {
		t.Errorf("%s, %s and %s share", a, b, c)
	}
	shared := newTable(map[string]Entry{"user;": {entity(t, anyUser), Limits{ProduceBytes: 1}}})
	_, a, _ = shared.Of(ProduceBytes, "alice", "app")
	if _, b, _ = shared.Of(ProduceBytes, "alice", "other"); a != b {
		t.Errorf("%s and %s are one user", a, b)
	}
}

// Whoever is still for as long as it is told takes no more than its limit in the long run, and whoever takes less is never told.
func TestLimitsHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Float64Range(1, 1e9).Draw(t, "limit")
		table := newTable(map[string]Entry{"user;": {Entity{{Type: User, Default: true}}, Limits{ProduceBytes: limit}}})
		var m Meters
		began := time.Unix(1000, 0)
		now, taken, most := began, 0.0, 0.0
		for range rapid.IntRange(1, 200).Draw(t, "requests") {
			n := rapid.Float64Range(0, 5*limit).Draw(t, "bytes")
			taken, most = taken+n, max(most, n)
			now = now.Add(m.Take(table, ProduceBytes, "a", "b", now, n)).Add(time.Millisecond)
		}
		// Samples are of a second, and begin when something is taken: a tenth more can be had.
		if allowed := 1.1*limit*(now.Sub(began)+Window+2*window).Seconds() + most; taken > allowed {
			t.Fatalf("took %v, %v are allowed", taken, allowed)
		}
		for range 100 {
			now = now.Add(time.Second)
		}
		for range 50 {
			if wait := m.Take(table, ProduceBytes, "a", "b", now, limit/2); wait > 0 {
				t.Fatalf("told to wait %v", wait)
			}
			now = now.Add(time.Second)
		}
	})
}

// The numbers are what Kafka's Rate and QuotaUtils say of 1000 a second.
func TestWaits(t *testing.T) {
	table := newTable(map[string]Entry{"user;": {Entity{{Type: User, Default: true}}, Limits{ProduceBytes: 1000, RequestPercent: 1}}})
	var m Meters
	now := time.Unix(1000, 0)
	for i, c := range []struct{ after, take, wait int64 }{ // in ms
		{0, 10000, 0}, {0, 1000, 1000}, {1000, 0, 1000}, {0, 500, 1500}, {2500, 3000, 4000}, {1700, 900, 5200}, {4000, 8000, 13200}, {3300, 100, 2000},
		{20000, 10000, 0}, {700, 1, 0},
	} {
		now = now.Add(time.Duration(c.after) * time.Millisecond)
		if got := m.Take(table, ProduceBytes, "a", "b", now, float64(c.take)); got.Milliseconds() != c.wait {
			t.Errorf("step %d: %v, want %v ms", i, got, c.wait)
		}
	}
	if got := m.Take(table, RequestPercent, "a", "b", now, 1e6); got != window {
		t.Errorf("a limit of time: %v", got)
	}
	now = now.Add(time.Minute)
	m.Take(table, ProduceBytes, "a", "b", now, 20_000)
	m.Return(table, ProduceBytes, "a", "b", now, 20_000)
	if got := m.Take(table, ProduceBytes, "a", "b", now, 10_000); got != 0 {
		t.Errorf("returned, and %v", got)
	}
}

// However many names clients give themselves, so many are known and no more.
func TestMetersAreBounded(t *testing.T) {
	table := newTable(map[string]Entry{"client-id;": {Entity{{Type: ClientID, Default: true}}, Limits{ProduceBytes: 1}}})
	var m Meters
	for i := range maxMeters + 1000 {
		m.Take(table, ProduceBytes, "a", string(rune(i)), time.Unix(0, 0), 1)
	}
	if n := len(m.all); n > maxMeters {
		t.Errorf("%d", n)
	}
}

func TestCheck(t *testing.T) {
	for what, parts := range map[string][]Part{
		"none": nil, "unknown": {{Type: "group", Name: "a"}}, "twice": {{Type: User, Name: "a"}, {Type: User, Name: "b"}}, "empty": {{Type: User}},
		"ip and user": {{Type: IP, Name: "10.0.0.1"}, {Type: User, Name: "a"}}, "no ip": {{Type: IP, Name: "10.0.0"}}, "no text": {{Type: User, Name: "\xff"}},
	} {
		if _, err := NewEntity(parts...); !errors.Is(err, log.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	user, ip := entity(t, Part{Type: User, Name: "a"}), entity(t, Part{Type: IP, Default: true})
	for _, c := range []struct {
		e     Entity
		name  string
		value float64
	}{{user, Connections, 1}, {ip, ProduceBytes, 1}, {user, "none", 1}, {user, ProduceBytes, 0}, {user, ProduceBytes, 1.5}, {user, FetchBytes, math.Inf(1)}, {user, RequestPercent, math.NaN()}, {ip, Connections, 1e10}} {
		if err := c.e.check(c.name, c.value); !errors.Is(err, log.ErrInvalid) {
			t.Errorf("%v %s %v: %v", c.e, c.name, c.value, err)
		}
	}
}

// Limits that were stored are there when the store is opened again.
func TestLimitsAreKept(t *testing.T) {
	st := store.OpenMemory()
	var end func()
	open := func() *Kept {
		c := writer.NewCommitter(st, zap.NewNop())
		end = c.Close
		k, err := Open(st, c, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	k := open()
	one, half := 1.0, 0.5
	alice, all := entity(t, Part{Type: User, Name: "alice"}), entity(t, Part{Type: ClientID, Default: true})
	if err := k.Change(t.Context(), Edit{Entity: alice, Limits: map[string]*float64{ProduceBytes: &one, RequestPercent: &half}}, Edit{Entity: all, Limits: map[string]*float64{FetchBytes: &one}}); err != nil {
		t.Fatal(err)
	}
	end()
	k = open()
	if v, _, ok := k.Now().Of(RequestPercent, "alice", "x"); !ok || v != half || len(k.Now().Entries()) != 2 {
		t.Errorf("%v", k.Now().Entries())
	}
	if err := k.Change(t.Context(), Edit{Entity: alice, Limits: map[string]*float64{ProduceBytes: nil, RequestPercent: nil}}); err != nil {
		t.Fatal(err)
	}
	end()
	var damage store.Batch
	damage.Set(store.QuotaKey("user;"), []byte("{damaged"))
	if err := st.Commit(&damage); err != nil {
		t.Fatal(err)
	}
	k = open()
	if e := k.Now().Entries(); len(e) != 1 || !k.Now().Has(FetchBytes) || k.Now().Has(ProduceBytes) {
		t.Errorf("%v", e)
	}
	end()
}

// What is kept of a client does not grow with its id, which it chooses, and clients with long ones are told apart.
func TestLongIDs(t *testing.T) {
	e := entity(t, Part{Type: ClientID, Default: true})
	table := newTable(map[string]Entry{e.key(): {e, Limits{RequestPercent: 1}}})
	long := strings.Repeat("\x01", math.MaxInt16-1)
	_, a, ok := table.Of(RequestPercent, "ANONYMOUS", long+"a")
	_, b, _ := table.Of(RequestPercent, "ANONYMOUS", long+"b")
	if _, again, _ := table.Of(RequestPercent, "ANONYMOUS", long+"a"); !ok || a == b || a != again {
		t.Error("two clients are one, or one is two")
	}
	if len(a) > 100 {
		t.Errorf("a client is kept by %d bytes", len(a))
	}
}

// The numbers are what Kafka's TokenBucket says of 2 a second.
func TestChanges(t *testing.T) {
	table := newTable(map[string]Entry{"user;": {Entity{{Type: User, Default: true}}, Limits{ControllerMutation: 2}}})
	var m Meters
	now := time.Unix(1000, 0)
	for i, c := range []struct {
		after  int64 // in ms
		n      float64
		strict bool
		wait   int64 // in ms
		ok     bool
	}{
		{0, 20, true, 0, true},    // of the 22 that there are at first
		{0, 10, true, 0, true},    // the last goes below
		{0, 1, true, 4000, false}, // 8 too many were made
		{0, 1, false, 4500, true}, // makes it 9
		{4400, 1, true, 100, false},
		{100, 1, true, 0, true},
		{600_000, 23, false, 500, true}, // it has been full and no more
	} {
		now = now.Add(time.Duration(c.after) * time.Millisecond)
		if wait, ok := m.Change(table, "a", "b", now, c.n, c.strict); wait.Milliseconds() != c.wait || ok != c.ok {
			t.Errorf("step %d: %v, %t, want %d ms, %t", i, wait, ok, c.wait, c.ok)
		}
	}
	if wait, ok := m.Change(nil, "a", "b", now, 1e9, true); wait != 0 || !ok {
		t.Errorf("without a limit: %v, %t", wait, ok)
	}
}

// Each address has its own limit, or the default; who waits as long as it is told connects, and what is refused does not count.
func TestConnects(t *testing.T) {
	entries := make(map[string]Entry)
	for _, c := range []struct {
		part  Part
		limit float64
	}{{Part{Type: IP, Default: true}, 1}, {Part{Type: IP, Name: "10.0.0.1"}, 2}, {Part{Type: IP, Name: "::FFFF:10.0.0.1"}, 9}, {Part{Type: IP, Name: "::1"}, 3}, {Part{Type: IP, Name: "0:0:0:0:0:0:0:1"}, 9}} {
		e := entity(t, c.part)
		entries[e.key()] = Entry{e, Limits{Connections: c.limit}}
	}
	table := newTable(entries)
	now := time.Unix(1000, 0)
	var m Meters
	for address, limit := range map[string]int{"10.0.0.1": 2, "10.0.0.2": 1, "::1": 3} {
		at := now
		for i := range 10 * limit { // so many in the time in which it is measured
			if wait := m.Connect(table, netip.MustParseAddr(address), at); wait != 0 {
				t.Fatalf("%s: connection %d is told to wait %v", address, i, wait)
			}
		}
		for range 100 {
			if wait := m.Connect(table, netip.MustParseAddr(address), at); wait == 0 || wait > window {
				t.Fatalf("%s: told to wait %v", address, wait)
			}
		}
		made := 0
		for range 1000 {
			wait := m.Connect(table, netip.MustParseAddr(address), at)
			if at = at.Add(wait); wait == 0 {
				made++
			}
		}
		if spent := at.Sub(now).Seconds(); float64(made) > 1.1*float64(limit)*(spent+10) {
			t.Errorf("%s: %d connections in %v s", address, made, spent)
		}
	}
	if wait := m.Connect(table, netip.Addr{}, now); wait != 0 {
		t.Errorf("who has no address: %v", wait)
	}
}
