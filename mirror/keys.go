package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
)

// KeysOptions say which keys CopyKeys brings over, and how.
type KeysOptions struct {
	// Prefix is what the keys begin with; without one they are all.
	Prefix []byte
	// Replace has keys of the target that the source has not, or has otherwise, become what they are in the source, or go: on the way back, say.
	// Without it they are ErrNotOurs.
	Replace bool
}

const (
	keysAtOnce     = 1000
	keysBytes      = 1 << 20 // of them, and what the last one has beyond
	maxToldOfAKey  = 60
	keysCopyFailed = "copy keys: %w"
)

// CopyKeys brings the application's own keys over, those of View and Update, as they are in the source at one moment, and returns how many had to be
// changed. It does so by Updates of the target of up to 1000 keys: one that has failed, or was interrupted, is called again. Nobody may change keys
// meanwhile, in either: it belongs between the end of the program there and its beginning here.
//
// ErrNotOurs says that the target has keys of its own: see KeysOptions.Replace; then nothing is changed. A cluster has keys with cluster.Options.Keys, else they are ErrUnsupported.
func CopyKeys(ctx context.Context, from, to *samsa.Broker, opts KeysOptions) (changed int64, err error) {
	if from == nil || to == nil {
		return 0, fmt.Errorf(keysCopyFailed, fmt.Errorf("%w: one of the brokers is nil", log.ErrInvalidOption))
	}
	if !opts.Replace {
		err = eachDifference(ctx, from, to, opts.Prefix, func(d difference) error {
			if !d.has {
				return nil
			}
			return fmt.Errorf("%w: the target has the key %.*q", ErrNotOurs, maxToldOfAKey, d.key)
		})
		if err != nil {
			return 0, fmt.Errorf(keysCopyFailed, err)
		}
	}
	var some []difference
	size := 0
	flush := func() error {
		err := to.Update(ctx, func(tx *samsa.Tx) error {
			for _, d := range some {
				var err error
				if d.gone {
					err = tx.Delete(d.key)
				} else {
					err = tx.Set(d.key, d.value)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil {
			changed += int64(len(some))
			some, size = nil, 0
		}
		return err
	}
	err = eachDifference(ctx, from, to, opts.Prefix, func(d difference) error {
		some = append(some, d)
		if size += len(d.key) + len(d.value); size < keysBytes && len(some) < keysAtOnce {
			return nil
		}
		return flush()
	})
	if err == nil && len(some) > 0 {
		err = flush()
	}
	if err != nil {
		return changed, fmt.Errorf(keysCopyFailed, err)
	}
	return changed, nil
}

// difference is a key that the target has to have with this value, or not any more.
type difference struct {
	key, value []byte
	gone       bool // in the source
	has        bool // the target has it
}

// eachDifference calls fn for what is different, as both are now, in the order of the keys, until it fails.
func eachDifference(ctx context.Context, from, to *samsa.Broker, prefix []byte, fn func(difference) error) error {
	return from.View(ctx, func(source *samsa.ReadTx) error {
		return to.View(ctx, func(target *samsa.ReadTx) error {
			next, stop := iter.Pull2(target.Scan(prefix))
			defer stop()
			there, err, more := next()
			behind := func(d difference) error {
				if there, err, more = next(); err != nil {
					return err
				}
				return fn(d)
			}
			for here, bad := range source.Scan(prefix) {
				if err = errors.Join(err, bad); err != nil {
					return err
				}
				for more && bytes.Compare(there.Key, here.Key) < 0 {
					if err := behind(difference{key: there.Key, gone: true, has: true}); err != nil {
						return err
					}
				}
				d := difference{key: here.Key, value: here.Value}
				if d.has = more && bytes.Equal(there.Key, here.Key); d.has {
					same := bytes.Equal(there.Value, here.Value)
					if there, err, more = next(); err != nil {
						return err
					}
					if same {
						continue
					}
				}
				if err := fn(d); err != nil {
					return err
				}
			}
			for err == nil && more {
				if err := behind(difference{key: there.Key, gone: true, has: true}); err != nil {
					return err
				}
			}
			return err
		})
	})
}
