package txn

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/samsa-go/samsa/log"
)

// Snapshot is what survives a restart of the broker. The partitions and groups of an open transaction need not be
// all: those that producing and committing have added are found where they were written.
type Snapshot struct {
	Producer   Producer
	LastEpoch  int16
	Previous   int64
	Timeout    time.Duration
	State      State
	Started    time.Time // zero if the producer had no transaction yet
	Used       time.Time
	Partitions []log.TopicPartition
	Groups     []string
}

// Snapshot returns what Restore needs.
func (t *Transaction) Snapshot() Snapshot {
	return Snapshot{
		Producer: t.producer, LastEpoch: t.lastEpoch, Previous: t.previous,
		Timeout: t.timeout, State: t.state, Started: t.started, Used: t.used,
		Partitions: slices.SortedFunc(maps.Keys(t.partitions), compareTPs), Groups: slices.Sorted(maps.Keys(t.groups)),
	}
}

// Restore returns the transactional id of a valid snapshot.
func Restore(id string, s Snapshot) *Transaction {
	t := NewTransaction(id)
	t.restored = true
	t.producer, t.lastEpoch, t.previous = s.Producer, s.LastEpoch, s.Previous
	t.timeout, t.state, t.started, t.used = s.Timeout, s.State, s.Started, s.Used
	for _, tp := range s.Partitions {
		t.partitions[tp] = struct{}{}
	}
	for _, g := range s.Groups {
		t.groups[g] = struct{}{}
	}
	return t
}

// notAfter has nothing of the snapshot be later than now: the clock was ahead, and what is to happen some time later would
// wait until it is there again.
func (s *Snapshot) notAfter(now time.Time) {
	for _, at := range []*time.Time{&s.Started, &s.Used} {
		if at.After(now) {
			*at = now
		}
	}
}

// storedTransaction is a Snapshot in the store, as JSON: a person may have to read it. Times are in ms since the
// epoch, 0 for none.
type storedTransaction struct {
	Version    int                `json:"version"`
	ProducerID int64              `json:"producerId"`
	Epoch      int16              `json:"epoch"`
	LastEpoch  int16              `json:"lastEpoch"`
	PreviousID int64              `json:"previousId"`
	TimeoutMs  int64              `json:"timeoutMs"`
	State      State              `json:"state"`
	StartedMs  int64              `json:"startedMs,omitempty"`
	UsedMs     int64              `json:"usedMs"`
	Partitions map[string][]int32 `json:"partitions,omitempty"` // by topic
	Groups     []string           `json:"groups,omitempty"`
}

const storedTransactionVersion = 1

// Encode returns the snapshot's stored form. Times are cut to milliseconds.
func (s Snapshot) Encode() []byte {
	stored := storedTransaction{
		Version: storedTransactionVersion, ProducerID: s.Producer.ID, Epoch: s.Producer.Epoch,
		LastEpoch: s.LastEpoch, PreviousID: s.Previous, TimeoutMs: s.Timeout.Milliseconds(), State: s.State,
		UsedMs: s.Used.UnixMilli(), Groups: s.Groups,
	}
	if !s.Started.IsZero() {
		stored.StartedMs = s.Started.UnixMilli()
	}
	for _, tp := range s.Partitions {
		if stored.Partitions == nil {
			stored.Partitions = make(map[string][]int32)
		}
		stored.Partitions[tp.Topic] = append(stored.Partitions[tp.Topic], tp.Partition)
	}
	v, err := json.Marshal(stored)
	if err != nil {
		panic("txn: plain data does not encode: " + err.Error())
	}
	return v
}

var errBadSnapshot = fmt.Errorf("%w: state of a transactional id", log.ErrCorruptValue)

// DecodeSnapshot undoes Encode. A snapshot that it returns can be restored. What is wrong with v is ErrCorruptValue.
func DecodeSnapshot(v []byte) (Snapshot, error) {
	var stored storedTransaction
	if err := json.Unmarshal(v, &stored); err != nil {
		return Snapshot{}, fmt.Errorf("%w: %s", errBadSnapshot, err.Error())
	}
	if stored.Version != storedTransactionVersion {
		return Snapshot{}, fmt.Errorf("%w: version %d, this library knows %d", errBadSnapshot, stored.Version, storedTransactionVersion)
	}
	s := Snapshot{
		Producer: Producer{stored.ProducerID, stored.Epoch}, LastEpoch: stored.LastEpoch, Previous: stored.PreviousID,
		State: stored.State, Used: time.UnixMilli(stored.UsedMs), Groups: stored.Groups,
	}
	if stored.StartedMs != 0 {
		s.Started = time.UnixMilli(stored.StartedMs)
	}
	for topic, partitions := range stored.Partitions {
		for _, i := range partitions {
			s.Partitions = append(s.Partitions, log.TopicPartition{Topic: topic, Partition: i})
		}
	}
	slices.SortFunc(s.Partitions, compareTPs)
	if stored.TimeoutMs < 1 || stored.TimeoutMs > math.MaxInt32 {
		return Snapshot{}, fmt.Errorf("%w: time-out of %d ms", errBadSnapshot, stored.TimeoutMs)
	}
	s.Timeout = time.Duration(stored.TimeoutMs) * time.Millisecond
	if err := s.validate(); err != nil {
		return Snapshot{}, fmt.Errorf("%w: %s", errBadSnapshot, err.Error())
	}
	return s, nil
}

// validate checks what the state machine takes for granted.
func (s Snapshot) validate() error {
	switch {
	case s.Producer.ID < 0 || s.Producer.Epoch < 0:
		return fmt.Errorf("producer %s", s.Producer)
	case s.LastEpoch < noEpoch || s.Previous < noProducerID:
		return fmt.Errorf("epoch before %d, producer id before %d", s.LastEpoch, s.Previous)
	case s.State == Ongoing && s.Started.IsZero():
		return errors.New("open, and never begun")
	case s.State != Ongoing && len(s.Partitions)+len(s.Groups) > 0:
		return fmt.Errorf("%s, with partitions or groups", s.State)
	}
	for _, tp := range s.Partitions {
		if tp.Topic == "" || tp.Partition < 0 {
			return fmt.Errorf("partition %s", tp)
		}
	}
	return nil
}
