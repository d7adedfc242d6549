// Package txn has Kafka's transactions: producers with a transactional id write to several partitions, and commit
// offsets of groups, all or nothing. Users import the module root.
//
// Transaction is the state machine of one transactional id, the coordinator's side: a value without goroutines,
// clock, lock or disk. Coordinator brings these to it.
package txn

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/samsa-go/samsa/log"
)

// Producer is who writes: a producer id, and the epoch that tells its owner from those before.
type Producer struct {
	ID    int64
	Epoch int16
}

// String returns the id and the epoch.
func (p Producer) String() string { return fmt.Sprintf("%d/%d", p.ID, p.Epoch) }

// maxEpoch is the highest epoch that a producer is given. One above it is left, to fence with.
const maxEpoch = math.MaxInt16 - 1

func exhausted(epoch int16) bool { return epoch >= maxEpoch }

// errNeedsID asks for the same call with an id that no producer ever had.
var errNeedsID = errors.New("a new producer id is needed")

const (
	noEpoch      int16 = -1
	noProducerID int64 = -1
)

var noProducer = Producer{noProducerID, noEpoch}

// Transaction is a transactional id: the producer that has it, and its transaction.
//
// The answers are Kafka's 4.4 (TransactionCoordinator, TransactionMetadata; docs/adr/0019), but where Kafka answers
// CONCURRENT_TRANSACTIONS: nothing is ever half done here. A call that fails changes nothing. Time comes in with
// each call. Calls on one Transaction must not overlap.
type Transaction struct {
	id       string
	producer Producer // noProducer before the first Init
	// lastEpoch is the epoch before the present one, if the producer that had it may go on with the present: it
	// asks again, and was not heard the first time. Else -1.
	lastEpoch int16
	// previous is the producer id before the last change of the epoch; it is another one after epochs ran out. -1
	// for none.
	previous int64
	timeout  time.Duration
	state    State
	started  time.Time // of the present or the last transaction; zero before the first of this producer
	used     time.Time // the last change
	// restored: the epoch may be behind one that the producer was told, if the power went before that was synced.
	restored bool

	partitions map[log.TopicPartition]struct{} // of the open transaction; empty unless Ongoing
	groups     map[string]struct{}             // whose offsets it commits; the same
}

// NewTransaction returns a transactional id that nobody has begun with.
func NewTransaction(id string) *Transaction {
	return &Transaction{
		id: id, producer: noProducer, lastEpoch: noEpoch, previous: noProducerID,
		partitions: make(map[log.TopicPartition]struct{}), groups: make(map[string]struct{}),
	}
}

// Clone returns a copy that changes apart.
func (t *Transaction) Clone() *Transaction {
	c := *t
	c.partitions, c.groups = maps.Clone(t.partitions), maps.Clone(t.groups)
	return &c
}

// ID returns the transactional id.
func (t *Transaction) ID() string { return t.id }

// Producer returns who has the id now.
func (t *Transaction) Producer() Producer { return t.producer }

// State returns where the id stands.
func (t *Transaction) State() State { return t.state }

// Effects is what a call brought about.
type Effects struct {
	// Persist is what is to be stored before the call is answered, nil for nothing.
	Persist *Snapshot
	// End is the transaction that has ended, nil for none. What it says is stored together with Persist.
	End *End
}

// End is the end of a transaction: a marker for each partition, and the offsets of the groups, or none.
type End struct {
	Commit     bool
	Marker     Producer // whom the markers name: who has a lower epoch is fenced by them
	Partitions []log.TopicPartition
	Groups     []string
}

// InitRequest begins a producer.
type InitRequest struct {
	Timeout  time.Duration // of its transactions; the caller has checked it
	Expected *Producer     // who asks to go on with a new epoch; nil for one who takes over from whomever (KIP-360)
	Fresh    int64         // a producer id that nobody ever had, or -1; then errNeedsID says that one is needed
}

// Init makes who asks the producer of the id, with an epoch that fences those before. An open transaction is
// aborted. Who asks again with what it had before gets the same answer again. Of an id that was restored nobody knows
// which epoch was told last, as ends do not wait for fsync: who takes it over gets a new producer id.
func (t *Transaction) Init(now time.Time, req InitRequest) (Effects, error) {
	old, expected := t.producer, req.Expected
	again, err := t.expects(expected)
	if err != nil {
		return Effects{}, err
	}
	next, steps := old, 1
	if t.state == Ongoing && expected == nil {
		steps = 2 // the first one fences, and nobody gets it
	}
	switch {
	case again:
	case old == noProducer, int(old.Epoch)+steps > maxEpoch, t.restored && expected == nil:
		if req.Fresh < 0 {
			return Effects{}, errNeedsID
		}
		next = Producer{ID: req.Fresh}
	default:
		next.Epoch += int16(steps)
	}
	var e Effects
	if t.state == Ongoing {
		e.End = t.close(false, Producer{old.ID, old.Epoch + 1})
	}
	if !again {
		t.producer, t.previous, t.lastEpoch = next, old.ID, noEpoch
		if expected != nil && old != noProducer {
			t.lastEpoch = expected.Epoch
		}
	}
	t.timeout, t.state, t.started, t.restored = req.Timeout, Empty, time.Time{}, false
	return t.changed(now, e), nil
}

// expects checks who asks to go on, nil for one who does not, and tells one who asks again.
func (t *Transaction) expects(p *Producer) (again bool, err error) {
	if p == nil || t.producer == noProducer {
		return false, nil
	}
	itsID := p.ID == t.producer.ID || p.ID == t.previous && exhausted(p.Epoch)
	again = p.Epoch != t.producer.Epoch && p.Epoch == t.lastEpoch
	if !itsID || p.Epoch != t.producer.Epoch && !again || again && t.state == Ongoing {
		return false, t.fenced(*p)
	}
	return again && t.producer.Epoch <= maxEpoch, nil // the last epoch is given to nobody
}

// Add takes partitions into the transaction, and opens it if there is none.
func (t *Transaction) Add(now time.Time, p Producer, tps ...log.TopicPartition) (Effects, error) {
	if err := t.owns(p); err != nil {
		return Effects{}, err
	}
	if t.state == Ongoing && !slices.ContainsFunc(tps, func(tp log.TopicPartition) bool { return !t.Has(tp) }) {
		return Effects{}, nil
	}
	t.open(now)
	for _, tp := range tps {
		t.partitions[tp] = struct{}{}
	}
	return t.changed(now, Effects{}), nil
}

// AddGroup takes a group into the transaction, which is to commit offsets of it, and opens it if there is none.
func (t *Transaction) AddGroup(now time.Time, p Producer, group string) (Effects, error) {
	if err := t.owns(p); err != nil {
		return Effects{}, err
	}
	if t.state == Ongoing && t.HasGroup(group) {
		return Effects{}, nil
	}
	t.open(now)
	t.groups[group] = struct{}{}
	return t.changed(now, Effects{}), nil
}

// Verify says whether the producer may write to a partition of the transaction: ErrNotInTransaction if it
// was not added.
func (t *Transaction) Verify(p Producer, tp log.TopicPartition) error {
	if err := t.owns(p); err != nil {
		return err
	}
	if !t.Has(tp) {
		return t.wrap(fmt.Errorf("%w: %s", log.ErrNotInTransaction, tp))
	}
	return nil
}

// VerifyGroup is Verify for offsets of a group.
func (t *Transaction) VerifyGroup(p Producer, group string) error {
	if err := t.owns(p); err != nil {
		return err
	}
	if !t.HasGroup(group) {
		return t.wrap(fmt.Errorf("%w: group %s", log.ErrNotInTransaction, group))
	}
	return nil
}

// EndRequest ends a transaction.
type EndRequest struct {
	Producer Producer
	Commit   bool
	// Bump raises the epoch with each end: transaction.version 2 (KIP-890). Then an abort needs no open transaction.
	Bump  bool
	Fresh int64 // as of InitRequest
}

// End ends the transaction, and leaves the producer with the epoch that it goes on with. The same request again is
// answered like the first. ErrInvalidTxnState says that there is nothing to end so, or that it has ended otherwise.
func (t *Transaction) End(now time.Time, req EndRequest) (Effects, error) {
	p, again := req.Producer, false
	itsEnd := req.Bump && t.lastEpoch == p.Epoch // and not that of one who has taken over
	rotated := itsEnd && t.previous == p.ID && exhausted(p.Epoch) && t.producer.Epoch == 0
	if itsEnd && (t.state == CompleteCommit || t.state == CompleteAbort) {
		again = rotated || t.producer == Producer{p.ID, p.Epoch + 1}
	}
	complete := CompleteAbort
	if req.Commit {
		complete = CompleteCommit
	}
	switch {
	case p.ID != t.producer.ID && !rotated:
		return Effects{}, t.notItsID(p)
	case p.Epoch != t.producer.Epoch && !again, t.producer.Epoch > maxEpoch: // the last epoch is given to nobody
		return Effects{}, t.fenced(p)
	case t.state == Ongoing, req.Bump && !again && !req.Commit:
	case t.state == complete && (again || !req.Bump):
		return Effects{}, nil
	default:
		return Effects{}, t.wrap(fmt.Errorf("%w: %s, with %s", log.ErrInvalidTxnState, t.state, outcome(req.Commit)))
	}
	if req.Bump && exhausted(p.Epoch) && req.Fresh < 0 {
		return Effects{}, errNeedsID
	}
	if t.state != Ongoing {
		t.started = now
	}
	e := Effects{End: t.close(req.Commit, t.producer)}
	if req.Bump {
		t.raise()
		e.End.Marker.Epoch++
		if exhausted(p.Epoch) {
			t.producer = Producer{ID: req.Fresh}
		}
	}
	t.state = complete
	return t.changed(now, e), nil
}

// Fence aborts the transaction, if one is open, and fences its producer.
func (t *Transaction) Fence(now time.Time) Effects {
	if t.state != Ongoing {
		return Effects{}
	}
	t.raise()
	e := Effects{End: t.close(false, t.producer)}
	t.state = CompleteAbort
	return t.changed(now, e)
}

// TimeOut is Fence for a transaction that has been open for too long.
func (t *Transaction) TimeOut(now time.Time) Effects {
	if end, ok := t.Deadline(); !ok || now.Before(end) {
		return Effects{}
	}
	return t.Fence(now)
}

// Deadline returns when TimeOut has something to do; false if no transaction is open.
func (t *Transaction) Deadline() (time.Time, bool) {
	return t.started.Add(t.timeout), t.state == Ongoing
}

// Unused returns since when the id has not been used; false while its transaction is open.
func (t *Transaction) Unused() (since time.Time, ok bool) { return t.used, t.state != Ongoing }

// Has reports whether the partition is in the open transaction.
func (t *Transaction) Has(tp log.TopicPartition) bool {
	_, ok := t.partitions[tp]
	return ok
}

// HasGroup reports whether the transaction commits offsets of the group.
func (t *Transaction) HasGroup(group string) bool {
	_, ok := t.groups[group]
	return ok
}

// open begins a transaction if none is open.
func (t *Transaction) open(now time.Time) {
	if t.state != Ongoing {
		t.state, t.started = Ongoing, now
	}
}

// close takes the partitions and groups out of the transaction.
func (t *Transaction) close(commit bool, marker Producer) *End {
	end := &End{
		Commit: commit, Marker: marker,
		Partitions: slices.SortedFunc(maps.Keys(t.partitions), compareTPs), Groups: slices.Sorted(maps.Keys(t.groups)),
	}
	clear(t.partitions)
	clear(t.groups)
	return end
}

func compareTPs(a, b log.TopicPartition) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

// raise raises the epoch.
func (t *Transaction) raise() {
	t.previous, t.lastEpoch = t.producer.ID, t.producer.Epoch
	t.producer.Epoch++
}

// changed completes the effects of a change.
func (t *Transaction) changed(now time.Time, e Effects) Effects {
	t.used = now
	s := t.Snapshot()
	e.Persist = &s
	return e
}

// owns refuses a producer that does not have the id, or not any more.
func (t *Transaction) owns(p Producer) error {
	switch {
	case p.ID != t.producer.ID:
		return t.notItsID(p)
	case p.Epoch != t.producer.Epoch || p.Epoch > maxEpoch: // the last one was given to nobody
		return t.fenced(p)
	}
	return nil
}

func (t *Transaction) notItsID(p Producer) error {
	if p.ID == t.previous {
		return t.fenced(p)
	}
	return t.wrap(fmt.Errorf("%w: %d", log.ErrInvalidProducerID, p.ID))
}

func (t *Transaction) fenced(p Producer) error {
	return t.wrap(fmt.Errorf("%w: producer %s, the id has %s", log.ErrProducerFenced, p, t.producer))
}

func (t *Transaction) wrap(err error) error { return fmt.Errorf("transactional id %s: %w", t.id, err) }

func outcome(commit bool) string {
	if commit {
		return "commit"
	}
	return "abort"
}
