package samsatest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/probe"
)

const (
	traceEvents = 1000 // the newest are kept
	traceTexts  = 5    // records of a batch that are shown
	traceRunes  = 40   // of each
)

// Trace has the test say, if it fails, what the broker has done since: what was produced,
// fetched and committed, how groups were rebalanced, where faults have hit, in order. It goes
// on after a Restart.
func Trace(t TB, b *samsa.Broker) {
	t.Helper()
	c := controlOf(b)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.trace != nil {
		return
	}
	tr := &trace{began: time.Now()}
	c.trace = tr
	t.Cleanup(func() {
		t.Helper()
		if t.Failed() {
			t.Logf("%s", tr.text(t.Name()))
		}
	})
}

// trace keeps the newest events.
type trace struct {
	began time.Time

	mu     sync.Mutex // guards what follows
	events []event    // from at on, then from the beginning
	at     int
	lost   int
}

// event is a line.
type event struct {
	at   time.Duration
	kind string
	text string
	err  error
}

func (tr *trace) add(e event) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	e.at = time.Since(tr.began)
	if len(tr.events) < traceEvents {
		tr.events = append(tr.events, e)
		return
	}
	tr.events[tr.at] = e
	tr.at = (tr.at + 1) % traceEvents
	tr.lost++
}

// text renders the trace.
func (tr *trace) text(name string) string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	var s strings.Builder
	fmt.Fprintf(&s, "samsatest: what happened in %s:\n", name)
	if tr.lost > 0 {
		fmt.Fprintf(&s, "  ... %d events before that\n", tr.lost)
	}
	for i := range tr.events {
		e := tr.events[(tr.at+i)%len(tr.events)]
		line := fmt.Sprintf("  %-10s %-10s %s", "+"+short(e.at), e.kind, e.text)
		if e.err != nil {
			line += ": " + e.err.Error()
		}
		fmt.Fprintln(&s, strings.TrimRight(line, " "))
	}
	if len(tr.events) == 0 {
		fmt.Fprintln(&s, "  nothing")
	}
	return s.String()
}

// short has three digits or so.
func short(d time.Duration) string {
	for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond} {
		if d >= 10*unit {
			return d.Round(unit / 10).String()
		}
	}
	return d.Round(100 * time.Nanosecond).String()
}

func appendEvent(a probe.Appended) event {
	texts, n := appendTexts(a), a.Batch.Records()
	where := a.String()
	if a.Err == nil {
		where += "@" + offsets(a.BaseOffset, a.BaseOffset+int64(n))
	}
	return event{kind: "produce", text: by(fmt.Sprintf("%s %q", where, texts), a.Client), err: a.Err}
}

// appendTexts says what a batch holds: a few of its records, or how a transaction has ended.
func appendTexts(a probe.Appended) []string {
	if a.Batch.Control() {
		commit, err := a.Batch.Outcome()
		switch {
		case err != nil:
			return []string{err.Error()}
		case commit:
			return []string{"transaction committed"}
		}
		return []string{"transaction aborted"}
	}
	records, err := decode(nil, a.Batch, a.TopicPartition, 0)
	texts := Texts(records[:min(traceTexts, len(records))])
	for i := range texts {
		if r := []rune(texts[i]); len(r) > traceRunes {
			texts[i] = string(r[:traceRunes]) + "..."
		}
	}
	if err != nil {
		texts = append(texts, err.Error())
	}
	if n := a.Batch.Records(); n > traceTexts {
		texts = append(texts, fmt.Sprintf("and %d more", n-traceTexts))
	}
	return texts
}

func fetchEvent(f probe.Fetched) event {
	where := fmt.Sprintf("%s@%s", f.TopicPartition, offsets(f.From, max(f.To, f.From+1)))
	return event{kind: "fetch", text: by(where, f.Client), err: f.Err}
}

func commitEvent(m probe.Committed) event {
	var all []string
	for tp, o := range m.Offsets {
		all = append(all, fmt.Sprintf("%s@%d", tp, o))
	}
	slices.Sort(all)
	return event{kind: "commit", text: by(m.Group+" "+strings.Join(all, " "), or(m.Client, m.Member)), err: m.Err}
}

func ackEvent(a probe.Acknowledged) event {
	return event{kind: "ack", text: by(fmt.Sprintf("%s %s@%s", a.Group, a.TopicPartition, a.What), or(a.Client, a.Member)), err: a.Err}
}

func rebalanceEvent(r probe.Rebalanced) event {
	members := make(map[string]string, len(r.Members))
	for _, m := range r.Members {
		members[m.ID] = fmt.Sprint(or(m.Client, m.ID), assigned(m.Assignment))
	}
	text := fmt.Sprintf("%s %s generation %d", r.Group, r.State, r.Generation)
	for _, id := range slices.Sorted(maps.Keys(members)) {
		text += " " + members[id]
	}
	return event{kind: "rebalance", text: text}
}

// event is the line of a hit.
func (f *Fault) event(w probe.Work) event {
	text := f.name
	for _, tp := range w.Partitions {
		text += " " + tp.String()
	}
	if w.Group != "" {
		text += " " + w.Group
	}
	for _, group := range w.Groups {
		text += " " + group
	}
	return event{kind: "fault", text: by(text, or(w.Client, w.Member)), err: f.err}
}

func offsets(from, to int64) string {
	if to == from+1 {
		return fmt.Sprint(from)
	}
	return fmt.Sprintf("%d..%d", from, to-1)
}

func by(text, client string) string {
	if client == "" {
		return text
	}
	return text + " by " + client
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
