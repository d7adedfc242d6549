package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/samsa-go/samsa/log"
)

// Start is where reading begins in a partition.
type Start struct {
	Kind   Kind
	Offset int64     // for AtOffset
	Time   time.Time // for AtTime, in whole milliseconds
}

// Kind is the kind of a Start.
type Kind int8

// The kinds of a Start.
const (
	Earliest  Kind = iota // at the first record that is there
	Latest                // behind the last one
	AtOffset              // there
	AtTime                // at the first record of that timestamp or later, behind the last one if there is none
	Committed             // at the committed offset of a group, and nowhere else
)

// String returns the start in words.
func (s Start) String() string {
	switch s.Kind {
	case Latest:
		return "latest"
	case AtOffset:
		return fmt.Sprintf("offset %d", s.Offset)
	case AtTime:
		return "time " + s.Time.Format(time.RFC3339Nano)
	case Committed:
		return "committed"
	}
	return "earliest"
}

// Resolve returns the offset of p that s stands for, for a reader of that isolation. It need not be within p's range.
// It waits for AtTime only, and for a Remote.
func (s Start) Resolve(ctx context.Context, p Partition, iso log.Isolation) (int64, error) {
	if r, ok := p.(Remote); ok && s.Kind != AtOffset && s.Kind != Committed {
		if err := r.Ask(ctx); err != nil {
			return 0, err
		}
	}
	switch s.Kind {
	case Latest:
		return End(p, iso), p.Err()
	case AtOffset:
		return s.Offset, p.Err()
	case Committed:
		return 0, fmt.Errorf("%w: Committed is where a group stands, and there is none", log.ErrInvalidOption)
	case AtTime:
		end := End(p, iso) // before the search: what comes during it is later
		offset, ok, err := p.OffsetForTime(ctx, iso, s.Time.UnixMilli())
		if !ok {
			offset = end
		}
		return offset, err
	}
	return p.LogStart(), p.Err()
}
