package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// survivorBatch is the records of a batch that AppendForever appends.
const survivorBatch = 10

// AppendForever appends batches to partition 0 of a log in dir, and writes a line for each
// that is acknowledged: somebody kills the process and lets another one CheckSurvivors.
func AppendForever(ctx context.Context, p *Peer, dir string, o Options, acked io.Writer) error {
	l, err := p.Open(ctx, dir, o)
	if err != nil {
		return err
	}
	for n := 0; ; n += survivorBatch {
		if err = l.Append(ctx, 0, marks(0, n, n+survivorBatch)); err != nil {
			break
		}
		if _, err = fmt.Fprintln(acked, n+survivorBatch); err != nil {
			break
		}
	}
	return errors.Join(err, l.Close())
}

// CheckSurvivors opens the log that AppendForever had open when it died, and reads what
// was acknowledged.
func CheckSurvivors(ctx context.Context, p *Peer, dir string, o Options, acked int) error {
	t := &trial{peer: p, dir: dir, opts: o}
	return t.run(ctx, func(ctx context.Context, t *trial) error { return t.expect(ctx, 0, 0, acked) })
}
