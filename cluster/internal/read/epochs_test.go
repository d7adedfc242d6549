package read

import (
	"fmt"
	"testing"
)

// What was read last counts, and what is not known is -1.
func TestEpochs(t *testing.T) {
	for _, test := range []struct {
		what string
		read []span
		want string // the epochs before the offsets 0 to 9
	}{
		{"nothing", nil, "[-1 -1 -1 -1 -1 -1 -1 -1 -1 -1]"},
		{"one", []span{{2, 5, 1}}, "[-1 -1 -1 1 1 1 -1 -1 -1 -1]"},
		{"a new leader", []span{{0, 3, 1}, {3, 6, 1}, {6, 8, 2}}, "[-1 1 1 1 1 1 1 2 2 -1]"},
		{"a gap", []span{{0, 2, 1}, {4, 6, 1}}, "[-1 1 1 -1 -1 1 1 -1 -1 -1]"},
		{"cut off and written anew", []span{{0, 6, 1}, {3, 5, 2}}, "[-1 1 1 1 2 2 -1 -1 -1 -1]"},
		{"from the start again", []span{{0, 6, 1}, {0, 2, 1}}, "[-1 1 1 -1 -1 -1 -1 -1 -1 -1]"},
	} {
		var e epochs
		for _, s := range test.read {
			e.note(s)
		}
		var got []int32
		for offset := range int64(10) {
			got = append(got, e.before(offset))
		}
		if fmt.Sprint(got) != test.want {
			t.Errorf("%s: got %v, want %s", test.what, got, test.want)
		}
	}
	var e epochs
	for i := range int64(100) {
		e.note(span{i, i + 1, int32(i)})
	}
	if len(e.spans) != mostSpans || e.before(100) != 99 || e.before(1) != -1 {
		t.Errorf("%v", e.spans)
	}
}
