package transact

import (
	"time"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// tell tells hooks what a transaction has stored.
func (tx *Tx) tell(began time.Time, ptx *writer.Tx, requests map[string]group.CommitRequest) {
	hooks := tx.broker.Hooks
	produced := hooks.Produces() && len(ptx.Appends) > 0
	committed := hooks.Commits() && len(requests)+len(tx.settles) > 0
	if !produced && !committed {
		return
	}
	took := time.Since(began)
	if produced {
		tx.call.Produced(tx.ctx, began, took, ptx, nil)
	}
	if !committed {
		return
	}
	for name, req := range requests {
		offsets := make(map[log.TopicPartition]int64, len(req.Offsets))
		for tp, o := range req.Offsets {
			offsets[tp] = o.Offset
		}
		hooks.Committed(tx.ctx, &hook.CommitEvent{Group: name, Offsets: offsets, Began: began, Took: took})
	}
	if len(tx.settles) == 0 {
		return
	}
	acks := make(map[string][]hook.AckedRange)
	for i := range tx.settles {
		s := &tx.settles[i]
		for _, a := range s.Acks {
			acks[s.Group] = append(acks[s.Group], hook.AckedRange{TopicPartition: s.TopicPartition, First: a.First, Last: a.Last, Outcome: a.Types[0].String()})
		}
	}
	for name, ranges := range acks {
		hooks.Committed(tx.ctx, &hook.CommitEvent{Group: name, Acks: ranges, Began: began, Took: took})
	}
}
