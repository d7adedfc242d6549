// Package probe holds the points at which the test kit listens to a broker and interferes
// with it. A broker without a test kit has none of it: a point then costs one atomic load.
//
// The points lie low, in the committer, the partition and the coordinator of groups, so that
// callers of the Go API and clients of the wire door meet the same faults; only what happens to
// a connection is the wire door's. What a fault is, how
// often it acts and whom it concerns is the business of the Probe, and of no point.
package probe

import (
	"context"
	"sync/atomic"

	"github.com/samsa-go/samsa/log"
)

// Op is what is about to be done.
type Op uint8

// The points.
const (
	Append        Op = iota + 1 // a transaction with batches is handed to the committer
	AppendAnswer                // it is stored and visible, and the caller is about to be told
	Fetch                       // a consumer reads a partition
	Commit                      // offsets of a group are to be committed
	CommitAnswer                // they are, and the caller is about to be told
	Join                        // a member joins its group
	Space                       // the free space is looked at for a transaction
	Request                     // a request of a client of the wire door is to be carried out
	RequestAnswer               // it was, and the client is about to be told
	Ack                         // acknowledgements of a member of a share group are to be carried out
	AckAnswer                   // they were, and who acknowledges is about to be told
)

// Work is what is about to be done, for whom. Fields that say nothing about an Op, and those
// that are not known, are zero.
type Work struct {
	Op         Op
	Key        int16                // of the API, for Request and RequestAnswer
	Partitions []log.TopicPartition // that are appended to, read, committed or named; -1 is the topic itself
	Group      string
	Groups     []string // that are named, for these
	TxnIDs     []string // transactional ids, likewise
	Member     string   // its id
	Client     string   // the client id of who asks
	Principal  string   // who asks, as "User:alice", for Request and RequestAnswer
}

// Verdict is what becomes of it. The zero value lets it pass.
type Verdict struct {
	Holds []<-chan struct{} // it waits until all of them are closed,
	Err   error             // and then fails with this, if it is not nil

	// Refused are partitions of a Request that fail alone, each with its error.
	Refused map[log.TopicPartition]error
}

// Probe is the test kit's end. Its methods are called from any goroutine, must not block, and
// must not call the broker.
type Probe interface {
	// Ask is called once for each piece of work.
	Ask(w Work) Verdict
	// Release is called when the broker begins to close: every hold ends.
	Release()

	Appended(a Appended)
	Fetched(f Fetched)
	Committed(c Committed)
	Rebalanced(r Rebalanced)
	Acknowledged(a Acknowledged)
	// Settled is called when it was stored what became of records of a share group, by whatever it was.
	Settled()
}

// Appended is the outcome of one batch.
type Appended struct {
	log.TopicPartition
	Client     string
	Batch      log.Batch // with its records; its offsets count from 0. Valid during the call only
	BaseOffset int64     // when Err is nil
	Err        error
}

// Fetched is the outcome of one read: the offsets [From, To), which were read whole.
type Fetched struct {
	log.TopicPartition
	Client   string
	From, To int64
	Err      error
}

// Committed is the outcome of a commit of offsets.
type Committed struct {
	Group, Member, Client string
	Offsets               map[log.TopicPartition]int64
	Err                   error
}

// Acknowledged is the outcome of acknowledgements in a partition.
type Acknowledged struct {
	log.TopicPartition
	Group, Member, Client string
	What                  string // offsets, and what became of them
	Err                   error
}

// Rebalanced says that a group has another state, generation or number of members than before.
type Rebalanced struct {
	Group      string
	State      string
	Generation int32
	Members    []Member
}

// Member is a member of a group, with its assignment as Kafka encodes it.
type Member struct {
	ID, Client string
	Assignment []byte
}

// Points is a broker's connection to its probe. The zero value has none.
type Points struct{ p atomic.Pointer[Probe] }

// Get returns the probe, nil when there is none.
func (p *Points) Get() Probe {
	if at := p.p.Load(); at != nil {
		return *at
	}
	return nil
}

// Attach makes p the probe unless there is one already, and returns the one there is.
func (p *Points) Attach(probe Probe) Probe {
	p.p.CompareAndSwap(nil, &probe)
	return p.Get()
}

// Release ends every hold, because the broker is about to close.
func (p *Points) Release() {
	if at := p.Get(); at != nil {
		at.Release()
	}
}

// Meet asks the probe, if there is one, and does what it says: it waits, at most until ctx
// ends, and returns the error that the work is to fail with.
func (p *Points) Meet(ctx context.Context, w Work) error {
	_, err := p.MeetEach(ctx, w)
	return err
}

// MeetEach is Meet for work of which parts can fail alone: it returns those as well.
func (p *Points) MeetEach(ctx context.Context, w Work) (refused map[log.TopicPartition]error, err error) {
	at := p.Get()
	if at == nil {
		return nil, nil
	}
	v := at.Ask(w)
	for _, hold := range v.Holds {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return v.Refused, v.Err
}
