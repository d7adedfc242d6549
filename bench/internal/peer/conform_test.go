package peer

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Every peer keeps the promises of Log, with each durability and with several partitions.
func TestPeersConform(t *testing.T) {
	for _, p := range All(Settings{}) {
		for _, o := range []Options{
			{Partitions: 1, Codec: p.Codec("snappy"), BatchBytes: 1 << 20, Writers: 8},
			{Partitions: 3, Codec: "none", BatchBytes: 1 << 20, Writers: 8, Synced: p.NoSync == ""},
		} {
			t.Run(fmt.Sprintf("%s/partitions=%d/synced=%t", p.Name, o.Partitions, o.Synced), func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if err := Conform(ctx, p, t.TempDir(), o); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
