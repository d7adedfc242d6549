package log

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/internal/store"
)

// transactionalSpan is sequencedSpan of a transaction; the sequence is the producer's next in the log.
func transactionalSpan(t fataler, l *Log, n, id int64, epoch int16) Batch {
	t.Helper()
	next := l.StoredOf(id)
	if s := l.producers.known[id]; s != nil && s.epoch != epoch {
		next = 0
	}
	b := span(t, l.next, n)
	b[posAttributes+1] |= attrTransactional
	b.SetProducer(id, epoch, sequenceOf(next))
	return b
}

// play does what the committer does with the batches and markers of a story, and returns what the log says of those
// that it refuses. A word is one of
//
//	3         a batch of 3 records
//	a:3       a batch of 3 records of a transaction of producer a, or b, c, ...
//	a/2:3     the same in epoch 2
//	-a:3      a batch of 3 records of producer a, outside of a transaction
//	a+ a-     the transaction is committed, or aborted; a/2+ in epoch 2
func play(t fataler, l *Log, story string) string {
	t.Helper()
	var said []string
	for _, word := range strings.Fields(story) {
		if err := playWord(t, l, word); err != nil {
			said = append(said, verdict(-1, err))
		}
	}
	return strings.Join(said, " ")
}

func playWord(t fataler, l *Log, word string) error {
	t.Helper()
	var n int64
	if _, err := fmt.Sscanf(word, "%d", &n); err == nil && word[0] != '-' {
		stageSequenced(t, l, span(t, l.next, n))
		return nil
	}
	rest, plain := strings.CutPrefix(word, "-")
	id, epoch := int64(rest[0]-'a'), int16(0)
	rest = rest[1:]
	if _, err := fmt.Sscanf(rest, "/%d", &epoch); err == nil {
		rest = rest[2:]
	}
	if rest == "+" || rest == "-" {
		b := Marker(id, epoch, rest == "+", 1000)
		if err := l.CheckMarker(b); err != nil {
			return err
		}
		stageSequenced(t, l, b)
		return nil
	}
	if _, err := fmt.Sscanf(rest, ":%d", &n); err != nil {
		t.Fatalf("%q: %v", word, err)
	}
	b := transactionalSpan(t, l, n, id, epoch)
	if plain {
		b[posAttributes+1] &^= attrTransactional
	}
	if _, err := l.CheckProducer(b); err != nil {
		return err
	}
	stageSequenced(t, l, b)
	return nil
}

// committed is what ReadCommitted showed: offsets of batches, in brackets if they were aborted, and those of markers
// with "+" or "-".
func committed(t fataler, l *Log, from int64) string {
	t.Helper()
	var words []string
	_, err := l.ReadCommitted(from, nil, func(sb StoredBatch) bool {
		words = append(words, committedWord(t, sb))
		return true
	})
	if err != nil {
		return strings.Join(append(words, err.Error()), " ")
	}
	return strings.Join(words, " ")
}

// committedBackward is committed from the start of the log, read from its end.
func committedBackward(t fataler, l *Log) string {
	t.Helper()
	var words []string
	for before := l.LastStable(); before > l.Start(); {
		sb, base, err := l.ReadBefore(ReadCommitted, before, nil)
		if err != nil {
			return err.Error()
		}
		words, before = append(words, committedWord(t, sb)), base
	}
	slices.Reverse(words)
	return strings.Join(words, " ")
}

func committedWord(t fataler, sb StoredBatch) string {
	t.Helper()
	b := sb.Batch
	span := fmt.Sprintf("%d-%d", b.BaseOffset(), b.LastOffset())
	switch {
	case sb.Err != nil:
		return fmt.Sprintf("..%d!", sb.LastOffset)
	case sb.Aborted:
		return "[" + span + "]"
	case b.Control():
		commit, err := b.Outcome()
		if err != nil {
			t.Fatalf("marker at offset %d: %v", sb.LastOffset, err)
		}
		if commit {
			return fmt.Sprintf("%d+", sb.LastOffset)
		}
		return fmt.Sprintf("%d-", sb.LastOffset)
	}
	return span
}

// abortedWords are the aborted transactions of a range, as producer:first-last.
func abortedWords(t fataler, l *Log, from, to int64) string {
	t.Helper()
	txs, err := l.Aborted(from, to)
	if err != nil {
		return err.Error()
	}
	words := make([]string, len(txs))
	for i, tx := range txs {
		words[i] = fmt.Sprintf("%c:%d-%d", 'a'+byte(tx.ProducerID), tx.First, tx.Last)
	}
	return strings.Join(words, " ")
}

var transactionStories = []struct {
	name, story, said string
	stable, end       int64
	committed         string
	aborted           string
}{
	{"without transactions", "3 -a:2 1", "", 6, 6, "0-2 3-4 5-5", ""},
	{"open", "3 a:2 1", "", 3, 6, "0-2", ""},
	{"committed", "3 a:2 1 a+", "", 7, 7, "0-2 3-4 5-5 6+", ""},
	{"aborted", "3 a:2 1 a-", "", 7, 7, "0-2 [3-4] 5-5 6-", "a:3-6"},
	{"several batches in one", "a:1 a:1 a- a:1", "", 3, 4, "[0-0] [1-1] 2-", "a:0-2"},
	{"the first open one holds the offset back", "a:1 b:1 b- a:1 a+", "", 5, 5, "0-0 [1-1] 2- 3-3 4+", "b:1-2"},
	{"one behind another", "a:1 b:1 a-", "", 1, 3, "[0-0]", "a:0-2"},
	{"aborted ones that overlap", "a:1 b:1 a- b:1 b-", "", 5, 5, "[0-0] [1-1] 2- [3-3] 4-", "a:0-2 b:1-4"},
	{"nested, with the outer one committed", "a:1 b:1 b- b:1 b- a:1 a+", "", 7, 7, "0-0 [1-1] 2- [3-3] 4- 5-5 6+", "b:1-2 b:3-4"},
	{"one after the other of a producer", "a:1 a- a:1 a+ a:1 a-", "", 6, 6, "[0-0] 1- 2-2 3+ [4-4] 5-", "a:0-1 a:4-5"},
	{"an end of nothing", "a- 1 b+", "", 3, 3, "0- 1-1 2+", ""},
	{"an end again", "a:1 a- a- a+", "", 4, 4, "[0-0] 1- 2- 3+", "a:0-1"},
	{"plain batches between transactions", "-a:2 a:1 a- -a:1", "", 5, 5, "0-1 [2-2] 3- 4-4", "a:2-3"},
	{"a plain batch within one", "a:1 -a:1 a:1 a+", "invalid", 3, 3, "0-0 1-1 2+", ""},
	{"a marker of a higher epoch", "a:2 a/1- a/1:1 a:1", "fenced", 3, 4, "[0-1] 2-", "a:0-2"},
	{"a marker of an old epoch", "a/2:1 a/1- a/2+", "fenced", 2, 2, "0-0 1+", ""},
	{"a marker of an epoch that is not known", "a/5+ a/4:1 a/5:1", "fenced", 1, 2, "0+", ""},
}

func TestTransactions(t *testing.T) {
	for _, tt := range transactionStories {
		t.Run(tt.name, func(t *testing.T) {
			l := newLog(t)
			if got := play(t, l, tt.story); got != tt.said {
				t.Errorf("it says %q, want %q", got, tt.said)
			}
			for _, l := range []*Log{l, open(t, l.st)} {
				if l.LastStable() != tt.stable || l.End() != tt.end {
					t.Errorf("the log is stable up to %d of %d, want %d of %d", l.LastStable(), l.End(), tt.stable, tt.end)
				}
				if got := committed(t, l, 0); got != tt.committed || committedBackward(t, l) != got {
					t.Errorf("committed is %s, backward %s, want %s", got, committedBackward(t, l), tt.committed)
				}
				if _, _, err := l.ReadBefore(ReadCommitted, tt.stable+1, nil); !errors.Is(err, ErrOffsetOutOfRange) {
					t.Errorf("before %d: %v", tt.stable+1, err)
				}
				if got := abortedWords(t, l, 0, l.LastStable()); got != tt.aborted {
					t.Errorf("aborted is %q, want %q", got, tt.aborted)
				}
			}
		})
	}
}

// The process may die between any two steps: what is found is what the log knew, and the story goes on the same.
func TestTransactionsOverCrashes(t *testing.T) {
	for _, tt := range transactionStories {
		t.Run(tt.name, func(t *testing.T) {
			l := newLog(t)
			var said []string
			for _, word := range strings.Fields(tt.story) {
				if s := play(t, l, word); s != "" {
					said = append(said, s)
				}
				again := open(t, l.st)
				if got, want := fmt.Sprint(again.Producers(), again.LastStable()), fmt.Sprint(l.Producers(), l.LastStable()); got != want {
					t.Errorf("after %s it is %s, before %s", word, got, want)
				}
				l = again
			}
			if got := strings.Join(said, " "); got != tt.said || committed(t, l, 0) != tt.committed {
				t.Errorf("it says %q, committed is %s", got, committed(t, l, 0))
			}
		})
	}
}

// What is staged is decided for those who write, and invisible for those who read.
func TestTransactionsAreStagedUnseen(t *testing.T) {
	l := newLog(t, 2)
	var b store.Batch
	first, keys := l.Stage(&b, nil, transactionalSpan(t, l, 1, 0, 0), 1)
	if l.OpenSince(0) != 2 || l.OpenSince(1) != -1 || l.LastStable() != 2 {
		t.Errorf("open since %d, stable up to %d", l.OpenSince(0), l.LastStable())
	}
	end, keys := l.Stage(&b, keys, Marker(0, 0, false, 1), 1)
	if l.OpenSince(0) != -1 || l.LastStable() != 2 {
		t.Errorf("then open since %d, stable up to %d", l.OpenSince(0), l.LastStable())
	}
	l.StageProducers(&b, keys)
	if b.Len() != 4 {
		t.Errorf("%d operations, want two batches, a producer and an aborted transaction", b.Len())
	}
	commit(t, l.st, &b)
	if got := committed(t, l, 0); got != "0-1" {
		t.Errorf("committed is %s", got)
	}
	l.Applied(first)
	if l.LastStable() != 2 || l.End() != 3 {
		t.Errorf("stable up to %d of %d", l.LastStable(), l.End())
	}
	l.Applied(end)
	if got := committed(t, l, 0); got != "0-1 [2-2] 3-" || l.LastStable() != 4 {
		t.Errorf("committed is %s, stable up to %d", got, l.LastStable())
	}
}

func TestAbortedOfRanges(t *testing.T) {
	l := newLog(t)
	play(t, l, "a:5 b:5 b- a:5 a- 3 c:2 c-") // b: 5-10, a: 0-16, c: 20-22
	for _, tt := range []struct {
		from, to int64
		want     string
	}{
		{0, 23, "a:0-16 b:5-10 c:20-22"},
		{0, 5, "a:0-16"},
		{0, 6, "a:0-16 b:5-10"},
		{10, 20, "a:0-16 b:5-10"}, // the marker is of it
		{11, 20, "a:0-16"},
		{16, 17, "a:0-16"},
		{17, 20, ""},
		{17, 21, "c:20-22"},
		{23, 23, ""},
	} {
		if got := abortedWords(t, l, tt.from, tt.to); got != tt.want {
			t.Errorf("[%d, %d): %q, want %q", tt.from, tt.to, got, tt.want)
		}
	}
	for from, want := range map[int64]string{
		0: "[0-4] [5-9] 10- [11-15] 16- 17-19 [20-21] 22-", 7: "[5-9] 10- [11-15] 16- 17-19 [20-21] 22-", 21: "[20-21] 22-", 23: "",
	} {
		if got := committed(t, l, from); got != want {
			t.Errorf("committed from %d is %s, want %s", from, got, want)
		}
	}
}

// The log start may pass the beginning of a transaction that is open: it is stable up to there.
func TestLogStartPassesAnOpenTransaction(t *testing.T) {
	l := newLog(t)
	play(t, l, "2 a:2 2")
	for _, tt := range []struct {
		start, stable int64
		committed     string
	}{{1, 2, "0-1"}, {3, 3, ""}, {5, 5, ""}, {6, 6, ""}} {
		set(t, l.st, store.LogStartKey(ordersID), store.OffsetValue(tt.start))
		l.SetStart(tt.start)
		for _, l := range []*Log{l, open(t, l.st)} {
			if got := committed(t, l, tt.start); got != tt.committed || l.LastStable() != tt.stable || l.OpenSince(0) != 2 {
				t.Errorf("from %d: committed is %s, stable up to %d, open since %d", tt.start, got, l.LastStable(), l.OpenSince(0))
			}
		}
	}
	play(t, l, "a-")
	if got := committed(t, l, 6); got != "6-" || l.LastStable() != 7 {
		t.Errorf("in the end committed is %s, stable up to %d", got, l.LastStable())
	}
	if _, err := l.Aborted(5, 7); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Errorf("aborted from before the start: %v", err)
	}
}

// A producer with a transaction open is not forgotten.
func TestOpenTransactionIsRemembered(t *testing.T) {
	l := newLog(t)
	play(t, l, "a:1")
	used := l.Producers()[0].UsedAt
	if l.UnusedSince(0, used) || l.ForgetProducer(0, used) {
		t.Error("forgotten")
	}
	play(t, l, "a+")
	if used = l.Producers()[0].UsedAt; !l.UnusedSince(0, used) || !l.ForgetProducer(0, used) {
		t.Error("not forgotten")
	}
}

// What is known of a producer is damaged: whether it has a transaction open, the log tells.
func TestDamagedProducerOfATransaction(t *testing.T) {
	for _, tt := range []struct {
		story     string
		openSince int64
		committed string
	}{
		{"2 a:2", 2, "0-1"},
		{"a:1 a- a:1 a:1 1", 2, "[0-0] 1-"},
		{"a:1 a+", -1, "0-0 1+"},
		{"a:1 a+ -a:1", -1, "0-0 1+ 2-2"},
		{"b:1 a:1", 1, ""},
	} {
		t.Run(tt.story, func(t *testing.T) {
			l := newLog(t)
			play(t, l, tt.story)
			set(t, l.st, store.AppendProducerKey(nil, store.ProducerKey{PartitionID: ordersID, ID: 0}), []byte("damaged"))
			l = open(t, l.st)
			if got := committed(t, l, 0); got != tt.committed || l.OpenSince(0) != tt.openSince {
				t.Errorf("committed is %s, open since %d", got, l.OpenSince(0))
			}
			if said := play(t, l, "a/1+ a/1:1 a/1+"); said != "" || l.ProducerErr(0) != nil {
				t.Errorf("then it says %q, %v", said, l.ProducerErr(0))
			}
			if want := l.End(); strings.HasPrefix(tt.story, "b") != (l.LastStable() != want) {
				t.Errorf("stable up to %d of %d", l.LastStable(), want)
			}
		})
	}
}

// What is known of an aborted transaction is damaged: nobody takes its records, or others before its end, for committed.
func TestDamagedAborted(t *testing.T) {
	l := newLog(t)
	play(t, l, "1 a:1 b:1 a- b+ c:1 c- 1") // a: 1-3, c: 5-6
	key := store.AppendAbortedKey(nil, store.AbortedKey{PartitionID: ordersID, Marker: 3})
	whole, err := l.st.Get(key)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		v := append([]byte(nil), whole...)
		v[i] ^= 1
		set(t, l.st, key, v)
		_, rangeErr := l.Aborted(0, 5)
		_, readErr := l.ReadCommitted(0, nil, func(StoredBatch) bool { return true })
		damaged := l.Damaged()
		if !errors.Is(rangeErr, ErrCorruptValue) || !errors.Is(readErr, ErrCorruptValue) || len(damaged) != 1 {
			t.Errorf("byte %d: %v; %v; %v", i, rangeErr, readErr, damaged)
		}
	}
	set(t, l.st, key, []byte("damaged"))
	if got, want := committed(t, l, 0), "0-0 orders/1: transaction that ended at offset 3: corrupt value: aborted transaction: 64616d61676564"; got != want {
		t.Errorf("committed is %s, want %s", got, want)
	}
	if got := committed(t, l, 1); !strings.HasPrefix(got, "orders/1: transaction that ended at offset 3") {
		t.Errorf("within it, committed is %s", got)
	}
	if got := committedBackward(t, l); !strings.HasPrefix(got, "orders/1: transaction that ended at offset 3") {
		t.Errorf("backward, committed is %s", got)
	}
	if got := committed(t, l, 4); got != "4+ [5-5] 6- 7-7" {
		t.Errorf("behind it, committed is %s", got)
	}
	if _, err := l.Aborted(4, 8); err != nil {
		t.Errorf("behind it: %v", err)
	}
}

// More transactions than a reader learns of at a time, of many producers.
func TestManyAborted(t *testing.T) {
	l := newLog(t)
	var want []string
	for i := range 5 * abortedChunk {
		id := byte('a' + i%7)
		base := l.End()
		if i%3 == 0 {
			play(t, l, fmt.Sprintf("%c:1 1 %c+", id, id))
			want = append(want, fmt.Sprintf("%d-%d %d-%d %d+", base, base, base+1, base+1, base+2))
		} else {
			play(t, l, fmt.Sprintf("%c:1 1 %c-", id, id))
			want = append(want, fmt.Sprintf("[%d-%d] %d-%d %d-", base, base, base+1, base+1, base+2))
		}
	}
	for _, i := range []int{0, 1, abortedChunk, 4*abortedChunk + 1} {
		if got := committed(t, l, int64(3*i)); got != strings.Join(want[i:], " ") {
			t.Errorf("from %d it is %s", 3*i, got)
		}
	}
}

// One transaction is open while many others are aborted, and committed. What a reader knows at a time is bounded, and in
// both directions it is told the same as if there were few.
func TestManyAbortedBesideOneThatIsOpen(t *testing.T) {
	l := newLog(t)
	play(t, l, "z:1")
	want := []string{"0-0"}
	const many = 3 * mostAborted
	for i := range many {
		id, base := byte('a'+i%7), l.End()
		end, form := "-", "[%d-%d] %d%s"
		if i%5 == 0 {
			end, form = "+", "%d-%d %d%s"
		}
		play(t, l, fmt.Sprintf("%c:1 %c%s", id, id, end))
		want = append(want, strings.Fields(fmt.Sprintf(form, base, base, base+1, end))...)
	}
	base := l.End()
	play(t, l, "z:1 z+ a:1 a-")
	want = append(want, strings.Fields(fmt.Sprintf("%d-%d %d+ [%d-%d] %d-", base, base, base+1, base+2, base+2, base+3))...)
	for _, from := range []int{0, many, len(want) - 5} {
		if got := committed(t, l, int64(from)); got != strings.Join(want[from:], " ") {
			t.Errorf("from %d it is not what was played", from)
		}
	}
	w, most := l.abortedWindow(), 0
	_, err := l.Read(0, nil, func(sb StoredBatch) bool {
		aborted, _, err := w.has(sb.Batch)
		if err != nil || aborted != strings.HasPrefix(want[sb.LastOffset], "[") {
			t.Fatalf("%s is aborted: %t, %v", want[sb.LastOffset], aborted, err)
		}
		known := 0
		for _, txs := range w.known {
			known += len(txs)
		}
		most = max(most, known)
		if known != w.n {
			t.Fatalf("%d are known, and counted %d", known, w.n)
		}
		return true
	})
	if err != nil || most > mostAborted+1 || most < mostAborted/2 {
		t.Errorf("%d are known, %v", most, err)
	}
	for before := l.LastStable(); before > l.LastStable()-300; before-- {
		sb, _, err := l.ReadBefore(ReadCommitted, before, nil)
		if got := committedWord(t, sb); err != nil || got != want[before-1] {
			t.Errorf("before %d is %s, %v, want %s", before, got, err, want[before-1])
		}
	}
}

func TestIsolationOfTimes(t *testing.T) {
	l := newLog(t)
	play(t, l, "2 a:2 2") // times 1000 to 1050
	for iso, want := range map[Isolation]string{ReadUncommitted: "5 1050 true", ReadCommitted: "0 0 false"} {
		offset, ts, ok, err := l.OffsetForTime(iso, 1050)
		if got := fmt.Sprint(offset, ts, ok); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", iso, got, err, want)
		}
	}
	plain, _ := l.BytesFrom(ReadUncommitted, 0, math.MaxInt)
	stable, err := l.BytesFrom(ReadCommitted, 0, math.MaxInt)
	if want := len(span(t, 0, 2)); err != nil || stable != want || plain <= stable {
		t.Errorf("%d bytes of %d, %v, want %d", stable, plain, err, want)
	}
}

// Who reads ahead about transactions is not told of damage before it has come to it.
func TestDamagedAbortedIsToldLate(t *testing.T) {
	l := newLog(t)
	play(t, l, "a:1 a- a:1 a- a:1 a- a:1 a-")
	set(t, l.st, store.AppendAbortedKey(nil, store.AbortedKey{PartitionID: ordersID, Marker: 5}), []byte("damaged"))
	if got := committed(t, l, 0); !strings.HasPrefix(got, "[0-0] 1- [2-2] 3- orders/1: transaction that ended at offset 5: ") {
		t.Errorf("committed is %s", got)
	}
}
