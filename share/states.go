// Package share is the queues of a broker: which records of a partition a share group has with whom, and which are
// done (KIP-932). Partition is the machine, Coordinator brings time, concurrency and the store to it. Who the members
// of a group are it does not know. Users import the module root.
package share

import (
	"fmt"

	"github.com/samsa-go/samsa/log"
)

// State is where a record stands with a group, by Kafka's names.
//
//	Available -> Acquired -> Acknowledged
//	    ^           |------> Archiving -> Archived
//	    |___________|                        ^
//	  released, expired                      |  rejected, too many deliveries, gone from the log
type State uint8

// The states of a record, by Kafka's numbers.
const (
	Available    State = 0 // for whoever comes, though perhaps not before its time
	Acquired     State = 1 // somebody has it, until its lock runs out
	Acknowledged State = 2 // done, or nothing that anybody needs to see any more
	Archiving    State = 3 // on its way to the dead letters
)

var stateNames = [...]string{"available", "acquired", "acknowledged", "archiving"}

// String returns Kafka's name of the state.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// AckType is what becomes of a record that somebody has, by Kafka's numbers.
type AckType uint8

// The types of an acknowledgement.
const (
	Gap     AckType = iota // there is no such record
	Accept                 // it is done
	Release                // it is to come again
	Reject                 // nobody can do it: a dead letter
	Renew                  // it takes longer: the lock begins anew, as long as a whole one
)

var ackNames = [...]string{"gap", "accept", "release", "reject", "renew"}

// String returns Kafka's name of the type.
func (t AckType) String() string {
	if int(t) < len(ackNames) {
		return ackNames[t]
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// Range is records that were acquired together, all for the Deliveries-th time. First and Last are inclusive, and all
// offsets between them are records of it.
type Range struct {
	First, Last int64
	Deliveries  int
}

// Ack is what becomes of the records with the offsets First to Last, inclusive.
type Ack struct {
	First, Last int64
	Types       []AckType // one for all, or one for each offset
	// Deliveries is that of the delivery which is meant, 0 for whichever the member has now: a later one to
	// the same member is another.
	Deliveries int
	Lease      uint64 // that of the Delivery, 0 for whichever the group has now
	AfterMs    int64  // of a Release: not before, from now on; 0 is the group's backoff, negative is at once
	Reason     string // of a Reject, and of a Release that was the last, for the dead letter
	Moved      bool   // of a Reject: its dead letter is stored with it, by who asks
}

// typeOf returns the type for an offset of a.
func (a *Ack) typeOf(offset int64) AckType {
	if len(a.Types) == 1 {
		return a.Types[0]
	}
	return a.Types[offset-a.First]
}

// validate refuses what makes no sense for any state.
func (a *Ack) validate() error {
	switch {
	case a.First < 0 || a.Last < a.First:
		return fmt.Errorf("%w: offsets %d to %d", log.ErrNotAcquired, a.First, a.Last)
	case len(a.Types) != 1 && int64(len(a.Types)) != a.Last-a.First+1:
		return fmt.Errorf("%w: %d types for the offsets %d to %d", log.ErrNotAcquired, len(a.Types), a.First, a.Last)
	}
	for _, t := range a.Types {
		if t > Renew {
			return fmt.Errorf("%w: there is no acknowledgement of %s", log.ErrNotAcquired, t)
		}
	}
	return nil
}

// The checks of an acknowledgement.
var (
	errSettled = fmt.Errorf("%w: it was acknowledged already", log.ErrInvalidRecordState)
	errExpired = fmt.Errorf("%w: its lock has run out, or it was released", log.ErrInvalidRecordState)
	errAnew    = fmt.Errorf("%w: the group began anew, or the topic was deleted and created again", log.ErrInvalidRecordState)
	errOthers  = fmt.Errorf("%w: another member has it", log.ErrInvalidRecordState)
)
