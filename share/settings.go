package share

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/samsa-go/samsa/log"
)

// Settings of a group. The zero value is right for most.
type Settings struct {
	Lock          time.Duration // how long a member has a record to itself; 0 is 30 s
	MaxDeliveries int           // how often a record is delivered; 0 is 5, Unlimited is no limit
	MaxInFlight   int           // how many records of a partition members have at one time; 0 is 2000
	Isolation     log.Isolation
	Reset         Reset
	DeadLetter    string // the topic for records that nobody can do, "" for none: they are done then
	AnyDeadLetter bool   // DeadLetter may be any topic: a program of this process names it, and no config that clients set
	CopyRecord    bool   // dead letters have key, value and headers of their records; else only where they are from
	Backoff       Backoff
	OrderByKey    bool // records of one key come one after the other
}

// Unlimited is no limit, for Settings.MaxDeliveries.
const Unlimited = -1

const (
	defaultLock          = 30 * time.Second
	defaultMaxDeliveries = 5
	defaultMaxInFlight   = 2000

	// maxBlocked bounds how many records wait for another one of their key: beyond, nothing more is looked at until
	// some of them are done.
	maxBlocked = 100_000
)

// Reset is where a group begins in a partition that is new to it. The zero value is behind the last record.
type Reset struct {
	Kind ResetKind
	By   time.Duration // for ResetByDuration
	AtMs int64         // for ResetAtTime, in ms since the epoch
}

// ResetKind is the kind of a Reset.
type ResetKind uint8

// The kinds of a Reset.
const (
	ResetLatest     ResetKind = iota // behind the last record
	ResetEarliest                    // with the first one
	ResetByDuration                  // with the first one of the last By
	ResetAtTime                      // with the first one of that time or later
)

// Backoff is how long a record waits after a delivery that has failed: Min after the first, Factor times as long after
// each further one, at most Max. Jitter is which part of that, from 0 to 1, is taken off at random, so that not all
// come again at once. The zero value is no wait.
type Backoff struct {
	Min, Max       time.Duration
	Factor, Jitter float64
}

// After returns how long a record waits after so many deliveries.
func (b Backoff) After(deliveries int) time.Duration {
	if b.Min <= 0 {
		return 0
	}
	d := float64(b.Min) * math.Pow(max(1, b.Factor), float64(deliveries-1))
	if b.Max > 0 {
		d = min(d, float64(b.Max))
	}
	if b.Jitter > 0 {
		d -= d * min(b.Jitter, 1) * rand.Float64()
	}
	return time.Duration(min(d, math.MaxInt64/4))
}

// WithDefaults returns the settings with what is zero replaced by what it stands for.
func (s Settings) WithDefaults() Settings {
	if s.Lock <= 0 {
		s.Lock = defaultLock
	}
	if s.MaxDeliveries == 0 {
		s.MaxDeliveries = defaultMaxDeliveries
	}
	if s.MaxInFlight <= 0 {
		s.MaxInFlight = defaultMaxInFlight
	}
	return s
}

// Differences says for people what other settings have besides.
func (s Settings) Differences(other Settings) string {
	var all []string
	differ := func(name string, is, wanted any) {
		if is != wanted {
			all = append(all, fmt.Sprintf("%s is %v and not %v", name, is, wanted))
		}
	}
	differ("Lock", s.Lock, other.Lock)
	differ("MaxDeliveries", s.MaxDeliveries, other.MaxDeliveries)
	differ("MaxInFlight", s.MaxInFlight, other.MaxInFlight)
	differ("Isolation", s.Isolation, other.Isolation)
	differ("DeadLetter", strconv.Quote(s.DeadLetter), strconv.Quote(other.DeadLetter))
	differ("OrderByKey", s.OrderByKey, other.OrderByKey)
	if s.Reset != other.Reset {
		all = append(all, "Start is another one")
	}
	if s.Backoff != other.Backoff {
		all = append(all, "Retry is another one")
	}
	return strings.Join(all, ", ")
}

// rules returns what of s concerns the machine.
func (s Settings) rules() Rules {
	r := Rules{LockMs: s.Lock.Milliseconds(), MaxDeliveries: max(0, s.MaxDeliveries), DeadLetters: s.DeadLetter != ""}
	if s.Backoff.Min > 0 {
		r.Delay = func(deliveries int) int64 { return s.Backoff.After(deliveries).Milliseconds() }
	}
	return r
}
