package engine

import (
	"context"

	"github.com/samsa-go/samsa/log"
)

// Copying takes batches of another broker.
type Copying interface {
	// NewCopier returns the copier of that name, and fences the one before. When it returns, what that one has begun is stored and visible, or
	// will never be.
	NewCopier(ctx context.Context, name string) (Copier, error)
}

// Copier stores batches that come from elsewhere, one call after the other. It is for one goroutine.
type Copier interface {
	// Keeps reports whether batches get the offsets that they come with. Else they have to be dense, with the times of their producers.
	Keeps() bool
	// Copy stores batches and notes in one transaction, all or none. Once every batch has its offset, and before anything is
	// stored for good, it calls notes for the records that belong to that, which have topics and partitions. Batches of one partition
	// are side by side.
	//
	// ErrProducerFenced says that there is a newer copier of the name. ErrOffsetOutOfRange, from who keeps offsets, that somebody
	// else has written. ErrOutcomeUnknown leaves open whether all is stored: a new copier, and what is stored then, tell.
	Copy(ctx context.Context, batches []CopiedBatch, notes func() ([]log.Record, error)) error
	// Resume is for after an error: when it returns, what Copy has begun is stored and visible, or will never be. ErrProducerFenced says
	// that there is a newer copier.
	Resume(ctx context.Context) error
	// Close ends the copier. What is under way is none of its business any more.
	Close()
}

// CopiedBatch is a batch to be copied.
type CopiedBatch struct {
	TopicPartition log.TopicPartition
	TopicID        [16]byte  // of the topic that is meant: another one of that name is ErrUnknownTopic
	Batch          log.Batch // belongs to Copy, which may change its header, until that returns
	// Base is the offset of its first record: given where offsets are kept, else filled in before the notes are made.
	Base int64
}
