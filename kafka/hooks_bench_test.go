//go:build unix

package kafka

import (
	"context"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/measure/pairs"
	"github.com/samsa-go/samsa/log"
)

// BenchmarkHooks is what a hook of requests that does nothing costs the broker, for the smallest requests that there are: each
// produces, or fetches, one record. The client is a process of its own. See BenchmarkHooks of internal/e2e.
func BenchmarkHooks(b *testing.B) {
	silent := samsa.Hook{Request: func(context.Context, samsa.RequestEvent) {}}
	for _, work := range []string{"produce-one", "fetch"} {
		b.Run("do="+work, func(b *testing.B) {
			side := func(hooks ...samsa.Hook) func(n int) time.Duration {
				k := openBench(b, Options{}, hooks...)
				k.store(b, batchOfOne(b), 1)
				return func(n int) time.Duration { return k.client(b, work, log.CodecNone, n) }
			}
			pairs.Compare(b, 1000, side(), side(silent))
		})
	}
}
