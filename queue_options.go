package samsa

import (
	"fmt"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/local"
	"github.com/samsa-go/samsa/internal/option"
	"github.com/samsa-go/samsa/internal/queue"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
)

// QueueOptions says what a queue gives and how. Group and Topics are needed. All queues of a group that are open at one
// time have the same options, but for Topics, ClientID and Acks. While one is open they are what the group does, for
// Kafka clients in it too, in the place of the group's configs.
type QueueOptions struct {
	// Group is who shares the records: each of them is done by one of the group.
	Group string
	// Topics whose records these are, all partitions of each, those added later too.
	Topics []string
	// ClientID names the program, in descriptions of its group say.
	ClientID string
	// Start is where the group begins in a partition that is new to it: Earliest, the default, Latest or AtTime.
	// Partitions that are added later begin with their first record.
	Start Start
	// Lock is how long a record is with who has received it, in whole milliseconds; then another one gets it, unless
	// Delivery.Extend was called. 0 means 30 s.
	Lock time.Duration
	// MaxDeliveries is how often a record is delivered at most; 0 means 5, Unlimited is no limit. What is not done by
	// then becomes a dead letter.
	MaxDeliveries int
	// MaxInFlight bounds how many records of each partition are being worked on; 0 means 2000. What waits for its time
	// does not count.
	MaxInFlight int
	// Retry says how long a record waits that was worked on in vain.
	Retry Retry
	// DeadLetter is the topic for records that nobody can do: with the key, the value and the headers that they have, and
	// headers that say where they come from and why. It has to be there. "" is none: such records are done then.
	DeadLetter string
	// OrderByKey has the records of one key come one after the other: the next one when the last one is done. Records
	// without a key, and those of other keys, do not wait. It is by partition, where a partitioner has put the key. It holds
	// while such a queue is open, for Kafka clients of the group too.
	OrderByKey bool
	// Isolation says which records of transactions there are: with ReadCommitted, the default, those that were committed.
	Isolation Isolation
	// Acks is what an acknowledgement waits for: AckStored, the default, or AckSynced.
	Acks Acks
}

// Retry is how long a record waits after a delivery that was in vain: Min after the first one, Factor times as long after
// each further one, at most Max. Times are in whole milliseconds. The zero value is the default: from 1 s on, twice as
// long each time, at most 5 minutes.
type Retry struct {
	// Min is the first wait; 0 means 1 s, NoWait is none.
	Min time.Duration
	// Max bounds the waits; 0 means 5 minutes, or Min if that is more.
	Max time.Duration
	// Factor is by how much they grow; 0 means 2.
	Factor float64
	// Jitter is which part of a wait, up to 1, is taken off at random, so that not all come again at once; 0 means 0.2,
	// and a negative one means none.
	Jitter float64
}

// NoWait is the Retry.Min of records that come again at once.
const NoWait = -1

const (
	defaultRetryMin  = time.Second
	defaultRetryMax  = 5 * time.Minute
	defaultQueueLock = 30 * time.Second
)

func (r Retry) backoff() share.Backoff {
	if r.Min == NoWait {
		return share.Backoff{}
	}
	b := share.Backoff(r)
	if b.Min == 0 {
		b.Min = defaultRetryMin
	}
	if b.Max == 0 {
		b.Max = max(defaultRetryMax, b.Min)
	}
	if b.Factor == 0 {
		b.Factor = local.RetryFactor
	}
	switch {
	case b.Jitter == 0:
		b.Jitter = local.RetryJitter
	case b.Jitter < 0:
		b.Jitter = 0
	}
	return b
}

func (r Retry) validate(w *option.Mistakes) {
	w.Check(r.Min == NoWait || r.Min == 0 || r.Min >= time.Millisecond, "QueueOptions.Retry.Min", r.Min, "NoWait, 0, or a millisecond or more")
	w.Check(r.Max == 0 || r.Max >= max(r.Min, time.Millisecond), "QueueOptions.Retry.Max", r.Max, "at least Min")
	w.Check(r.Factor == 0 || r.Factor >= 1 && r.Factor <= maxRetryFactor, "QueueOptions.Retry.Factor", r.Factor, "1 to 1000")
	w.Check(r.Jitter <= 1, "QueueOptions.Retry.Jitter", r.Jitter, "at most 1")
}

const maxRetryFactor = 1000

func (o QueueOptions) validate() error {
	var w option.Mistakes
	w.Check(group.CheckName(o.Group) == nil, "QueueOptions.Group", fmt.Sprintf("%.20q of %d bytes", o.Group, len(o.Group)), "1 to 512 bytes")
	w.Check(len(o.Topics) > 0, "QueueOptions.Topics", "empty", "a topic")
	for i, name := range o.Topics {
		w.Check(!slices.Contains(o.Topics[:i], name), "QueueOptions.Topics", fmt.Sprintf("%q", name), "each topic once")
		w.Check(name != o.DeadLetter, "QueueOptions.DeadLetter", fmt.Sprintf("%q", name), "none of QueueOptions.Topics")
	}
	w.Check(utf8.ValidString(o.ClientID), "QueueOptions.ClientID", fmt.Sprintf("%q", o.ClientID), "UTF-8")
	start := o.Start.at.Kind
	w.Check(start == engine.Earliest || start == engine.Latest || start == engine.AtTime, "QueueOptions.Start", o.Start, "Earliest, Latest or AtTime")
	w.Check(o.Lock == 0 || o.Lock >= time.Millisecond, "QueueOptions.Lock", o.Lock, "0, or a millisecond or more")
	w.Check(o.MaxDeliveries >= 0 && o.MaxDeliveries <= math.MaxUint16 || o.MaxDeliveries == Unlimited, "QueueOptions.MaxDeliveries", o.MaxDeliveries, "0 to 65535, or Unlimited")
	w.Check(o.MaxInFlight >= 0 && o.MaxInFlight <= maxInFlight, "QueueOptions.MaxInFlight", o.MaxInFlight, "0 to 1000000")
	o.Retry.validate(&w)
	w.Check(log.KnownIsolation(o.Isolation), "QueueOptions.Isolation", o.Isolation, "one of the Read constants")
	w.Check(o.Acks == AckStored || o.Acks == AckSynced, "QueueOptions.Acks", o.Acks, "AckStored or AckSynced")
	return w.Err()
}

// maxInFlight bounds QueueOptions.MaxInFlight: the memory for it, and for the records that are out.
const maxInFlight = 1_000_000

// of returns the options of the engine. They are valid.
func (o QueueOptions) of() queue.Options {
	s := share.Settings{
		Lock: o.Lock, MaxDeliveries: o.MaxDeliveries, MaxInFlight: o.MaxInFlight, Isolation: o.Isolation,
		DeadLetter: o.DeadLetter, AnyDeadLetter: true, CopyRecord: true, Backoff: o.Retry.backoff(), OrderByKey: o.OrderByKey,
		Reset: share.Reset{Kind: share.ResetEarliest},
	}
	if s.Lock == 0 {
		s.Lock = defaultQueueLock
	}
	switch at := o.Start.at; at.Kind {
	case engine.Latest:
		s.Reset.Kind = share.ResetLatest
	case engine.AtTime:
		s.Reset = share.Reset{Kind: share.ResetAtTime, AtMs: at.Time.UnixMilli()}
	}
	return queue.Options{
		Group: o.Group, Topics: slices.Clone(o.Topics), ClientID: o.ClientID, Synced: o.Acks == AckSynced, Settings: s,
		Waits: o.Retry != Retry{} && o.Retry.Min != NoWait,
	}
}
