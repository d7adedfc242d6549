package partition

import (
	"fmt"
	"math"
	"time"

	"github.com/samsa-go/samsa/log"
)

// Timestamps are the timestamps that records may have when they are appended, in ms since the
// epoch, both bounds inclusive (KIP-937).
type Timestamps struct {
	Min, Max int64

	nowMs int64
	rules Rules
}

// Timestamps returns what may be appended at nowMs. Where the time is the broker's, the
// producer's does not matter.
func (r Rules) Timestamps(nowMs int64) Timestamps {
	t := Timestamps{Min: math.MinInt64, Max: math.MaxInt64, nowMs: nowMs, rules: r}
	if r.LogAppendTime {
		return t
	}
	t.Min = max(0, nowMs-r.TimestampBeforeMaxMs)
	if r.TimestampAfterMaxMs < math.MaxInt64-nowMs {
		t.Max = nowMs + r.TimestampAfterMaxMs
	}
	return t
}

// Has reports whether a record may have the timestamp ms.
func (t Timestamps) Has(ms int64) bool { return ms >= t.Min && ms <= t.Max }

// Refuse returns the ErrInvalidTimestamp for a timestamp that t has not. It names the bound.
func (t Timestamps) Refuse(ms int64) error {
	switch at := time.UnixMilli(ms).UTC().Format(time.RFC3339Nano); {
	case ms < 0:
		return fmt.Errorf("%w: %d ms is before 1970", log.ErrInvalidTimestamp, ms)
	case ms < t.Min:
		return fmt.Errorf("%w: %s is %d ms behind the clock, message.timestamp.before.max.ms is %d",
			log.ErrInvalidTimestamp, at, t.nowMs-ms, t.rules.TimestampBeforeMaxMs)
	default:
		return fmt.Errorf("%w: %s is %d ms ahead of the clock, message.timestamp.after.max.ms is %d",
			log.ErrInvalidTimestamp, at, ms-t.nowMs, t.rules.TimestampAfterMaxMs)
	}
}
