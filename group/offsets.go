package group

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// Offset is a committed offset: where the group goes on in a partition.
type Offset struct {
	Offset      int64  // of the next record to be consumed
	LeaderEpoch int32  // as the client gave it; -1 for none
	Metadata    string // the client's own
	At          time.Time

	topic [16]byte // the topic's identity: an offset of a topic that is gone is none
}

// MaxMetadata is the longest metadata of an offset, in bytes (offset.metadata.max.bytes).
const MaxMetadata = 4096

// A committed offset as stored, 33 bytes and the metadata, big endian:
//
//	version u8 = 1 | topic id 16 | offset u64 | leader epoch i32 | committed at, ms i64 | metadata
const (
	offsetVersion   = 1
	offsetFixedSize = 1 + 16 + 8 + 4 + 8
)

func (o Offset) encode() []byte {
	b := make([]byte, 0, offsetFixedSize+len(o.Metadata))
	b = append(b, offsetVersion)
	b = append(b, o.topic[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(o.Offset))
	b = binary.BigEndian.AppendUint32(b, uint32(o.LeaderEpoch))
	b = binary.BigEndian.AppendUint64(b, uint64(o.At.UnixMilli()))
	return append(b, o.Metadata...)
}

func decodeOffset(v []byte) (Offset, error) {
	if len(v) < offsetFixedSize || v[0] != offsetVersion {
		return Offset{}, fmt.Errorf("%w: %d bytes are no committed offset", store.ErrCorrupt, len(v))
	}
	o := Offset{
		Offset:      int64(binary.BigEndian.Uint64(v[17:])),
		LeaderEpoch: int32(binary.BigEndian.Uint32(v[25:])),
		At:          time.UnixMilli(int64(binary.BigEndian.Uint64(v[29:]))),
		Metadata:    string(v[offsetFixedSize:]),
	}
	copy(o.topic[:], v[1:])
	if o.Offset < 0 {
		return Offset{}, fmt.Errorf("%w: committed offset %d", store.ErrCorrupt, o.Offset)
	}
	return o, nil
}

// CommitRequest asks to commit offsets for a group.
type CommitRequest struct {
	// MemberID, InstanceID and Generation say who commits. Somebody who is no member has
	// no ids and generation -1, and may commit only while the group is empty.
	MemberID, InstanceID string
	Generation           int32
	Offsets              map[log.TopicPartition]Offset // Offset, LeaderEpoch and Metadata count
	Synced               bool                          // wait for fsync
}

// Commit stores offsets, all or none, in one transaction. It waits for it even if ctx ends
// meanwhile, unless storing has not begun: when Commit fails, nothing was committed,
// except with ErrFailed.
//
// A member of a generation that has passed gets ErrIllegalGeneration or ErrUnknownMember:
// it cannot move the group back.
func (c *Coordinator) Commit(ctx context.Context, name string, req CommitRequest) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	en, err := c.entry(name, req.Generation < 0 && req.MemberID == "")
	if errors.Is(err, log.ErrUnknownGroup) {
		return fmt.Errorf("group %s: %w: %q", name, log.ErrUnknownMember, req.MemberID)
	}
	if err != nil {
		return err
	}
	tx, err := c.commitTx(name, req)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	tx.Done = func(err error) {
		if err == nil {
			en.committed(req.Offsets) // in the order of the store, and not when fsync is done
		}
		en.committing.Add(-1)
		if err == nil && req.Synced {
			c.committer.Sync(func(err error) { done <- err })
			return
		}
		done <- err
	}
	en.lock()
	// The check and the place in the committer's order belong together: a generation
	// that begins later is stored later.
	err = en.group.CheckCommit(time.Now(), req.MemberID, req.InstanceID, req.Generation)
	if err == nil {
		en.committing.Add(1)
		c.committer.Submit(tx)
	}
	en.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case err = <-done:
	case <-ctx.Done():
		if tx.Withdraw() {
			en.committing.Add(-1)
			return ctx.Err()
		}
		err = <-done
	}
	if err != nil {
		return fmt.Errorf("group %s: commit: %w", name, err)
	}
	return nil
}

// commitTx builds the transaction of a commit and completes the offsets of req.
func (c *Coordinator) commitTx(name string, req CommitRequest) (*partition.Tx, error) {
	tx := &partition.Tx{Essential: true}
	now := time.Now()
	for tp, o := range req.Offsets {
		id, partitions, ok := c.topics.TopicID(tp.Topic)
		switch {
		case !ok:
			return nil, fmt.Errorf("group %s: commit: %w: %q", name, log.ErrUnknownTopic, tp.Topic)
		case tp.Partition < 0 || tp.Partition >= partitions:
			return nil, fmt.Errorf("group %s: commit: %w: %s, the topic has %d", name, log.ErrUnknownPartition, tp, partitions)
		case o.Offset < 0:
			return nil, fmt.Errorf("group %s: commit: %w: %s, offset %d", name, log.ErrOffsetOutOfRange, tp, o.Offset)
		case len(o.Metadata) > MaxMetadata:
			return nil, fmt.Errorf("group %s: commit: %w: %s, %d bytes, at most %d", name, log.ErrMetadataTooLarge, tp, len(o.Metadata), MaxMetadata)
		}
		o.topic, o.At = id, now
		req.Offsets[tp] = o
		tx.Writes.Set(offsetKey(name, tp), o.encode())
	}
	return tx, nil
}

func offsetKey(group string, tp log.TopicPartition) []byte {
	return store.AppendOffsetKey(nil, store.OffsetKey{Group: group, Topic: tp.Topic, Partition: tp.Partition})
}

// committed makes stored offsets visible.
func (en *entry) committed(offsets map[log.TopicPartition]Offset) {
	en.offsetsMu.Lock()
	defer en.offsetsMu.Unlock()
	maps.Copy(en.offsets, offsets)
}

// Fetch returns the committed offsets of a group for the partitions asked for, or, without
// any, all that it has. Partitions without one are missing from the result, and so is
// everything of a group that nobody knows.
func (c *Coordinator) Fetch(name string, tps ...log.TopicPartition) (map[log.TopicPartition]Offset, error) {
	found := make(map[log.TopicPartition]Offset)
	en, err := c.entry(name, false)
	if errors.Is(err, log.ErrUnknownGroup) {
		return found, nil
	}
	if err != nil {
		return nil, err
	}
	en.offsetsMu.Lock()
	defer en.offsetsMu.Unlock()
	if len(tps) == 0 {
		for tp, o := range en.offsets {
			if c.valid(tp, o) {
				found[tp] = o
			}
		}
	}
	for _, tp := range tps {
		if o, ok := en.offsets[tp]; ok && c.valid(tp, o) {
			found[tp] = o
		}
	}
	return found, nil
}

// valid reports whether the topic is still the one that the offset was committed for.
func (c *Coordinator) valid(tp log.TopicPartition, o Offset) bool {
	id, _, ok := c.topics.TopicID(tp.Topic)
	return ok && id == o.topic
}
