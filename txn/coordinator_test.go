package txn

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
)

// A transaction is seen in all partitions and groups at once, by one commit of the store.
func TestCommitIsOneCommit(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		p := h.init("t")
		h.must(h.AddPartitions(ctx, "t", p, tp("a", 0), tp("b", 1)))
		h.must(h.AddOffsets(ctx, "t", p, "g"))
		h.must(h.produce("t", p, tp("a", 0), "x", false))
		h.must(h.produce("t", p, tp("b", 1), "y", false))
		h.must(h.CommitOffsets(ctx, "t", p, false, "g", commits(tp("c", 0), 7)))
		h.wantCommitted(tp("a", 0), "")
		h.wantOffset("g", tp("c", 0), -1)
		if got := h.groups.Pending("g"); len(got) != 1 || got[0] != tp("c", 0) {
			t.Errorf("pending: %v", got)
		}
		before := h.st.commit
		now, err := h.End(ctx, "t", p, EndOptions{Commit: true})
		if err != nil || now != p || h.st.commit != before+1 {
			t.Fatalf("%v, %v, in %d commits", now, err, h.st.commit-before)
		}
		h.wantCommitted(tp("a", 0), "x ")
		h.wantCommitted(tp("b", 1), "y ")
		h.wantOffset("g", tp("c", 0), 7)
		if got := h.groups.Pending("g"); len(got) != 0 {
			t.Errorf("pending: %v", got)
		}
		h.reopen()
		h.wantCommitted(tp("b", 1), "y ")
		h.wantOffset("g", tp("c", 0), 7)
		d, err := h.Describe("t")
		if err != nil || d.State != CompleteCommit || len(d.Partitions)+len(d.Groups) != 0 {
			t.Errorf("%+v, %v", d, err)
		}
	})
}

// transaction.version 2: nothing is added before, and the epoch rises with each end.
func TestImplicitTransaction(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		p := h.init("t")
		for i, commit := range []bool{true, false, true} {
			h.must(h.produce("t", p, tp("a", 0), fmt.Sprint(i), true))
			h.must(h.CommitOffsets(ctx, "t", p, true, "g", commits(tp("c", 0), int64(i))))
			h.must(h.produce("t", p, tp("b", 0), fmt.Sprint(i), true))
			h.reopen() // what is open is found again
			d, err := h.Describe("t")
			if err != nil || fmt.Sprint(d.State, d.Partitions, d.Groups) != "Ongoing [a/0 b/0] [g]" {
				t.Fatalf("%+v, %v", d, err)
			}
			old := p
			p, err = h.End(ctx, "t", p, EndOptions{Commit: commit, Bump: true})
			if err != nil || p.Epoch != old.Epoch+1 {
				t.Fatalf("%v, %v", p, err)
			}
			again, err := h.End(ctx, "t", old, EndOptions{Commit: commit, Bump: true})
			if err != nil || again != p {
				t.Fatalf("again: %v, %v", again, err)
			}
			h.wantErr("with the epoch before", h.produce("t", old, tp("a", 0), "late", true), log.ErrProducerFenced)
		}
		h.wantCommitted(tp("a", 0), "0 2 ")
		h.wantCommitted(tp("b", 0), "0 2 ")
		h.wantOffset("g", tp("c", 0), 2)
	})
}

// What is not of the transaction, or not its producer's, is refused and changes nothing.
func TestRefused(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		p := h.init("t")
		other := Producer{p.ID + 100, 0}
		late := Producer{p.ID, p.Epoch + 1}
		a := tp("a", 0)
		h.wantErr("produce without add", h.produce("t", p, a, "x", false), log.ErrNotInTransaction)
		h.wantErr("offsets without add", h.CommitOffsets(ctx, "t", p, false, "g", commits(a, 1)), log.ErrNotInTransaction)
		for _, implicit := range []bool{false, true} {
			h.wantErr("produce as another", h.produce("t", other, a, "x", implicit), log.ErrInvalidProducerID)
			h.wantErr("produce with a later epoch", h.produce("t", late, a, "x", implicit), log.ErrProducerFenced)
			h.wantErr("produce to nobody's id", h.produce("u", p, a, "x", implicit), log.ErrInvalidProducerID)
			h.wantErr("offsets as another", h.CommitOffsets(ctx, "t", other, implicit, "g", commits(a, 1)), log.ErrInvalidProducerID)
		}
		h.wantErr("add as another", h.AddPartitions(ctx, "t", other, a), log.ErrInvalidProducerID)
		h.wantErr("add to nobody's id", h.AddPartitions(ctx, "u", p, a), log.ErrInvalidProducerID)
		h.wantErr("add without an id", h.AddPartitions(ctx, "", p, a), log.ErrInvalidTransactionalID)
		h.wantErr("add what is not there", h.AddPartitions(ctx, "t", p, a, tp("z", 0)), log.ErrUnknownTopic)
		h.wantErr("add what is not there", h.AddPartitions(ctx, "t", p, tp("a", -1)), log.ErrUnknownPartition)
		h.wantErr("group without a name", h.AddOffsets(ctx, "t", p, ""), log.ErrInvalidGroup)
		h.wantErr("group that is no text", h.AddOffsets(ctx, "t", p, "\xff"), log.ErrInvalidGroup)
		h.wantErr("offsets of a group that is no text", h.CommitOffsets(ctx, "t", p, true, "\xff", commits(a, 1)), log.ErrInvalidGroup)
		h.wantErr("group with a later epoch", h.AddOffsets(ctx, "t", late, "g"), log.ErrProducerFenced)
		_, err := h.End(ctx, "t", p, EndOptions{Commit: true})
		h.wantErr("end of nothing", err, log.ErrInvalidTxnState)
		_, err = h.Init(ctx, "t", 0, nil)
		h.wantErr("no time", err, log.ErrInvalidTxnTimeout)
		_, err = h.Init(ctx, "t", 16*time.Minute, nil)
		h.wantErr("too much time", err, log.ErrInvalidTxnTimeout)
		_, err = h.Init(ctx, strings.Repeat("x", store.MaxTransactionalID+1), time.Minute, nil)
		h.wantErr("a long name", err, log.ErrInvalidTransactionalID)
		_, err = h.Init(ctx, "t", time.Minute, &other)
		h.wantErr("somebody else goes on", err, log.ErrProducerFenced)
		_, err = h.Describe("u")
		h.wantErr("describe", err, log.ErrUnknownTransactionalID)
		h.wantErr("fence", h.Fence(ctx, "u"), log.ErrUnknownTransactionalID)
		h.wantErr("abort", h.abort(tp("z", 0), p), log.ErrUnknownTopic)
		h.wantErr("abort", h.abort(a, Producer{-1, 0}), log.ErrInvalidProducerID)
		if d, err := h.Describe("t"); err != nil || d.State != Empty || d.Producer != p {
			t.Errorf("%+v, %v", d, err)
		}
		if l := h.List(); len(l) != 1 || l[0].ID != "t" || l[0].Producer != p {
			t.Errorf("%+v", l)
		}
		h.must(h.AddPartitions(ctx, "t", p, a))
		errs, err := h.Verify("t", p, a, tp("b", 0))
		if err != nil || errs[0] != nil || !errors.Is(errs[1], log.ErrNotInTransaction) {
			t.Errorf("%v, %v", errs, err)
		}
		_, err = h.Verify("t", other, a)
		h.wantErr("verify as another", err, log.ErrInvalidProducerID)
		if _, err := h.part(a).Read(0, nil, func(log.StoredBatch) bool { t.Error("something is stored"); return false }); err != nil {
			t.Error(err)
		}
	})
}

// What happens between Guard and the turn of a batch counts: it is decided when it has its turn.
func TestGuardedBatchWaits(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		p := h.init("t")
		guarded := func(to log.TopicPartition) *writer.Tx {
			tx := &writer.Tx{Appends: []writer.Append{{Partition: h.part(to), Batch: h.batch(p, 0, "x")}}}
			h.Guard(tx, "t", true)
			return tx
		}
		first, second := guarded(tp("a", 0)), guarded(tp("b", 0)) // either may be the one that opens it
		h.must(h.committer.Do(second))
		h.must(h.committer.Do(first))
		h.reopen()
		d, err := h.Describe("t")
		if err != nil || fmt.Sprint(d.State, d.Partitions) != "Ongoing [a/0 b/0]" {
			t.Errorf("%+v, %v", d, err)
		}
		late := guarded(tp("c", 0))
		_, err = h.End(ctx, "t", p, EndOptions{Commit: true})
		h.must(err)
		err = h.committer.Do(late)
		h.wantErr("its transaction has ended, and the epoch is the same", err, log.ErrConflict)
		if !log.Retriable(err) {
			t.Errorf("%v is not to be tried again", err)
		}
		h.must(h.committer.Do(guarded(tp("c", 0))))
		late = guarded(tp("c", 1))
		h.must(h.Fence(ctx, "t"))
		h.wantErr("another epoch", h.committer.Do(late), log.ErrProducerFenced)
		h.wantCommitted(tp("a", 0), "x ")
		h.wantCommitted(tp("c", 0), "")
	})
}

// The commit of offsets names a member and its generation, or nobody.
func TestOffsetsOfMembers(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		join := h.groups.Join(ctx, "g", group.JoinRequest{NewMemberID: "m", SessionTimeout: time.Hour, ProtocolType: "consumer", Protocols: []group.Protocol{{Name: "range"}}, Local: true})
		h.must(join.Err)
		p := h.init("t")
		for _, tt := range []struct {
			member     string
			generation int32
			want       error
		}{
			{"m", join.Generation, nil}, // though the group completes a rebalance
			{"", -1, nil},
			{"m", join.Generation + 1, log.ErrIllegalGeneration},
			{"m", -1, log.ErrIllegalGeneration},
			{"n", join.Generation, log.ErrUnknownMember},
		} {
			req := commits(tp("a", 0), 3)
			req.MemberID, req.Generation = tt.member, tt.generation
			h.wantErr(fmt.Sprint(tt), h.CommitOffsets(ctx, "t", p, true, "g", req), tt.want)
		}
		req := commits(tp("a", 0), 3)
		req.Generation = 1
		h.wantErr("no group", h.CommitOffsets(ctx, "t", p, true, "h", req), log.ErrUnknownGroup)
		h.wantErr("no topic", h.CommitOffsets(ctx, "t", p, true, "g", commits(tp("z", 0), 3)), log.ErrUnknownTopic)
		// Who is not a member of it any more does not matter at the end.
		if errs := h.groups.Leave("g", []group.LeaveMember{{MemberID: "m"}}); errs[0] != nil {
			t.Fatal(errs)
		}
		_, err := h.End(ctx, "t", p, EndOptions{Commit: true, Bump: true})
		h.must(err)
		h.wantOffset("g", tp("a", 0), 3)
	})
}

// Of two commits for a partition the later one stays, whenever the transaction ends (as Kafka has it).
func TestLaterOffsetStays(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		p, q := h.init("p"), h.init("q")
		a, b := tp("a", 0), tp("b", 0)
		h.must(h.CommitOffsets(ctx, "p", p, true, "g", commits(a, 1)))
		h.must(h.CommitOffsets(ctx, "p", p, true, "g", commits(b, 1)))
		time.Sleep(time.Second)
		h.must(h.groups.Commit(ctx, "g", commits(a, 2)))
		time.Sleep(time.Second)
		h.must(h.CommitOffsets(ctx, "q", q, true, "g", commits(b, 3)))
		for id, who := range map[string]Producer{"q": q, "p": p} {
			_, err := h.End(ctx, id, who, EndOptions{Commit: true})
			h.must(err)
		}
		h.wantOffset("g", a, 2)
		h.wantOffset("g", b, 3)
		h.reopen()
		h.wantOffset("g", a, 2)
		h.wantOffset("g", b, 3)
	})
}

// With a group, and with offsets that are deleted, those go that transactions would commit. A group with some is not
// forgotten.
func TestPendingOffsetsOfWhatGoes(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		p := h.init("t")
		a, b := tp("a", 0), tp("b", 0)
		pend := func() {
			t.Helper()
			for _, name := range []string{"g", "h", "i"} {
				h.must(h.CommitOffsets(ctx, "t", p, true, name, commits(a, 1)))
				h.must(h.CommitOffsets(ctx, "t", p, true, name, commits(b, 1)))
			}
		}
		end := func() {
			t.Helper()
			h.reopen()
			_, err := h.End(ctx, "t", p, EndOptions{Commit: true})
			h.must(err)
		}
		pend()
		h.groups.ExpireOffsets(time.Now().Add(365 * 24 * time.Hour))
		h.must(h.groups.Delete(ctx, "g"))
		if _, err := h.groups.DeleteOffsets(ctx, "h", a); err != nil {
			t.Fatal(err)
		}
		h.must(h.topics.Delete(ctx, "b"))
		if got := h.groups.Pending("i"); len(got) != 1 || got[0] != a {
			t.Errorf("pending in a topic that is gone: %v", got)
		}
		end()
		h.wantOffset("g", a, -1)
		h.wantOffset("h", a, -1)
		h.wantOffset("i", a, 1)
		if _, err := h.topics.Create(ctx, "b", topic.Config{Partitions: 2}); err != nil {
			t.Fatal(err)
		}
		h.wantOffset("i", b, -1)
		err := h.st.Scan(store.AllPendingRange(), func(e store.Entry) (bool, error) { t.Errorf("%q is left", e.Key); return true, nil })
		h.must(err)
	})
}

// A topic that is deleted takes its part of a transaction with it.
func TestTopicGoes(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		p := h.init("t")
		h.must(h.produce("t", p, tp("a", 0), "x", true))
		h.must(h.produce("t", p, tp("b", 0), "y", true))
		h.must(h.topics.Delete(ctx, "a"))
		h.reopen()
		_, err := h.End(ctx, "t", p, EndOptions{Commit: true})
		h.must(err)
		h.wantCommitted(tp("b", 0), "y ")
	})
}

// A partition that has seen a later epoch of the producer does not hold up the end.
func TestLaterEpochInPartition(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		p := h.init("t")
		h.must(h.AddPartitions(ctx, "t", p, tp("a", 0), tp("b", 0)))
		h.must(h.produce("t", p, tp("b", 0), "y", false))
		h.must(h.committer.Do(&writer.Tx{Appends: []writer.Append{{Partition: h.part(tp("a", 0)), Batch: log.Marker(p.ID, p.Epoch+5, false, 0)}}}))
		_, err := h.End(ctx, "t", p, EndOptions{Commit: true})
		h.must(err)
		h.wantCommitted(tp("b", 0), "y ")
	})
}

// A transaction that takes too long is aborted within a second or so, and its producer fenced; after a restart the
// time goes on.
func TestTimeOut(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		open := func(id string, timeout time.Duration) Producer {
			p, err := h.Init(ctx, id, timeout, nil)
			h.must(err)
			h.must(h.produce(id, p, tp("a", 0), id, true))
			h.must(h.CommitOffsets(ctx, id, p, true, "g", commits(tp("b", 0), 1)))
			return p
		}
		state := func(id string, want State) {
			t.Helper()
			synctest.Wait()
			if d, err := h.Describe(id); err != nil || d.State != want {
				t.Fatalf("%s: %+v, %v, want %s", id, d, err, want)
			}
		}
		p := open("short", 10*time.Second)
		open("long", time.Minute)
		open("other", 10500*time.Millisecond)
		time.Sleep(10*time.Second - time.Millisecond)
		state("short", Ongoing)
		time.Sleep(time.Millisecond)
		state("short", CompleteAbort)
		state("other", Ongoing)
		time.Sleep(time.Second)
		state("other", CompleteAbort)
		h.wantErr("fenced", h.produce("short", p, tp("a", 0), "late", true), log.ErrProducerFenced)
		time.Sleep(30 * time.Second)
		h.reopen()
		state("long", Ongoing)
		time.Sleep(18 * time.Second)
		state("long", Ongoing)
		time.Sleep(2 * time.Second)
		state("long", CompleteAbort)
		if got := h.groups.Pending("g"); len(got) != 0 {
			t.Errorf("pending: %v", got)
		}
		if part := h.part(tp("a", 0)); part.LastStable() != part.HighWatermark() {
			t.Errorf("%d of %d are stable", part.LastStable(), part.HighWatermark())
		}
		h.wantCommitted(tp("a", 0), "")
	})
}

// Nothing is aborted or forgotten where nothing may be written.
func TestReadOnly(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		p := h.init("t")
		h.init("idle")
		h.must(h.produce("t", p, tp("a", 0), "x", true))
		h.opts.ReadOnly = true
		h.reopen()
		before := h.st.commit
		time.Sleep(30 * 24 * time.Hour)
		synctest.Wait()
		if l := h.List(); len(l) != 2 || l[1].State != Ongoing || h.st.commit != before {
			t.Errorf("%+v, after %d commits", l, h.st.commit-before)
		}
	})
}

// An id is forgotten a week after its last use, and never with an open transaction. Neither is its producer in a
// partition.
func TestIDsExpire(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.Close()
		h.opts = Options{MaxTimeout: 30 * 24 * time.Hour}
		h.reopen()
		h.init("idle")
		h.init("used")
		long, err := h.Init(ctx, "long", 20*24*time.Hour, nil)
		h.must(err)
		h.must(h.produce("long", long, tp("a", 0), "x", true))
		time.Sleep(4 * 24 * time.Hour)
		p := h.init("used")
		time.Sleep(3*24*time.Hour + time.Minute)
		synctest.Wait()
		wantIDs := func(want string) {
			t.Helper()
			var ids []string
			for _, l := range h.List() {
				ids = append(ids, l.ID)
			}
			if got := strings.Join(ids, " "); got != want {
				t.Errorf("there are %q, want %q", got, want)
			}
		}
		wantIDs("long used")
		h.reopen()
		wantIDs("long used")
		h.must(h.producers.Expire(ctx, time.Now(), h.topics.Partitions()))
		if since := h.part(tp("a", 0)).Log().OpenSince(long.ID); since != 0 {
			t.Errorf("open since %d", since)
		}
		time.Sleep(5 * 24 * time.Hour)
		synctest.Wait()
		wantIDs("long")
		h.wantErr("forgotten", h.AddPartitions(ctx, "used", p, tp("a", 0)), log.ErrInvalidProducerID)
		_, err = h.End(ctx, "long", long, EndOptions{Commit: true})
		h.must(err)
		h.wantCommitted(tp("a", 0), "x ")
		time.Sleep(8 * 24 * time.Hour)
		synctest.Wait()
		wantIDs("")
	})
}

// Of many ids each is forgotten in its time, and time that brings nothing to the others costs nothing for them.
func TestManyIDsExpire(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		const ids = 1000
		used := make(map[string]time.Time)
		random := rand.New(rand.NewPCG(1, 2))
		for day := range 40 {
			if day%10 == 9 {
				h.reopen()
			}
			for range ids / 10 {
				id := fmt.Sprint("id-", random.IntN(ids))
				if random.IntN(8) == 0 {
					id = "busy"
				}
				h.must(h.produce(id, h.init(id), tp("a", 0), "x", true)) // which is aborted
				used[id] = time.Now().Add(time.Minute)
				time.Sleep(10 * time.Minute)
			}
			time.Sleep(8 * time.Hour)
			synctest.Wait()
			var known, want []string
			for _, l := range h.List() {
				known = append(known, l.ID)
			}
			for id, at := range used {
				if since := time.Since(at); since < defaultIDExpiry-time.Hour || since < defaultIDExpiry+time.Hour && slices.Contains(known, id) {
					want = append(want, id)
				}
			}
			if slices.Sort(want); !slices.Equal(known, want) {
				t.Fatalf("day %d: %d ids are known, want %d", day, len(known), len(want))
			}
		}
		if n := len(h.List()); n < ids/4 {
			t.Errorf("%d ids are no test", n)
		}
		if n := testing.AllocsPerRun(10, func() { h.look(ctx) }); n > 0 {
			t.Errorf("a look at nothing allocates %v times", n)
		}
	})
}

// Another one takes over: what was open is aborted.
func TestTakeOver(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		p := h.init("t")
		h.must(h.produce("t", p, tp("a", 0), "x", true))
		h.must(h.CommitOffsets(ctx, "t", p, true, "g", commits(tp("b", 0), 1)))
		q := h.init("t")
		if q.ID != p.ID || q.Epoch != p.Epoch+2 {
			t.Errorf("%s after %s", q, p)
		}
		h.must(h.produce("t", q, tp("a", 0), "y", true))
		h.wantErr("fenced", h.produce("t", p, tp("a", 0), "z", true), log.ErrProducerFenced)
		_, err := h.End(ctx, "t", p, EndOptions{Commit: true, Bump: true})
		h.wantErr("fenced", err, log.ErrProducerFenced)
		h.must(h.Fence(ctx, "t"))
		h.wantErr("fenced by hand", h.produce("t", q, tp("a", 0), "z", true), log.ErrProducerFenced)
		h.wantCommitted(tp("a", 0), "")
		h.wantOffset("g", tp("b", 0), -1)
	})
}

// The end of a transaction must fit into one commit of the store: what would be too much is refused when it is added.
func TestTooMuch(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		h.st.limits = store.Limits{Entries: 22, Bytes: 1 << 20}
		h.reopen()
		p := h.init("t")
		_, err := h.topics.Create(ctx, "many", topic.Config{Partitions: 8})
		h.must(err)
		var tps []log.TopicPartition
		for i := range int32(8) {
			tps = append(tps, tp("many", i))
		}
		h.wantErr("8 partitions", h.AddPartitions(ctx, "t", p, tps...), log.ErrTxTooLarge)
		for _, name := range []string{"a", "b"} {
			for i := range int32(2) {
				h.must(h.produce("t", p, tp(name, i), "x", true))
			}
		}
		req := commits(tp("c", 0), 1)
		h.must(h.CommitOffsets(ctx, "t", p, true, "g", req))
		h.must(h.CommitOffsets(ctx, "t", p, true, "h", req))
		h.must(h.CommitOffsets(ctx, "t", p, true, "i", req))
		h.wantErr("a fourth group", h.CommitOffsets(ctx, "t", p, true, "j", req), log.ErrTxTooLarge)
		h.wantErr("a fifth partition", h.produce("t", p, tp("c", 0), "x", true), log.ErrTxTooLarge)
		h.reopen()
		h.wantErr("after a restart", h.CommitOffsets(ctx, "t", p, true, "j", req), log.ErrTxTooLarge)
		p, err = h.End(ctx, "t", p, EndOptions{Commit: true, Bump: true})
		h.must(err)
		h.wantCommitted(tp("b", 1), "x ")
		h.wantOffset("i", tp("c", 0), 1)
		h.must(h.CommitOffsets(ctx, "t", p, true, "j", req))
		for i := range 18 {
			h.must(h.AddOffsets(ctx, "t", p, fmt.Sprint("group", i)))
		}
		h.wantErr("too many groups", h.AddOffsets(ctx, "t", p, "k"), log.ErrTxTooLarge)
	})
}

// As many partitions as fit end in one commit; 10,000 do not.
func TestManyPartitions(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		const n = 10_000
		_, err := h.topics.Create(ctx, "many", topic.Config{Partitions: n})
		h.must(err)
		var tps []log.TopicPartition
		for i := range int32(n) {
			tps = append(tps, tp("many", i))
		}
		p := h.init("t")
		fit := (h.st.Limits().Entries - 1) / writer.MarkerEntries
		h.wantErr("all", h.AddPartitions(ctx, "t", p, tps...), log.ErrTxTooLarge)
		h.wantErr("one too many", h.AddPartitions(ctx, "t", p, tps[:fit+1]...), log.ErrTxTooLarge)
		h.must(h.AddPartitions(ctx, "t", p, tps[:fit-1]...))
		h.must(h.produce("t", p, tps[fit-1], "x", true))
		h.wantErr("one more", h.produce("t", p, tps[fit], "x", true), log.ErrTxTooLarge)
		before := h.st.commit
		_, err = h.End(ctx, "t", p, EndOptions{})
		h.must(err)
		if n := h.st.commit - before; n != 1 {
			t.Errorf("it ended in %d commits", n)
		}
		if end := h.part(tps[0]).HighWatermark(); end != 1 {
			t.Errorf("the first has %d records", end)
		}
	})
}

// 10,000 ids with open transactions that all time out at once.
func TestManyIDs(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		const n = 10_000
		for i := range n {
			id := fmt.Sprint("t", i)
			p := h.init(id)
			h.must(h.AddPartitions(ctx, id, p, tp("a", 0), tp("b", 0)))
		}
		h.reopen()
		if l := h.List(); len(l) != n || l[7].State != Ongoing {
			t.Fatalf("%d ids", len(l))
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		for _, l := range h.List() {
			if l.State != CompleteAbort {
				t.Fatalf("%+v", l)
			}
		}
	})
}

// What is stored of an id is damaged: nobody can use it until a producer begins anew.
func TestDamagedID(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		p := h.init("t")
		h.must(h.produce("t", p, tp("a", 0), "x", true))
		h.must(h.CommitOffsets(ctx, "t", p, true, "g", commits(tp("b", 0), 1)))
		h.must(h.produce("t", p, tp("a", 0), "y", true))
		tx := &writer.Tx{}
		tx.Writes.Set(store.TransactionKey("t"), []byte("{"))
		h.must(h.committer.Do(tx))
		h.reopen()
		h.wantErr("produce", h.produce("t", p, tp("a", 0), "z", true), log.ErrCorruptValue)
		h.wantErr("add", h.AddPartitions(ctx, "t", p, tp("a", 0)), log.ErrCorruptValue)
		_, err := h.Describe("t")
		h.wantErr("describe", err, log.ErrCorruptValue)
		if l := h.List(); len(l) != 1 || !errors.Is(l[0].Damaged, log.ErrCorruptValue) {
			t.Errorf("%+v", l)
		}
		q := h.init("t")
		if q.ID == p.ID {
			t.Errorf("%s has the id of %s", q, p)
		}
		if got := h.groups.Pending("g"); len(got) != 0 {
			t.Errorf("pending: %v", got)
		}
		h.must(h.produce("t", q, tp("a", 0), "z", true))
		_, err = h.End(ctx, "t", q, EndOptions{Commit: true})
		h.must(err)
		h.wantCommitted(tp("a", 0), "") // behind what hangs
		h.must(h.abort(tp("a", 0), p))
		h.wantCommitted(tp("a", 0), "z ")
	})
}

// A damaged id is not forgotten, however long nobody begins with it; then it is, as any other.
func TestDamagedIDStays(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		tx := &writer.Tx{}
		tx.Writes.Set(store.TransactionKey("t"), []byte("{"))
		h.must(h.committer.Do(tx))
		h.reopen()
		time.Sleep(3 * defaultIDExpiry)
		synctest.Wait()
		if l := h.List(); len(l) != 1 || !errors.Is(l[0].Damaged, log.ErrCorruptValue) {
			t.Errorf("%+v", l)
		}
		h.init("t")
		time.Sleep(defaultIDExpiry + time.Minute)
		synctest.Wait()
		if l := h.List(); len(l) != 0 {
			t.Errorf("%+v", l)
		}
	})
}

// Who fences a damaged id makes it whole.
func TestDamagedIDFenced(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		p := h.init("t")
		h.must(h.CommitOffsets(ctx, "t", p, true, "g", commits(tp("b", 0), 1)))
		tx := &writer.Tx{}
		tx.Writes.Set(store.TransactionKey("t"), []byte("{"))
		h.must(h.committer.Do(tx))
		h.reopen()
		h.wantErr("unknown", h.Fence(ctx, "u"), log.ErrUnknownTransactionalID)
		h.must(h.Fence(ctx, "t"))
		h.reopen()
		if d, err := h.Describe("t"); err != nil || d.State != Empty || d.Producer.ID == p.ID {
			t.Errorf("%+v, error %v", d, err)
		}
		if got := h.groups.Pending("g"); len(got) != 0 {
			t.Errorf("pending: %v", got)
		}
	})
}

// An offset that is damaged cannot be committed, and the transaction can be aborted.
func TestDamagedOffset(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		p := h.init("t")
		h.must(h.CommitOffsets(ctx, "t", p, true, "g", commits(tp("b", 0), 1)))
		tx := &writer.Tx{}
		h.must(h.st.Scan(store.AllPendingRange(), func(e store.Entry) (bool, error) {
			tx.Writes.Set(append([]byte(nil), e.Key...), []byte("?"))
			return true, nil
		}))
		h.must(h.committer.Do(tx))
		h.reopen()
		_, err := h.End(ctx, "t", p, EndOptions{Commit: true})
		h.wantErr("commit", err, log.ErrCorruptValue)
		_, err = h.End(ctx, "t", p, EndOptions{})
		h.must(err)
		h.wantOffset("g", tp("b", 0), -1)
	})
}

// A store that fails: every call says so, and nothing is told to be done. When it is well again the transaction is open, and
// is aborted if its time is over.
func TestBrokenStore(t *testing.T) {
	for _, late := range []bool{false, true} {
		inHouse(t, func(t *testing.T, h *house) {
			p := h.init("t")
			h.must(h.produce("t", p, tp("a", 0), "x", true))
			h.st.broken = true
			_, err := h.End(ctx, "t", p, EndOptions{Commit: true})
			h.wantErr("end", err, log.ErrFailed)
			_, err = h.Init(ctx, "t", time.Minute, nil)
			h.wantErr("init", err, log.ErrFailed)
			h.wantErr("add", h.AddPartitions(ctx, "t", p, tp("b", 0)), log.ErrFailed)
			if late {
				time.Sleep(time.Hour)
				synctest.Wait()
			}
			h.wantCommitted(tp("a", 0), "")
			h.st.broken = false
			h.reopen()
			if late {
				synctest.Wait()
				_, err = h.End(ctx, "t", p, EndOptions{Commit: true})
				h.wantErr("commit", err, log.ErrProducerFenced)
				h.wantCommitted(tp("a", 0), "")
				return
			}
			_, err = h.End(ctx, "t", p, EndOptions{Commit: true})
			h.must(err)
			h.wantCommitted(tp("a", 0), "x ")
		})
	}
}

func TestClosed(t *testing.T) {
	inHouse(t, func(t *testing.T, h *house) {
		p := h.init("t")
		h.Close()
		h.Close()
		_, err := h.Init(ctx, "t", time.Minute, nil)
		h.wantErr("init", err, log.ErrClosed)
		_, err = h.End(ctx, "t", p, EndOptions{})
		h.wantErr("end", err, log.ErrClosed)
		h.wantErr("produce", h.produce("t", p, tp("a", 0), "x", true), log.ErrClosed)
	})
}

// Many producers at once, each with an id of its own, and offsets in one group: each sees what it has done.
func TestManyAtOnce(t *testing.T) {
	h := newHouse(t)
	defer h.shut()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			id, mine := fmt.Sprint("t", i), &house{t: t, st: h.st, Coordinator: h.Coordinator, seqs: make(map[string]int32)}
			p := mine.init(id)
			for n := range int64(50) {
				commit := n%3 != 0
				for _, to := range []log.TopicPartition{tp("a", 0), tp("b", int32(i%2))} {
					mine.must(mine.produce(id, p, to, "x", true))
				}
				mine.must(mine.CommitOffsets(ctx, id, p, true, "g", commits(tp("c", 0), n)))
				mine.must(mine.CommitOffsets(ctx, id, p, true, id, commits(tp("c", 1), n)))
				var err error
				if p, err = mine.End(ctx, id, p, EndOptions{Commit: commit, Bump: true}); err != nil {
					t.Error(err)
					return
				}
				if got := mine.offset(id, tp("c", 1)); commit != (got == n) {
					t.Errorf("%s: %d is committed: %t, and the group at %d", id, n, commit, got)
				}
			}
		})
	}
	wg.Wait()
	for _, p := range h.topics.Partitions() {
		if p.LastStable() != p.HighWatermark() {
			t.Errorf("%s: %d of %d are stable", p.TopicPartition(), p.LastStable(), p.HighWatermark())
		}
	}
	if got := len(strings.Fields(h.committed(tp("a", 0)))); got != 8*33 {
		t.Errorf("%d are committed", got)
	}
}
