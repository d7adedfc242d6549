package conform

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
)

// Every method with a context is among the calls of which the ends are tried, but those whose context bounds an end.
func TestCallsAreAll(t *testing.T) {
	named := make(map[string]bool)
	w := &world{kit: &kit{Broker: new(samsa.Broker)}}
	for _, c := range append(w.calls(), w.ownCalls()...) {
		named[c.name] = true
	}
	for _, of := range []any{w.Broker, samsa.Topics{}, samsa.Groups{}, samsa.Transactions{}, w.p, w.c, w.q, w.t} {
		typ := reflect.TypeOf(of)
		short := strings.TrimPrefix(strings.TrimPrefix(typ.String(), "*"), "samsa.")
		for i := range typ.NumMethod() {
			m := typ.Method(i)
			asks := m.Type.NumIn() > 1 && m.Type.In(1) == reflect.TypeFor[context.Context]()
			if name := short + "." + m.Name; asks != named[name] && m.Name != "Shutdown" {
				t.Errorf("%s: has a context %t, is tried %t", name, asks, named[name])
			}
		}
	}
}

// Names are used once, and are one word each: patterns and pages take them apart.
func TestNames(t *testing.T) {
	seen := make(map[string]bool)
	for _, a := range areas {
		for _, p := range a.promises {
			name := a.name + "/" + p.name
			if seen[name] || strings.Count(name, "/") != 1 || strings.ContainsAny(name, " *?[]|`") {
				t.Errorf("%q", name)
			}
			if seen[name] = true; !strings.HasSuffix(p.says, ".") {
				t.Errorf("%s says %q", name, p.says)
			}
		}
	}
}

// What is made of a promise that was tried.
func TestJudge(t *testing.T) {
	broken := []failure{{"x.go:1", "got this", errMine}, {"x.go:2", "and that", nil}}
	differs := &Difference{Promises: "a/*", Why: "it may"}
	for name, tt := range map[string]struct {
		d      *Difference
		broken []failure
		cell   string
		fails  bool
	}{
		"kept":                  {nil, nil, "yes", false},
		"broken":                {nil, broken, "broken", true},
		"broken as is said":     {differs, broken, "no: it may", false},
		"kept against the word": {differs, nil, "yes", true},
		"by that error":         {&Difference{Why: "it may", Err: errMine}, broken, "no: it may", false},
		"by another":            {&Difference{Why: "it may", Err: samsa.ErrUnsupported}, broken, "no: it may", true},
	} {
		t.Run(name, func(t *testing.T) {
			var told noted
			if cell := judge(&told, tt.d, "says", tt.broken); cell != tt.cell || told.failed != tt.fails {
				t.Errorf("%q, failed %t, want %q, %t", cell, told.failed, tt.cell, tt.fails)
			}
		})
	}
}

// noted is a test that notes whether it has failed.
type noted struct {
	testing.TB
	failed bool
}

func (n *noted) Helper()               {}
func (n *noted) Logf(string, ...any)   {}
func (n *noted) Error(...any)          { n.failed = true }
func (n *noted) Errorf(string, ...any) { n.failed = true }

// A promise fails by any failure, and ends at a fatal one, with what it has opened closed.
func TestTry(t *testing.T) {
	var b *samsa.Broker
	p := &Place{Open: func(context.Context, Options) (_ *samsa.Broker, err error) {
		b, err = samsa.Open("", samsa.Options{InMemory: true})
		return b, err
	}}
	broken := try(t, p, "conform-run", "a/b", func(k *kit) {
		k.topic(1)
		k.equal("this", 1, 2)
		k.is(samsa.ErrClosed, samsa.ErrClosed)
		k.must(errMine)
		k.Errorf("goes on")
	})
	if len(broken) != 2 || !strings.HasPrefix(broken[0].String(), "calls_test.go:") || broken[0].err != nil || !errors.Is(broken[1].err, errMine) {
		t.Errorf("%v", broken)
	}
	if _, err := b.Topics().List(t.Context()); !errors.Is(err, samsa.ErrClosed) {
		t.Errorf("the broker is open: %v", err)
	}
}

// A place writes its column, and leaves those of others alone.
func TestTables(t *testing.T) {
	report := func(place, but string) *Report {
		r := &Report{place: place, cells: make(map[string]string)}
		for _, a := range areas {
			for _, p := range a.promises {
				r.set(a.name+"/"+p.name, kept)
			}
		}
		if but != "" {
			r.set(but, "no: it may")
		}
		return r
	}
	table := func(page string, reports ...*Report) string {
		t.Helper()
		page, err := Table(page, reports...)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Table(page, reports...); err != nil || again != page {
			t.Errorf("it is another one the second time, %v", err)
		}
		return page
	}
	const end = "<!-- end of promises -->\nbehind\n"
	page := table("before\n<!-- promises: differences -->\n"+end, report("one", ""), report("two", "keys/set"))
	want := "before\n<!-- promises: differences -->\n\n| promise | | one | two |\n|---|---|---|---|\n| `keys/set` | " + keys[0].says + " | yes | no: it may |\n\n" + end
	if page != want {
		t.Errorf("got\n%s\nwant\n%s", page, want)
	}
	page = table(page, report("one", "keys/scan"))
	if !strings.Contains(page, "| yes | no: it may |") || !strings.Contains(page, "| no: it may | yes |") {
		t.Errorf("got\n%s", page)
	}
	page = table(page, report("one", ""), report("two", ""))
	if strings.Contains(page, "no: ") {
		t.Errorf("got\n%s", page)
	}
	page = table("<!-- promises: all -->\n"+end, report("one", ""), report("two", "keys/set"), report("three", ""))
	if !strings.Contains(page, "| yes | no: it may | yes |") || !strings.Contains(page, "| yes | yes | yes |") {
		t.Errorf("got\n%s", page)
	}
	for _, bad := range []string{"", "<!-- promises: all -->\n", end} {
		if _, err := Table(bad, report("one", "")); err == nil {
			t.Errorf("%q has a table", bad)
		}
	}
	some := &Report{place: "one", cells: map[string]string{"keys/set": kept}}
	if _, err := Table(page, some); err == nil {
		t.Error("a report of some promises has a table")
	}
}
