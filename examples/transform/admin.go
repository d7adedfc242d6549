package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/samsa-go/samsa"
)

// abortStuck aborts the transactions to which nobody has written for so long, so that who reads what is committed goes on.
func abortStuck(ctx context.Context, b *samsa.Broker, silence time.Duration, out io.Writer) error {
	open, err := b.Transactions().Open(ctx)
	if err != nil {
		return err
	}
	for _, o := range open {
		if time.Since(o.Written) < silence {
			continue
		}
		err := b.Transactions().Abort(ctx, o)
		switch {
		case errors.Is(err, samsa.ErrInvalidTxnState), errors.Is(err, samsa.ErrProducerFenced):
			// It has ended meanwhile, or with its part in a partition before.
		case err != nil:
			return err
		default:
			fmt.Fprintf(out, "aborted the transaction of %q, open in %s since offset %d\n", o.ID, o.TopicPartition, o.Since)
		}
	}
	return nil
}
