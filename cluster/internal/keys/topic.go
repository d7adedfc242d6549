package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// Ready returns when the store has what the topic had when it was called, at least.
func (k *Keys) Ready(ctx context.Context) error {
	for {
		if _, behind := k.state(); !behind {
			return k.there()
		}
		if err := k.catching.TakeUntil(ctx); err != nil {
			return err
		}
		err := k.catchUp(ctx)
		k.catching.Give()
		if err != nil {
			return fmt.Errorf("keys of the application: %w", err)
		}
	}
}

func (k *Keys) state() (epoch int, behind bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.epoch, k.behind
}

// catchUp reads what the topic has more than the store, unless somebody has just done so: then transactions of the keys may be on their way again.
func (k *Keys) catchUp(ctx context.Context) error {
	epoch, behind := k.state()
	if !behind {
		return nil
	}
	if k.settle != nil {
		_ = k.settle(ctx) // if it is not, stable waits for what the cluster does, or tells why not
	}
	p, err := k.topic.Partition(0)
	if err != nil {
		return err
	}
	began := time.Now()
	end, err := stable(ctx, p)
	if err != nil {
		return err
	}
	if start := p.LogStart(); k.empty || k.at < start || k.at > end || k.old() { // what was deleted is not known
		if err := k.clear(ctx); err != nil {
			return err
		}
		if k.at = start; start > 0 {
			k.opts.Logger.Warn("the topic of keys was not only compacted: keys that were last written before an offset are gone",
				zap.String("topic", k.opts.Topic), zap.Int64("offset", start))
		}
	}
	if err := k.read(ctx, p, end, began); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.epoch == epoch {
		k.behind = false
	}
	return nil
}

// stable returns the end of what is stored, once no transaction is open before it.
func stable(ctx context.Context, p engine.Partition) (int64, error) {
	end := int64(-1)
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		if r, ok := p.(engine.Remote); ok {
			if err := r.Ask(ctx); err != nil {
				return 0, err
			}
		}
		if end < 0 {
			end = p.HighWatermark()
		}
		if p.LastStable() >= end {
			return end, nil
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return 0, fmt.Errorf("%w: a transaction is open: %w", log.ErrUnavailable, ctx.Err())
		}
	}
}

// read stores what the topic has from the position to end, which was its end when that began.
func (k *Keys) read(ctx context.Context, p engine.Partition, end int64, began time.Time) error {
	if k.at >= end {
		k.whole = began
		return k.put(nil, k.at)
	}
	next := k.at
	err := k.putAll(func(yield func(engine.KeyValue, error) bool) {
		var buf, records []byte
		more := true
		for next < end && more {
			before := next
			var failed error
			var err error
			buf, err = p.Fetch(ctx, "", log.ReadCommitted, next, buf, func(sb log.StoredBatch) bool {
				if failed = sb.Err; failed == nil && !sb.Aborted && !sb.Batch.Control() {
					records, more, failed = give(sb.Batch, next, records[:0], yield)
				}
				if failed == nil && more {
					next = max(next, sb.LastOffset+1)
				}
				return failed == nil && more && next < end
			})
			if err = errors.Join(err, failed); err == nil && next == before && more {
				err = ctx.Err()
			}
			if err != nil {
				yield(engine.KeyValue{}, err)
				return
			}
		}
	}, func() int64 { return next })
	if err == nil {
		k.at, k.whole = next, began
		err = k.put(nil, k.at)
	}
	return err
}

// give gives the keys of a batch, from an offset on.
func give(b log.Batch, from int64, buf []byte, yield func(engine.KeyValue, error) bool) (_ []byte, more bool, err error) {
	if buf, err = b.AppendRecords(buf); err != nil {
		return buf, true, err
	}
	var r log.Record
	for reader := log.NewRecordReader(b, buf); ; {
		ok, err := reader.Next(&r)
		if err != nil || !ok {
			return buf, true, err
		}
		if r.Offset < from || len(r.Key) == 0 || len(r.Key) > store.MaxAppKey { // the others are somebody else's
			continue
		}
		kv := engine.KeyValue{Key: r.Key}
		if r.Value != nil {
			kv.Value = append(make([]byte, 0, len(r.Value)), r.Value...)
		}
		if !yield(kv, nil) {
			return buf, false, nil
		}
	}
}
