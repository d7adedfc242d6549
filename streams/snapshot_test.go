package streams

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa/log"
)

// What is damaged is told, and nothing else than what was encoded comes back.
func TestSnapshotsThatCannotBe(t *testing.T) {
	whole := `{"version":1,"epoch":3,"assignmentEpoch":2,"validatedTopologyEpoch":0,"topics":1,` +
		`"topology":{"epoch":0,"subtopologies":[{"id":"a","sources":["lines"]}]},` +
		`"members":[{"id":"m","rebalanceMs":1000,"topologyEpoch":0,"epoch":2,"previousEpoch":1,"state":"stable",` +
		`"has":[{"a":[[0,2]]},null,null],"revoking":[null,null,null],"target":[{"a":[[0,0]]},null,null]}]}`
	s, err := DecodeSnapshot([]byte(whole))
	if err != nil || string(s.Encode()) != whole {
		t.Fatalf("%s, %v", s.Encode(), err)
	}
	g := Restore(time.Unix(0, 0), "g", DefaultConfig(), s)
	if g.State() != Assigning || len(g.members) != 1 {
		t.Errorf("restored is %s", g.State())
	}
	for _, c := range [][2]string{
		{`"version":1`, `"version":2`},
		{`"epoch":3`, `"epoch":1`},
		{`"assignmentEpoch":2`, `"assignmentEpoch":0`},
		{`"validatedTopologyEpoch":0`, `"validatedTopologyEpoch":-2`},
		{`"sources":["lines"]`, `"sources":[]`},
		{`"topology":{`, `"nothing":{`},
		{`"id":"m"`, `"id":""`},
		{`"epoch":2`, `"epoch":4`},
		{`"epoch":2`, `"epoch":-3`},
		{`"state":"stable"`, `"state":"dead"`},
		{`"rebalanceMs":1000`, `"rebalanceMs":-1`},
		{`[[0,2]]`, `[[-1,2]]`},
		{`[[0,2]]`, `[[0,2],[0,3]]`},
		{`"revoking":[null`, `"revoking":[{"a":[[0,1]]}`},
		{`}]}`, `}`},
	} {
		bad := strings.Replace(whole, c[0], c[1], 1)
		if _, err := DecodeSnapshot([]byte(bad)); !errors.Is(err, log.ErrCorruptValue) || bad == whole {
			t.Errorf("%s for %s: %v", c[1], c[0], err)
		}
	}
}

func FuzzDecodeSnapshot(f *testing.F) {
	f.Add([]byte(`{"version":1,"epoch":1,"assignmentEpoch":1,"validatedTopologyEpoch":-1,"topics":0}`))
	f.Fuzz(func(t *testing.T, v []byte) {
		s, err := DecodeSnapshot(v)
		if err != nil {
			return
		}
		g := Restore(time.Unix(0, 0), "g", DefaultConfig(), s)
		g.State()
		if again, err := DecodeSnapshot(g.Snapshot().Encode()); err != nil || string(again.Encode()) != string(s.Encode()) {
			t.Fatalf("%s becomes %s, %v", s.Encode(), again.Encode(), err)
		}
	})
}
