package workload

import (
	"fmt"

	"github.com/samsa-go/samsa/bench/internal/peer"
)

// batchesInTransaction is after how many batches a transaction is committed.
const batchesInTransaction = 10

// appendTransactions is the workload Transactions.
func appendTransactions(r *run) error {
	log, ok := r.log.(peer.Transactor)
	if !ok {
		return cannot("has no transactions of a producer")
	}
	r.out.Latencies = NewHistogram()
	p := pipe{log: log, pipeliner: log, latencies: r.out.Latencies}
	n := 0
	r.begin()
	for i := 0; r.more(n); {
		if err := log.Begin(); err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		for end := i + batchesInTransaction; i < end && r.more(n); i++ {
			size := max(1, min(r.c.Batch, r.limits.Records-n))
			if !p.submit(r.ctx, i%r.c.Partitions, r.batch(p.buffer(), i, size)) {
				break
			}
			n += size
		}
		if err := p.flush(r.ctx); err != nil {
			return err
		}
		if err := log.Commit(r.ctx); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
	}
	r.end(n)
	r.out.Appended = int64(n) * int64(r.c.Size)
	return nil
}
