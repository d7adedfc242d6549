package kafka

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
)

// story is what a producer with a transactional id does, with an id, topics and a group of its own. What it is
// answered by Kafka and by us is compared.
type story struct {
	name string
	tell func(a *txnAsker)
}

var stories = []story{
	{"init", initStory},
	{"init of what is wrong", badInitStory},
	{"init over an open one", initOverStory},
	{"nothing open", nothingOpenStory},
	{"not added", notAddedStory},
	{"add", addStory},
	{"old epoch", oldEpochStory},
	{"epoch of the future", futureEpochStory},
	{"not its id", notItsIDStory},
	{"unknown id", unknownIDStory},
	{"empty id", emptyIDStory},
	{"produce", produceStory},
	{"end again", endAgainStory},
	{"end again 5", endAgain5Story},
	{"offsets", offsetsStory},
	{"offsets of what is wrong", badOffsetsStory},
	{"time-out", timeOutStory},
	{"fetch", fetchStory},
	{"admin", adminStory},
	{"marker by hand", markerStory},
	{"coordinator", coordinatorStory},
	{"deleted topic", deletedTopicStory},
	{"deleted records", deletedRecordsStory},
}

func initStory(a *txnAsker) {
	for version := range int16(6) {
		a.note(fmt.Sprint("version ", version), a.init(version, nil, 60_000), a.now)
	}
	before := a.now
	a.note("go on", a.init(4, &before, 60_000), a.now)
	a.note("go on again", a.init(4, &before, 60_000), a.now)
	older := producer{before.ID, before.Epoch - 1}
	a.note("go on from an older epoch", a.init(4, &older, 60_000), a.now)
	code, p := a.initOnce(4, nil, nil, 60_000)
	a.note("without an id", code, p)
	code, p = a.initOnce(4, nil, &p, 60_000)
	a.note("without an id, go on", code, p)
}

func badInitStory(a *txnAsker) {
	a.begin(time.Minute)
	now := a.now
	for _, version := range []int16{3, 4, 5} {
		a.note(fmt.Sprint("an epoch of the future ", version), a.init(version, &producer{now.ID, now.Epoch + 1}, 60_000))
		a.note(fmt.Sprint("a foreign id ", version), a.init(version, &producer{now.ID + 500, 0}, 60_000))
		a.note(fmt.Sprint("an id without an epoch ", version), a.init(version, &producer{now.ID, -1}, 60_000))
		a.note(fmt.Sprint("an epoch without an id ", version), a.init(version, &producer{-1, 0}, 60_000))
	}
	for _, ms := range []int32{0, -1, 900_001, 900_000} {
		a.note(fmt.Sprint("time-out ", ms), a.init(4, nil, ms))
	}
	none := ""
	code, _ := a.initOnce(4, &none, nil, 60_000)
	a.note("empty id", code)
	new := a.id + "-new"
	code, p := a.initOnce(4, &new, &producer{now.ID, 3}, 60_000)
	a.note("a new id that says it has been there", code, p)
}

func initOverStory(a *txnAsker) {
	a.begin(time.Minute)
	a.produced(a.out, "x")
	code := a.init(4, nil, 60_000)
	a.note("at once", code)
	if code != 0 {
		code = a.soon(func() int16 { return a.init(4, nil, 60_000) })
	}
	a.note("then", code, a.now)
	a.settled()
	a.note("state", a.state(a.id))
	a.note("has aborted", a.fetch(a.out, 1, 0))
	a.produced(a.out, "y")
	before := a.now
	a.note("go on over an open one", a.soon(func() int16 { return a.init(4, &before, 60_000) }), a.now)
	a.settled()
	a.note("has aborted", a.fetch(a.out, 0, 0))
}

func nothingOpenStory(a *txnAsker) {
	ends := func(when string) {
		for version := range int16(5) {
			a.note(fmt.Sprintf("%s, commit %d", when, version), a.end(version, true))
		}
		a.note(when+", abort 4", a.end(4, false))
		if a.level < 2 {
			return
		}
		a.note(when+", commit 5", a.end(5, true))
		before := a.now
		a.note(when+", abort 5", a.end(5, false), a.now.ID == before.ID, a.now.Epoch-before.Epoch)
		a.settled()
	}
	a.begin(time.Minute)
	ends("new")
	a.note("state", a.state(a.id))
	a.produced(a.out, "x")
	a.ended(5, true)
	if a.level >= 2 {
		a.note("abort 5 after a commit", a.end(5, false))
	}
	a.begin(time.Minute)
	ends("begun again")
}

func notAddedStory(a *txnAsker) {
	a.begin(time.Minute)
	for _, version := range []int16{3, 8, 9, 10, 11} {
		a.note(fmt.Sprint("produce ", version), a.produce(version, a.out, "x"))
	}
	for _, version := range []int16{0, 3, 4} {
		a.note(fmt.Sprint("offsets ", version), a.offsets(version, 1))
	}
	a.note("verify 4", a.add(4, a.out))
	a.note("verify 5", a.add(5, a.out))
	a.added(a.in)
	a.note("another is added, produce 11", a.produce(11, a.out, "x"))
	a.note("another is added, verify 5", a.add(5, a.in, a.out))
	if a.level >= 2 {
		a.note("produce 12", a.produce(12, a.out, "x"))
		a.note("then produce 11", a.produce(11, a.out, "x"))
		a.note("offsets 5", a.offsets(5, 1))
		a.note("then offsets 3", a.offsets(3, 1))
	}
	a.note("describe", a.described())
	if a.level < 2 {
		a.note("produce 12", a.produce(12, a.out, "x"))
	}
}

func addStory(a *txnAsker) {
	a.begin(time.Minute)
	a.note("unknown topic", a.add(3, a.in, "nowhere", a.out))
	a.note("state", a.state(a.id))
	for version := range int16(4) {
		a.note(fmt.Sprint("add ", version), a.add(version, a.in))
	}
	a.note("nothing", a.add(3))
	a.note("verify", a.add(4, a.in))
	a.note("state", a.state(a.id))
	for version := range int16(5) {
		a.note(fmt.Sprint("group ", version), a.addOffsets(version, a.group))
	}
	a.note("empty group", a.addOffsets(3, ""))
	a.note("describe", a.described())
	a.ended(3, true)
	a.note("then", a.described())
	a.note("empty partitions have markers", a.fetch(a.in, 1, 0))
}

// known are the versions that clients use at the level of the feature: implicit and later ones only from level 2 on.
func (a *txnAsker) known(versions []int16, implicit int16) []int16 {
	return slices.DeleteFunc(versions, func(v int16) bool { return a.level < 2 && v >= implicit })
}

// outdated is what is answered a producer that is not the one that its id has now.
func (a *txnAsker) outdated() {
	for _, version := range a.known([]int16{9, 11, 12}, 12) {
		a.note(fmt.Sprint("produce ", version), a.produce(version, a.out, "old"))
	}
	for _, version := range []int16{1, 2, 3} {
		a.note(fmt.Sprint("add ", version), a.add(version, a.out))
		a.note(fmt.Sprint("group ", version), a.addOffsets(version, a.group))
	}
	a.note("verify", a.add(4, a.out))
	for _, version := range a.known([]int16{3, 4, 5}, 5) {
		a.note(fmt.Sprint("offsets ", version), a.offsets(version, 1))
	}
	for _, version := range a.known([]int16{1, 2, 3, 4, 5}, 5) {
		a.note(fmt.Sprint("commit ", version), a.end(version, true))
		a.note(fmt.Sprint("abort ", version), a.end(version, false))
	}
}

func oldEpochStory(a *txnAsker) {
	a.begin(time.Minute)
	a.produced(a.out, "x")
	a.ended(5, true)
	old := a.now
	a.begin(time.Minute)
	a.produced(a.out, "y")
	a.now, a.seq[a.out] = old, 0
	a.outdated()
	a.begin(time.Minute)
	a.settled()
	a.note("stored", a.fetch(a.out, 0, 0))
}

func futureEpochStory(a *txnAsker) {
	a.begin(time.Minute)
	a.produced(a.out, "x")
	a.now.Epoch++
	a.seq[a.out] = 0
	a.outdated()
}

func notItsIDStory(a *txnAsker) {
	a.begin(time.Minute)
	a.now.ID += 700
	a.outdated()
}

func unknownIDStory(a *txnAsker) {
	a.begin(time.Minute)
	a.id += "-unknown"
	a.outdated()
	a.note("state", a.state(a.id))
}

func emptyIDStory(a *txnAsker) {
	a.begin(time.Minute)
	a.id = ""
	a.outdated()
	a.note("state", a.state(a.id))
}

func produceStory(a *txnAsker) {
	a.begin(time.Minute)
	send := func(what string, version, acks int16, id *string, b log.Batch) {
		if a.level < 2 {
			version = min(version, 11)
		}
		code, at := a.send(version, acks, id, a.out, b)
		a.note(what, code, fmt.Sprint("at ", at))
	}
	send("transactional, without an id", 12, -1, nil, a.batch(transactional, a.now, 0, "x"))
	send("transactional, without an id 9", 9, -1, nil, a.batch(transactional, a.now, 0, "x"))
	code, _ := a.send(11, -1, &a.id, a.in, a.batch(transactional, producer{-1, -1}, -1, "x"))
	a.note("transactional, without a producer", code)
	send("not transactional, with an id", 12, -1, &a.id, a.batch(0, producer{-1, -1}, -1, "plain"))
	addFirst := func() {
		if a.level < 2 {
			a.added(a.out)
		}
	}
	addFirst()
	send("acks 1", 12, 1, &a.id, a.batch(transactional, a.now, 0, "one"))
	send("again", 12, -1, &a.id, a.batch(transactional, a.now, 0, "one"))
	send("a gap", 12, -1, &a.id, a.batch(transactional, a.now, 5, "gap"))
	send("not transactional, in an open one", 12, -1, &a.id, a.batch(0, a.now, 1, "in"))
	send("not transactional, in an open one, without an id", 12, -1, nil, a.batch(0, a.now, 1, "in"))
	send("a marker", 12, -1, &a.id, log.Marker(a.now.ID, a.now.Epoch, true, time.Now().UnixMilli()))
	a.note("state", a.state(a.id))
	a.note("stored", a.fetch(a.out, 0, 0))
	a.ended(5, true)
	addFirst()
	if a.level >= 2 {
		send("after the end, the old epoch", 12, -1, &a.id, a.batch(transactional, producer{a.now.ID, a.now.Epoch - 1}, 1, "late"))
	}
	send("after the end, a sequence that does not begin at 0", 12, -1, &a.id, a.batch(transactional, a.now, 1, "late"))
	send("not transactional, between", 12, -1, nil, a.batch(0, a.now, 0, "between"))
	send("after the end", 12, -1, &a.id, a.batch(transactional, a.now, 1, "two"))
	a.ended(4, true)
	a.added(a.out)
	send("the same epoch goes on", 11, -1, &a.id, a.batch(transactional, a.now, 2, "three"))
	a.note("stored", a.fetch(a.out, 0, 0))
}

func endAgainStory(a *txnAsker) {
	a.begin(time.Minute)
	for _, commit := range []bool{true, false} {
		a.added(a.out)
		a.ended(4, commit)
		a.note(fmt.Sprint(commit, " again 4"), a.end(4, commit), a.now)
		a.note(fmt.Sprint(commit, " otherwise 4"), a.end(4, !commit), a.now)
		a.note(fmt.Sprint(commit, " state"), a.described())
	}
	if a.level >= 2 {
		a.note("again 5", a.end(5, false))
	}
}

func endAgain5Story(a *txnAsker) {
	if a.level < 2 {
		return // nobody ends so
	}
	a.begin(time.Minute)
	for _, commit := range []bool{true, false} {
		a.produced(a.out, "x")
		before := a.now
		a.ended(5, commit)
		after := a.now
		a.note(fmt.Sprint(commit, " then"), after)
		a.now = before
		a.note(fmt.Sprint(commit, " again 5"), a.end(5, commit), a.now)
		a.now = before
		a.note(fmt.Sprint(commit, " otherwise 5"), a.end(5, !commit), a.now)
		a.now = before
		a.note(fmt.Sprint(commit, " again 4"), a.end(4, commit), a.now)
		a.now = after
		a.note(fmt.Sprint(commit, " state"), a.described())
	}
}

func offsetsStory(a *txnAsker) {
	a.begin(time.Minute)
	for i, commit := range []bool{true, false, true} {
		version := int16(5)
		if a.level < 2 {
			version = 4
			a.soon(func() int16 { return a.addOffsets(3, a.group) })
		}
		a.note("commits", a.soon(func() int16 { return a.offsets(version, int64(10+i)) }))
		a.note("pending, stable", a.fetchOffset(true))
		a.note("pending, not stable", a.fetchOffset(false))
		a.note("describe", a.described())
		a.ended(5, commit)
		a.waitStable()
		a.note(fmt.Sprint(commit, " then"), a.fetchOffset(true))
	}
	a.added(a.out)
	for _, version := range []int16{0, 1, 2, 3, 4} {
		a.note(fmt.Sprint("group not added ", version), a.offsets(version, 20))
	}
	a.addOffsets(3, a.group)
	for _, version := range []int16{0, 1, 2, 3, 4} {
		a.note(fmt.Sprint("commit ", version), a.offsets(version, int64(20+version)))
	}
	a.ended(3, true)
	a.waitStable()
	a.note("then", a.fetchOffset(true))
}

// waitStable waits until no offset is pending: Kafka moves them after the end is answered.
func (a *txnAsker) waitStable() {
	a.t.Helper()
	for begun := time.Now(); strings.Contains(a.fetchOffset(true), "UNSTABLE"); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			a.t.Fatalf("%s: offsets are pending for ever", a.story)
		}
	}
}

func badOffsetsStory(a *txnAsker) {
	a.begin(time.Minute)
	try := func(what string, edit func(*kmsg.TxnOffsetCommitRequest)) {
		for _, version := range a.known([]int16{3, 5}, 5) {
			if version == 3 {
				a.addOffsets(3, a.group)
			}
			a.note(fmt.Sprint(what, " ", version), a.offsets(version, 1, edit))
		}
	}
	try("a generation of an unknown group", func(r *kmsg.TxnOffsetCommitRequest) { r.Generation = 5 })
	try("generation 0 of an unknown group", func(r *kmsg.TxnOffsetCommitRequest) { r.Generation = 0 })
	try("a member of an unknown group", func(r *kmsg.TxnOffsetCommitRequest) { r.MemberID = "nobody" })
	try("a member and a generation", func(r *kmsg.TxnOffsetCommitRequest) { r.MemberID, r.Generation = "nobody", 3 })
	try("an instance", func(r *kmsg.TxnOffsetCommitRequest) { r.InstanceID = kmsg.StringPtr("one") })
	try("an unknown topic", func(r *kmsg.TxnOffsetCommitRequest) { r.Topics[0].Topic = "nowhere" })
	try("an unknown partition", func(r *kmsg.TxnOffsetCommitRequest) { r.Topics[0].Partitions[0].Partition = 9 })
	try("much metadata", func(r *kmsg.TxnOffsetCommitRequest) {
		r.Topics[0].Partitions[0].Metadata = kmsg.StringPtr(strings.Repeat("x", 4097))
	})
	try("a negative offset", func(r *kmsg.TxnOffsetCommitRequest) { r.Topics[0].Partitions[0].Offset = -5 })
	if a.level < 2 {
		return
	}
	a.note("empty group", a.offsets(5, 1, func(r *kmsg.TxnOffsetCommitRequest) { r.Group = "" }))
	a.note("state", a.state(a.id))
}

func timeOutStory(a *txnAsker) {
	a.begin(2 * time.Second) // that a slow machine has produced within
	a.produced(a.out, "slow")
	before := a.now
	for begun := time.Now(); a.state(a.id) != "CompleteAbort"; time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			a.t.Fatal("it never times out")
		}
	}
	a.note("describe", a.described())
	a.note("stored", a.fetch(a.out, 0, 0))
	a.outdated()
	a.now = before
	a.note("go on", a.init(4, &before, 60_000), a.now)
	a.begin(time.Minute)
	a.produced(a.out, "next")
	a.ended(5, true)
	a.note("stored", a.fetch(a.out, 1, 0))
}

// answers are what a broker answers at a level of the feature transaction.version.
func answers(t *testing.T, addr string, level int16, stories []story) (notes []note) {
	t.Helper()
	setLevel(dial(t, addr), level)
	run := fmt.Sprint(time.Now().UnixNano())
	for i, s := range stories {
		name := fmt.Sprintf("%d-%s", i, run)
		a := &txnAsker{asker: dial(t, addr), id: "id-" + name, in: "in-" + name, out: "out-" + name, group: "group-" + name,
			seq: map[string]int32{}, level: level}
		a.story, a.names = s.name, strings.NewReplacer("-"+name, "")
		a.create(a.in, a.out)
		a.coordinated()
		s.tell(a)
		notes = append(notes, a.notes...)
	}
	return notes
}

// setLevel sets the feature transaction.version.
func setLevel(a *asker, level int16) {
	a.t.Helper()
	req := kmsg.NewPtrUpdateFeaturesRequest()
	req.TimeoutMillis = 30_000
	u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
	u.Feature, u.MaxVersionLevel, u.UpgradeType = "transaction.version", level, 1
	if level == 0 {
		u.UpgradeType = 2 // a safe downgrade
	}
	req.FeatureUpdates = append(req.FeatureUpdates, u)
	if code := ask[*kmsg.UpdateFeaturesResponse](a, 1, req).ErrorCode; code != 0 {
		a.t.Fatalf("level %d: %s", level, codeName(code))
	}
}
