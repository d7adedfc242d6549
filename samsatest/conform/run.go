package conform

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// A promise is what the API says of itself in one sentence.
type promise struct {
	name string // as "create", and with that of its area "topics/create"
	says string
	keep func(k *kit) // fails where it is broken
}

// An area is promises about one thing, in the order of the table.
type area struct {
	name     string
	promises []promise
}

// areas are all there are. The promises are in the files of this package.
var areas = []area{
	{"topics", topics}, {"partitions", partitions},
	{"produce", produces}, {"producer", producers},
	{"start", starts}, {"consumer", consumers}, {"seek", seeks}, {"loop", loops}, {"backward", backward},
	{"member", members}, {"commit", commits}, {"group", groups}, {"offsets", moves}, {"work", works},
	{"interceptors", interceptors},
	{"update", updates}, {"keys", keys}, {"table", ofTables},
	{"queue", queues}, {"delivery", deliveries},
	{"transactions", transactions}, {"snapshot", snapshots}, {"retention", retention}, {"stats", stats},
	{"reopen", reopens}, {"end", ends}, {"together", together},
}

// Run has t try every promise at a place. It fails for each that is broken without a Difference that says so, for each that is kept
// although one says that it is not, and for a Difference about nothing. The report says what was found, once Run returns.
func Run(t *testing.T, p Place) *Report {
	r := &Report{place: p.Name, cells: make(map[string]string)}
	for _, d := range p.Differences {
		if !d.about() {
			t.Errorf("%s differs in %q, which is no promise", p.Name, d.Promises)
		}
	}
	run := fmt.Sprintf("conform-%08x", rand.Uint32())
	t.Run(p.Name, func(t *testing.T) { // returns when all below it are done
		for _, a := range areas {
			for _, pr := range a.promises {
				name := a.name + "/" + pr.name
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					broken := try(t, &p, run, name, pr.keep)
					r.set(name, judge(t, p.difference(name), pr.says, broken))
				})
			}
		}
	})
	return r
}

// judge tells t what to make of a promise that was tried, and returns the cell of the table.
func judge(t testing.TB, d *Difference, says string, broken []failure) string {
	t.Helper()
	switch {
	case d == nil:
		for _, f := range broken {
			t.Error(f)
		}
		if len(broken) > 0 {
			t.Errorf("broken: %s", says)
			return "broken"
		}
		return kept
	case len(broken) == 0:
		t.Errorf("it is said to differ (%s), but this is kept: %s", d.Why, says)
		return kept
	case d.Err != nil && !errors.Is(broken[0].err, d.Err):
		t.Errorf("broken, as is said (%s), but not by the error %q: %s", d.Why, d.Err, broken[0])
	default:
		t.Logf("broken, as is said (%s): %s", d.Why, broken[0])
	}
	return "no: " + d.Why
}

// difference returns the first that is about a promise, nil if there is none.
func (p *Place) difference(name string) *Difference {
	for i := range p.Differences {
		if p.Differences[i].matches(name) {
			return &p.Differences[i]
		}
	}
	return nil
}

func (d *Difference) matches(name string) bool {
	is, err := path.Match(d.Promises, name)
	return is && err == nil
}

func (d *Difference) about() bool {
	for _, a := range areas {
		for _, pr := range a.promises {
			if d.matches(a.name + "/" + pr.name) {
				return true
			}
		}
	}
	return false
}

// A failure is where and how a promise was broken.
type failure struct {
	place string // file:line
	text  string
	err   error // that is in the text, if any
}

func (f failure) String() string { return f.place + ": " + f.text }

// failures are those of one promise. It is what a kit fails with, in the place of a testing.T, which could not take it back.
type failures struct {
	mu  sync.Mutex // guards all
	all []failure
}

// Errorf notes a failure. Everybody may call it.
func (fs *failures) Errorf(format string, args ...any) {
	f := failure{place: caller(), text: fmt.Sprintf(format, args...)}
	for _, a := range args {
		if err, ok := a.(error); ok && f.err == nil {
			f.err = err
		}
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.all = append(fs.all, f)
}

// Fatalf notes a failure and ends the goroutine, which is that of the promise or one of kit.goes.
func (fs *failures) Fatalf(format string, args ...any) {
	fs.Errorf(format, args...)
	runtime.Goexit()
}

// caller returns the place in a promise that has called a helper which has failed.
func caller() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		f, more := frames.Next()
		_, function := path.Split(f.Function)
		if !strings.HasPrefix(function, "conform.(*") {
			return fmt.Sprintf("%s:%d", path.Base(f.File), f.Line)
		}
		if !more {
			return "?"
		}
	}
}
