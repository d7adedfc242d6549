package write

import (
	"context"
	"testing"

	"github.com/samsa-go/samsa/internal/turns"
	"github.com/samsa-go/samsa/partition"
)

// Who waits for what another asks of the cluster does so until his context ends, and goes by what is known.
func TestRulesThatAnotherAsksFor(t *testing.T) {
	ru := &rules{asking: turns.New()}
	ru.asking.Take()
	want := (*partition.Rules)(nil)
	for range 2 {
		ctx, end := context.WithCancel(t.Context())
		got := make(chan *partition.Rules)
		go func() { got <- ru.get(ctx, nil, 0) }()
		end()
		if is := <-got; is != want {
			t.Errorf("got %v, want %v", is, want)
		}
		want = &partition.Rules{MaxMessageBytes: 1}
		ru.known.Store(&answer{rules: want})
	}
}
