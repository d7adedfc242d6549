package cli

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/mirror"
)

// Ctrl-C is how a mirror ends that goes on, and a failure of one that is to copy what there is.
func TestMirrorIsInterrupted(t *testing.T) {
	from := t.TempDir()
	b, err := samsa.Open(from, samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for untilNow, want := range map[bool]error{true: context.Canceled, false: nil} {
		err := testEnv(new(bytes.Buffer), nil).runMirror(ctx, from, t.TempDir(), mirrorFlags{opts: mirror.Options{UntilNow: untilNow}})
		if !errors.Is(err, want) {
			t.Errorf("with UntilNow %v: got %v", untilNow, err)
		}
	}
}
