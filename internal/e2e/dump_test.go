package e2e

import (
	"errors"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inspect"
)

// TestDump prints what a broker has written, while it is open and when it is closed.
func TestDump(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := mustOpen(t, dir, samsa.Options{AutoCreateTopics: true})
	ctx := t.Context()
	for _, name := range []string{"orders", "bills"} {
		_, err := b.Produce(ctx, samsa.Record{
			Topic: name, Key: []byte("k"), Value: []byte("a " + name), Headers: []samsa.Header{{Key: "h", Value: []byte("v")}, {Key: "h"}},
		}, samsa.Record{Topic: name, Value: make([]byte, 3000)})
		if err != nil {
			t.Fatal(err)
		}
	}
	err := b.Update(ctx, func(tx *samsa.Tx) error { return tx.Set([]byte("mine"), []byte("own")) })
	if err != nil {
		t.Fatal(err)
	}
	zero := int32(0)
	for _, closed := range []bool{false, true} {
		if closed {
			mustClose(t, b)
		}
		all, text := dumped(t, dir, inspect.FrameOptions{Records: true})
		last := uint64(0)
		for _, f := range all {
			if f.Commit != last+1 {
				t.Errorf("commit %d after %d", f.Commit, last)
			}
			last = f.Commit
		}
		for _, want := range []string{
			"begin", "set topic orders", "set batch bills/0 offset 1, ", "offsets 0 to 1, 2 records, snappy", `key "k" value "a orders" header "h" "v" header "h" null`, "key null",
			`set application key "mine"`, `own`,
		} {
			if !strings.Contains(text, want) {
				t.Errorf("closed %t: %q is not in\n%.3000s", closed, want, text)
			}
		}
		some, text := dumped(t, dir, inspect.FrameOptions{Topic: "bills", Partition: &zero, Batches: true})
		if len(some) != 1 || some[0].Ops[0].Batch.Count != 2 || len(some[0].Ops) != 1 || strings.Contains(text, "orders") {
			t.Errorf("closed %t: of one partition: %s", closed, text)
		}
		some, _ = dumped(t, dir, inspect.FrameOptions{From: 3, To: 4, File: all[0].File})
		if len(some) != 2 || some[0].Commit != 3 {
			t.Errorf("closed %t: of two commits: %v", closed, some)
		}
		if some, _ = dumped(t, dir, inspect.FrameOptions{File: "0000000009.log"}); len(some) > 0 {
			t.Errorf("closed %t: of a file that is not there: %v", closed, some)
		}
	}
	all, _ := dumped(t, dir, inspect.FrameOptions{})
	hurt{what: "flip", file: all[2].File, at: int(all[2].Offset) + 30}.apply(t, dir)
	n, flaws := 0, 0
	for _, err := range inspect.Frames(ctx, dir, inspect.FrameOptions{}) {
		if flaw := (*inspect.ErrFlaw)(nil); errors.As(err, &flaw) {
			flaws++
		} else if err != nil {
			t.Fatal(err)
		} else {
			n++
		}
	}
	if flaws != 1 || n != len(all)-1 {
		t.Errorf("with a flaw: %d frames of %d, %d flaws", n, len(all), flaws)
	}
}

func dumped(t *testing.T, dir string, o inspect.FrameOptions) (all []inspect.Frame, text string) {
	t.Helper()
	var b strings.Builder
	for f, err := range inspect.Frames(t.Context(), dir, o) {
		if err == nil {
			err = f.WriteText(&b)
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
	return all, b.String()
}
