package group

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// Offset is a committed offset: where the group goes on in a partition.
type Offset struct {
	Offset      int64  // of the next record to be consumed
	LeaderEpoch int32  // as the client gave it; -1 for none
	Metadata    string // the client's own
	At          time.Time

	// TopicID is the topic's identity: an offset of a topic that is gone is none. Who commits
	// leaves it zero, for whatever topic has the name now, or says which topic is meant.
	TopicID [16]byte

	damaged error // why it cannot be told, with the partition, wraps log.ErrCorruptValue; then only At is set
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
	b = append(b, o.TopicID[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(o.Offset))
	b = binary.BigEndian.AppendUint32(b, uint32(o.LeaderEpoch))
	b = binary.BigEndian.AppendUint64(b, uint64(o.At.UnixMilli()))
	return append(b, o.Metadata...)
}

func decodeOffset(v []byte) (Offset, error) {
	if len(v) < offsetFixedSize || v[0] != offsetVersion {
		return Offset{}, fmt.Errorf("%w: %d bytes are no committed offset", log.ErrCorruptValue, len(v))
	}
	o := Offset{
		Offset:      int64(binary.BigEndian.Uint64(v[17:])),
		LeaderEpoch: int32(binary.BigEndian.Uint32(v[25:])),
		At:          time.UnixMilli(int64(binary.BigEndian.Uint64(v[29:]))),
		Metadata:    string(v[offsetFixedSize:]),
	}
	copy(o.TopicID[:], v[1:])
	if o.Offset < 0 {
		return Offset{}, fmt.Errorf("%w: committed offset %d", log.ErrCorruptValue, o.Offset)
	}
	return o, nil
}

// CommitRequest asks to commit offsets for a group.
type CommitRequest struct {
	// MemberID, InstanceID and Generation say who commits. Generation -1 is somebody who is no
	// member, whatever the ids, and may commit only while the group is empty; if there is no
	// such group, the commit makes it.
	MemberID, InstanceID string
	Generation           int32
	Round                int                           // of member.Claim, for who asks whether to commit again
	Offsets              map[log.TopicPartition]Offset // all but At counts
	Synced               bool                          // wait for fsync
	Epochless            bool                          // by a version of the request in which Generation is no member epoch
	Began                time.Time                     // when it was asked for, if somebody has looked at the clock then; zero is now

	owner string // of Pend: the transactional id; "" for what counts at once
}

// Commit stores offsets, all or none, in one transaction. It waits for it even if ctx ends
// meanwhile, unless storing has not begun: when Commit fails, nothing was committed,
// except with ErrOutcomeUnknown. Offsets that are too many for one transaction, some thousand, take
// several, one after the other, and ErrOutcomeUnknown leaves those that were done.
//
// A member of a generation that has passed gets ErrIllegalGeneration or ErrUnknownMember:
// it cannot move the group back. Who names a generation of a group that nobody knows gets an
// error that is ErrUnknownGroup and ErrUnknownMember.
func (c *Coordinator) Commit(ctx context.Context, name string, req CommitRequest) error {
	for stored, part := range c.parts(name, req.Offsets) {
		req.Offsets = part
		tx := &writer.Tx{Essential: true, Synced: req.Synced}
		if err := c.CommitWith(ctx, tx, map[string]CommitRequest{name: req}); err != nil {
			return partly(err, stored)
		}
	}
	return nil
}

// alwaysFits is a number of offsets that fit into one transaction, whatever their names and
// metadata are.
const alwaysFits = 64

// parts divides offsets into what fits into one transaction each, and leaves it room for others:
// one part at least.
func (c *Coordinator) parts(name string, offsets map[log.TopicPartition]Offset) []map[log.TopicPartition]Offset {
	if len(offsets) <= alwaysFits {
		return []map[log.TopicPartition]Offset{offsets}
	}
	limits := c.st.Limits()
	var parts []map[log.TopicPartition]Offset
	var part map[log.TopicPartition]Offset
	size := 0
	for tp, o := range offsets {
		cost := len(offsetKey(name, tp)) + offsetFixedSize + len(o.Metadata)
		if part == nil || len(part) == limits.Entries/4 || size+cost > limits.Bytes/4 {
			part, size = make(map[log.TopicPartition]Offset), 0
			parts = append(parts, part)
		}
		part[tp] = o
		size += cost
	}
	return parts
}

// CommitWith stores offsets of any number of groups together with what tx holds: all of it
// or nothing. It is like Commit otherwise. tx.Done, if set, is told the outcome when what
// was stored is visible, before fsync; tx belongs to the committer until then, and after
// the end of ctx for good.
func (c *Coordinator) CommitWith(ctx context.Context, tx *writer.Tx, commits map[string]CommitRequest) error {
	err := c.commitWith(ctx, tx, commits)
	c.tellCommits(commits, err)
	return err
}

func (c *Coordinator) commitWith(ctx context.Context, tx *writer.Tx, commits map[string]CommitRequest) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.meetCommit(ctx, tx, commits); err != nil {
		return err
	}
	if err := c.write(tx, commits); err != nil {
		return err
	}
	var pending pendingCommits
	begun, told := tx.Begun, tx.Done
	settled := false
	settle := func(err error) { // in the order of the store, and not when fsync is done
		if settled {
			return
		}
		settled = true
		if told != nil {
			told(err)
		}
		pending.done(err)
	}
	tx.Stored, tx.Done = func() { settle(nil) }, settle
	tx.Begun = func() { // before the end of a transaction that comes later looks for its offsets
		pending.begin()
		if begun != nil {
			begun()
		}
	}
	err := c.place(ctx, tx, commits, &pending)
	if err != nil {
		return err
	}
	err = c.committer.Await(ctx, tx)
	if tx.Withdrawn() {
		pending.done(err)
		return err
	}
	if err == nil {
		err = c.meetAnswer(ctx, commits)
	}
	if err != nil {
		return fmt.Errorf("%s%w", pending.names(), err)
	}
	return nil
}

// pendingCommit is a group's part of a transaction.
type pendingCommit struct {
	name string
	en   *entry
	req  CommitRequest
}

// pendingCommits are sorted by name.
type pendingCommits []pendingCommit

// write adds commits to tx and completes their offsets.
func (c *Coordinator) write(tx *writer.Tx, commits map[string]CommitRequest) error {
	for _, name := range slices.Sorted(maps.Keys(commits)) {
		if err := CheckName(name); err != nil {
			return err
		}
		if err := c.addOffsets(tx, name, commits[name].owner, commits[name].Began, commits[name].Offsets); err != nil {
			return fmt.Errorf("group %s: %w", name, err)
		}
	}
	return nil
}

// place finds the groups of commits and hands tx over, after setting pending, which tx.Done uses. The
// caller awaits tx.
func (c *Coordinator) place(ctx context.Context, tx *writer.Tx, commits map[string]CommitRequest, pending *pendingCommits) error {
	for {
		var err error
		if *pending, err = c.find(commits); err != nil {
			return err
		}
		dying, err := pending.enter(c, tx)
		if err != nil || dying == nil {
			return err
		}
		select { // the next one of that name is another group
		case <-dying.buried:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// find finds the groups of commits, and makes those that a commit without a generation makes.
func (c *Coordinator) find(commits map[string]CommitRequest) (pendingCommits, error) {
	var pending pendingCommits
	for _, name := range slices.Sorted(maps.Keys(commits)) {
		req := commits[name]
		en, err := c.entry(name, req.Generation < 0)
		if err != nil {
			return nil, notThere(err, req)
		}
		pending = append(pending, pendingCommit{name, en, req})
	}
	return pending, nil
}

// notThere completes the error of a commit for a group that does not exist: no generation of it
// has members.
func notThere(err error, req CommitRequest) error {
	if errors.Is(err, log.ErrUnknownGroup) {
		return fmt.Errorf("%w: %w: %q", err, log.ErrUnknownMember, req.MemberID)
	}
	return err
}

// enter hands tx over, to be awaited, if every group allows its commit. The check and the place in the
// committer's order belong together: a generation that begins later is stored later. A group that
// is being deleted, and for whose successor the commit is, is returned, and nothing is done.
func (ps pendingCommits) enter(c *Coordinator, tx *writer.Tx) (dying *entry, err error) {
	now := time.Now()
	for _, p := range ps {
		p.en.lock()
		defer p.en.mu.Unlock()
	}
	for _, p := range ps {
		if p.req.Generation < 0 && p.en.machine().State() == Dead {
			return p.en, nil
		}
		entered, err := p.en.checkCommit(now, p.req)
		if err != nil {
			return nil, notThere(err, p.req)
		}
		defer entered()
	}
	for _, p := range ps {
		p.en.committing.Add(1)
	}
	c.committer.Enter(tx)
	return nil, nil
}

// begin notes the offsets of transactions: an end that comes later is about them too.
func (ps pendingCommits) begin() {
	for _, p := range ps {
		if p.req.owner != "" {
			p.en.pending.put(p.req.owner, p.req.Offsets)
		}
	}
}

// done makes stored offsets visible.
func (ps pendingCommits) done(err error) {
	for _, p := range ps {
		if err == nil && p.req.owner == "" {
			p.en.offsets.put(p.req.Offsets)
		}
		p.en.committing.Add(-1)
	}
}

func (ps pendingCommits) names() string {
	var s string
	for _, p := range ps {
		s += "group " + p.name + ": "
	}
	return s
}

// CheckOffset says whether Commit would take o for tp: ErrUnknownTopic, ErrUnknownPartition,
// ErrOffsetOutOfRange and ErrMetadataTooLarge say why not. Who has to commit what can be
// committed leaves the others out, as a commit is all or nothing.
func (c *Coordinator) CheckOffset(tp log.TopicPartition, o Offset) error {
	_, err := c.checkOffset(tp, o)
	return err
}

// checkOffset is CheckOffset and returns the topic's identity.
func (c *Coordinator) checkOffset(tp log.TopicPartition, o Offset) ([16]byte, error) {
	id, partitions, err := c.topics.TopicID(tp.Topic)
	switch {
	case err != nil:
	case o.TopicID != id && o.TopicID != [16]byte{}:
		err = fmt.Errorf("%w: %q was deleted, and another one has the name", log.ErrUnknownTopic, tp.Topic)
	case tp.Partition < 0 || tp.Partition >= partitions:
		err = fmt.Errorf("%w: %s, the topic has %d", log.ErrUnknownPartition, tp, partitions)
	case o.Offset < 0:
		err = fmt.Errorf("%w: %s, offset %d", log.ErrOffsetOutOfRange, tp, o.Offset)
	case len(o.Metadata) > MaxMetadata:
		err = fmt.Errorf("%w: %s, %d bytes, at most %d", log.ErrMetadataTooLarge, tp, len(o.Metadata), MaxMetadata)
	}
	return id, err
}

// addOffsets adds the writes of a commit to tx and completes the offsets. Owner is that of pending ones.
func (c *Coordinator) addOffsets(tx *writer.Tx, name, owner string, now time.Time, offsets map[log.TopicPartition]Offset) error {
	if now.IsZero() {
		now = time.Now()
	}
	now = now.Truncate(time.Millisecond) // as it is stored
	en := c.known(name)
	for tp, o := range offsets {
		id, err := c.checkOffset(tp, o)
		if err != nil {
			return err
		}
		o.TopicID, o.At = id, now
		if en != nil {
			o.At = en.timeOfCommit(now, owner, tp)
		}
		offsets[tp] = o
		key := offsetKey(name, tp)
		if owner != "" {
			key = pendingKey(owner, name, tp)
		}
		tx.Writes.Set(key, o.encode())
	}
	return nil
}

// timeOfCommit is the time of a commit that comes now. Settle goes by it: the commit is behind those that are stored,
// also when the clock was ahead of now at their time. Owner is that of a pending one.
func (en *entry) timeOfCommit(now time.Time, owner string, tp log.TopicPartition) time.Time {
	if at, ok := en.pending.last(owner, tp); ok && !now.After(at) {
		now = at.Add(time.Millisecond)
	}
	if o, ok := en.offsets.get(tp); ok && now.Before(o.At) {
		now = o.At
	}
	return now
}

func offsetKey(group string, tp log.TopicPartition) []byte {
	return store.AppendOffsetKey(nil, store.OffsetKey{Group: group, Topic: tp.Topic, Partition: tp.Partition})
}

// Fetch returns the committed offsets of a group for the partitions asked for, or, without
// any, all that it has. Partitions without one are missing from the result, and so is
// everything of a group that nobody knows. One that is damaged, or whose topic is, is ErrCorruptValue.
func (c *Coordinator) Fetch(name string, tps ...log.TopicPartition) (map[log.TopicPartition]Offset, error) {
	en, err := c.entry(name, false)
	if errors.Is(err, log.ErrUnknownGroup) {
		return make(map[log.TopicPartition]Offset), nil
	}
	if err != nil {
		return nil, err
	}
	if len(tps) == 0 {
		tps = make([]log.TopicPartition, 0, en.offsets.len())
		en.offsets.each(func(tp log.TopicPartition, _ Offset) { tps = append(tps, tp) })
	}
	found := make(map[log.TopicPartition]Offset, len(tps))
	for _, tp := range tps {
		o, ok := en.offsets.get(tp)
		if ok {
			ok, err = c.counts(tp, o)
		}
		if err != nil {
			return nil, fmt.Errorf("group %s: %w", name, err)
		}
		if ok {
			found[tp] = o
		}
	}
	return found, nil
}

// counts reports whether the topic is still the one that the offset was committed for. Where the offset or the
// topic is damaged nobody knows, and that is the error.
func (c *Coordinator) counts(tp log.TopicPartition, o Offset) (bool, error) {
	if o.damaged != nil {
		return false, o.damaged
	}
	id, _, err := c.topics.TopicID(tp.Topic)
	if errors.Is(err, log.ErrUnknownTopic) {
		return false, nil
	}
	return err == nil && id == o.TopicID, err
}

// gone reports whether the topic that the offset was committed for is known to be gone: with a
// damaged topic, or of a damaged offset, who knows.
func (c *Coordinator) gone(tp log.TopicPartition, o Offset) bool {
	id, _, err := c.topics.TopicID(tp.Topic)
	return errors.Is(err, log.ErrUnknownTopic) || err == nil && id != o.TopicID && o.damaged == nil
}

// FetchFrom is Fetch from a snapshot of the store.
func (c *Coordinator) FetchFrom(snap store.Snapshot, name string, tps ...log.TopicPartition) (map[log.TopicPartition]Offset, error) {
	found := make(map[log.TopicPartition]Offset)
	if _, err := c.entry(name, false); errors.Is(err, log.ErrCorruptValue) {
		return nil, err
	}
	add := func(tp log.TopicPartition, value []byte) error {
		o, err := decodeOffset(value)
		if err != nil {
			return fmt.Errorf("%s: %w", tp, err)
		}
		ok, err := c.counts(tp, o)
		if ok {
			found[tp] = o
		}
		return err
	}
	var err error
	if len(tps) == 0 {
		var value []byte
		err = snap.Scan(store.GroupOffsetRange(name), func(e store.Entry) (bool, error) {
			k, err := store.ParseOffsetKey(e.Key)
			if err != nil {
				return false, err
			}
			if value, err = e.AppendValue(value[:0]); err != nil {
				return false, err
			}
			return true, add(log.TopicPartition{Topic: k.Topic, Partition: k.Partition}, value)
		})
	}
	for _, tp := range tps {
		var value []byte
		if value, err = snap.Get(offsetKey(name, tp)); err == nil {
			err = add(tp, value)
		}
		if errors.Is(err, store.ErrNotFound) {
			err = nil
		}
		if err != nil {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("group %s: %w", name, err)
	}
	return found, nil
}
