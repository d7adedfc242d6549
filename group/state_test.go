package group

import (
	"errors"
	"testing"

	"github.com/samsa-go/samsa/log"
)

func TestStatesAsText(t *testing.T) {
	for s, want := range []string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"} {
		text, err := State(s).MarshalText()
		var got State
		if err != nil || string(text) != want || got.UnmarshalText(text) != nil || got != State(s) {
			t.Errorf("%s: %q, error %v, %v", want, text, err, got)
		}
	}
	s := Stable
	if err := s.UnmarshalText([]byte("stable")); !errors.Is(err, log.ErrInvalidOption) || s != Stable {
		t.Errorf("got %v, error %v", s, err)
	}
}
