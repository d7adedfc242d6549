package streams

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa/log"
)

// stored is a group as the store has it.
type stored struct {
	head    []byte
	members map[string][]byte
}

func keep(s Snapshot) stored {
	v := stored{head: s.encode(), members: make(map[string][]byte)}
	for _, m := range s.members {
		v.members[m.id] = m.encode()
	}
	return v
}

func (s stored) decode() (Snapshot, error) { return decodeSnapshot(s.head, s.members) }

// String is what is stored, for people.
func (s stored) String() string {
	text := string(s.head)
	for _, id := range sortedMembers(s.members) {
		text += "\n" + id + ": " + string(s.members[id])
	}
	return text
}

const (
	storedHead = `{"version":1,"epoch":3,"assignmentEpoch":2,"validatedTopologyEpoch":0,"topics":1,` +
		`"topology":{"epoch":0,"subtopologies":[{"id":"a","sources":["lines"]}]}}`
	storedOne = `{"version":1,"instanceId":"i","rebalanceMs":1000,"topologyEpoch":0,"epoch":2,"previousEpoch":1,"state":"stable",` +
		`"has":[{"a":[[0,2]]},null,null],"revoking":[null,null,null],"target":[{"a":[[0,0]]},null,null]}`
)

// What is damaged is told, and nothing else than what was encoded comes back.
func TestSnapshotsThatCannotBe(t *testing.T) {
	other := strings.Replace(strings.Replace(storedOne, `[[0,2]]`, `[[1,2]]`, 1), `"i"`, `"j"`, 1)
	with := func(head, one string) stored {
		return stored{[]byte(head), map[string][]byte{"m": []byte(one), "n": []byte(other)}}
	}
	whole := with(storedHead, storedOne)
	s, err := whole.decode()
	if err != nil || keep(s).String() != whole.String() {
		t.Fatalf("%s, %v", keep(s), err)
	}
	g := Restore(time.Unix(0, 0), "g", DefaultConfig(), s)
	if g.State() != Assigning || len(g.members) != 2 {
		t.Errorf("restored is %s", g.State())
	}
	for _, c := range [][2]string{
		{`"version":1`, `"version":2`},
		{`"epoch":3`, `"epoch":1`},
		{`"assignmentEpoch":2`, `"assignmentEpoch":0`},
		{`"validatedTopologyEpoch":0`, `"validatedTopologyEpoch":-2`},
		{`"sources":["lines"]`, `"sources":[]`},
		{`"topology":{`, `"nothing":{`},
		{`}]}`, `}`},
		{`"epoch":2`, `"epoch":4`},
		{`"epoch":2`, `"epoch":-3`},
		{`"state":"stable"`, `"state":"dead"`},
		{`"rebalanceMs":1000`, `"rebalanceMs":-1`},
		{`[[0,2]]`, `[[-1,2]]`},
		{`[[0,2]]`, `[[0,2],[0,3]]`},
		{`[[0,2]]`, `[[1,2]]`},
		{`"revoking":[null`, `"revoking":[{"a":[[0,1]]}`},
		{`"i"`, `"j"`},
		{`null]}`, `null`},
	} {
		bad := with(strings.Replace(storedHead, c[0], c[1], 1), strings.Replace(storedOne, c[0], c[1], 1))
		if _, err := bad.decode(); !errors.Is(err, log.ErrCorruptValue) || bad.String() == whole.String() {
			t.Errorf("%s for %s: %v", c[1], c[0], err)
		}
	}
	if _, err := (stored{members: whole.members}).decode(); !errors.Is(err, log.ErrCorruptValue) {
		t.Errorf("members of nothing: %v", err)
	}
}

func FuzzDecodeSnapshot(f *testing.F) {
	f.Add([]byte(storedHead), "m", []byte(storedOne))
	f.Fuzz(func(t *testing.T, head []byte, id string, one []byte) {
		v := stored{head: head, members: make(map[string][]byte)}
		if id != "" {
			v.members[id] = one
		}
		s, err := v.decode()
		if err != nil {
			return
		}
		g := Restore(time.Unix(0, 0), "g", DefaultConfig(), s)
		g.State()
		again, err := keep(g.Snapshot()).decode()
		if err != nil || keep(again).String() != keep(s).String() {
			t.Fatalf("%s becomes %s, %v", keep(s), keep(again), err)
		}
	})
}
