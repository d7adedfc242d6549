package share

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
)

// letters returns "offset: message" of the dead letters that are in a topic.
func (h *house) letters(name string) string {
	h.t.Helper()
	ds, err := h.AcquireRecords(context.Background(), AcquireRequest{Key: key(name), Member: "m", MaxRecords: 1000})
	if err != nil {
		h.t.Fatal(err)
	}
	var out []string
	for _, d := range ds {
		message := string(d.Record.Headers[len(d.Record.Headers)-1].Value)
		out = append(out, fmt.Sprintf("%s: %s", d.Record.Headers[len(d.Record.Headers)-4].Value, strings.ToLower(message)))
	}
	return strings.Join(out, ", ")
}

// mixed is a partition's acknowledgements of all kinds: record 2 is released for the last time.
var mixed = []Ack{
	{First: 0, Last: 1, Types: []AckType{Accept, Reject}}, {First: 2, Last: 2, Types: []AckType{Release}, Reason: "busy"},
	{First: 3, Last: 4, Types: []AckType{Release, Renew}},
}

func mixedHouse(t *testing.T, h *house) {
	t.Helper()
	h.produce("t", "a", "b", "c", "d", "e")
	if _, err := h.AcquireRecords(t.Context(), AcquireRequest{Key: key("t"), Member: "m", MaxRecords: 3}); err != nil {
		t.Fatal(err)
	}
	h.wantErr("release", h.ack("m", Release, 0, 2), nil)
	h.want("all", h.get("m", 9), "0:ax2 1:bx2 2:cx2 3:d 4:e")
	synctest.Wait()
}

// What becomes of a partition's records at one time, dead letters and all, is one commit.
func TestOneCommit(t *testing.T) {
	play(t, Settings{DeadLetter: "dead", MaxDeliveries: 2}, func(t *testing.T, h *house) {
		mixedHouse(t, h)
		before := h.committer.Stats()
		h.wantErr("ack", h.Acknowledge(t.Context(), key("t"), "m", true, mixed...), nil)
		after := h.committer.Stats()
		if n := after.Commits - before.Commits; n != 1 || after.Records-before.Records != 2 || after.Syncs == before.Syncs {
			t.Errorf("%d commits, %d dead letters, %d fsyncs", n, after.Records-before.Records, after.Syncs-before.Syncs)
		}
		h.want("letters", h.letters("dead"), "1: offset rejected by client., 2: busy")
		h.want("what was released", h.get("m", 9), "3:dx2")
		h.shut()
		h.open()
		h.want("after a restart", h.get("m", 9), "4:ex2")
	})
}

// A dead letter that cannot be stored keeps nothing else from it.
func TestLettersThatCannotBeStored(t *testing.T) {
	play(t, Settings{DeadLetter: "nowhere", MaxDeliveries: 2}, func(t *testing.T, h *house) {
		mixedHouse(t, h)
		h.wantErr("ack", h.Acknowledge(t.Context(), key("t"), "m", false, mixed...), ErrDeadLetter)
		h.want("what was released", h.get("m", 9), "3:dx2")
		h.create("nowhere", topic.Config{})
		time.Sleep(minLettersPause)
		synctest.Wait()
		h.want("letters", h.letters("nowhere"), "1: offset rejected by client., 2: busy")
	})
}

// It is tried again ever less often; who comes meanwhile hears at once why, and when it can be stored at once, it is.
func TestLettersAreTriedAgain(t *testing.T) {
	play(t, Settings{DeadLetter: "nowhere", Lock: time.Hour}, func(t *testing.T, h *house) {
		h.produce("t", "a", "b", "c")
		h.want("first", h.get("m", 3), "0:a 1:b 2:c")
		h.wantErr("missing", h.ack("m", Reject, 0, 0), log.ErrUnknownTopic)
		time.Sleep(5 * time.Minute)
		began := time.Now()
		h.wantErr("still missing", h.ack("m", Reject, 1, 1), log.ErrUnknownTopic)
		h.create("nowhere", topic.Config{})
		h.wantErr("there", h.ack("m", Reject, 2, 2), nil)
		if took := time.Since(began); took > 0 {
			t.Errorf("who rejects has waited %s", took)
		}
		for h.size("nowhere") < 3 && time.Since(began) <= maxLettersPause {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		if took := time.Since(began); took > maxLettersPause || took < minLettersPause {
			t.Errorf("the others were stored after %s", took)
		}
	})
}

// size returns how many records a topic has.
func (h *house) size(name string) int64 {
	tt, err := h.topics.Get(name)
	if err != nil {
		h.t.Fatal(err)
	}
	p, err := tt.Partition(0)
	if err != nil {
		h.t.Fatal(err)
	}
	return p.HighWatermark()
}

// Dead letters that are too many, or too large, for one commit become some.
func TestManyLetters(t *testing.T) {
	for name, value := range map[string]string{"many": "a", "large": strings.Repeat("a", 900_000)} {
		t.Run(name, func(t *testing.T) {
			play(t, Settings{DeadLetter: "dead", CopyRecord: true}, func(t *testing.T, h *house) {
				n := lettersAtOnce + 1
				if len(value) > 1 {
					n = lettersBytes/len(value) + 2
				}
				for range n {
					h.produce("t", value)
				}
				for got := 0; got < n; {
					ds, err := h.AcquireRecords(t.Context(), AcquireRequest{Key: key("t"), Member: "m", MaxRecords: n})
					if err != nil {
						t.Fatal(err)
					}
					got += len(ds)
				}
				h.wantErr("reject", h.ack("m", Reject, 0, int64(n-1)), nil)
				if got := h.size("dead"); got != int64(n) {
					t.Errorf("%d dead letters of %d", got, n)
				}
				h.want("nothing", h.get("m", 9), "")
			})
		})
	}
}

// Without a wait the same comes of them.
func TestHand(t *testing.T) {
	play(t, Settings{DeadLetter: "dead", MaxDeliveries: 2}, func(t *testing.T, h *house) {
		mixedHouse(t, h)
		told := make(chan error, 2)
		h.Hand(key("t"), "m", false, func(err error) { told <- err }, mixed...)
		h.Hand(key("t"), "other", false, func(err error) { told <- err }, mixed...)
		synctest.Wait()
		for _, err := range []error{<-told, <-told} {
			if err != nil {
				h.wantErr("of another member", err, log.ErrInvalidRecordState)
			}
		}
		h.want("letters", h.letters("dead"), "1: offset rejected by client., 2: busy")
		h.Hand(key("nowhere"), "m", false, func(err error) { told <- err }, mixed...)
		h.wantErr("no topic", <-told, log.ErrUnknownTopic)
	})
}
