package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"
)

// What calls for a checkpoint: so many items in the tree, so many bytes of them, or as many bytes
// of frames, or of files, as an eighth of what is alive: more where little of it ends.
const (
	treeEntries = 100_000
	treeBytes   = 16 << 20
	spanLeast   = 64 << 20  // of a large store
	spanMost    = 256 << 20 // where checkpoints find little that has ended
)

// flushBytes is after how many bytes of a value file it is fsynced in the background: an open after a kill writes once more what is
// not known to be durable.
const flushBytes = 16 << 20

// dueLocked reports whether a checkpoint is.
func (s *diskStore) dueLocked() bool {
	return s.tree.Len() >= s.opts.treeEntries || s.memory >= treeBytes || max(s.grown, s.rolled*s.space.least) >= s.span
}

// look has what is due done in the background. What is to stand ready does not wait for the rest: a short session
// leaves it, too, and a neighbour may take the space.
func (s *diskStore) look() {
	s.tending.wake()
	s.merging.wake()
	s.space.preparing.wake()
}

// press has space given back that is not worth it otherwise.
func (s *diskStore) press() {
	s.mu.Lock()
	s.pressed = true
	s.mu.Unlock()
	s.tending.wake()
}

// wait waits while much more has come than calls for a checkpoint, and one is on its way: memory, what
// an open has to replay, and what waits to be given back are bounded by that. Where garbage takes too
// much space, it waits until that is given back, or a whole round of tend was not enough. While twice as much of
// the tables counts no more as calls for a merge, it waits for that. It returns how long that has taken.
func (s *diskStore) wait() (stalled time.Duration) {
	var began time.Time
	for first := int64(-1); ; {
		s.mu.RLock()
		if first < 0 {
			first = s.rounds
		}
		over := s.tree.Len() >= 2*s.opts.treeEntries || s.memory >= 2*treeBytes || s.grown >= 2*s.span || s.crowded
		over = over && s.rounds < first+2
		lagging, turned := s.lagging, s.turned
		stop := !over && !lagging || s.stuck != nil || s.failed != nil
		s.mu.RUnlock()
		if stop && began.IsZero() {
			return 0
		}
		if stop {
			stalled = time.Since(began)
			s.did.stalls.Add(1)
			s.did.stalled.Add(int64(stalled))
			return stalled
		}
		if began.IsZero() {
			began = time.Now()
		}
		if over {
			s.tending.wake()
		}
		if lagging {
			s.merging.wake()
		}
		<-turned
	}
}

// round waits until a whole round of tend has ended that began later.
func (s *diskStore) round() {
	for first := int64(-1); ; {
		s.mu.RLock()
		if first < 0 {
			first = s.rounds
		}
		done, turned := s.rounds >= first+2 || s.failed != nil, s.turned
		s.mu.RUnlock()
		if done {
			return
		}
		s.tending.wake()
		<-turned
	}
}

// crowdedLocked reports whether the value files have much more than what is alive.
func (s *diskStore) crowdedLocked() bool {
	size, alive := int64(0), int64(0)
	for _, f := range s.version.files {
		if f.held {
			continue // it is the backup's to let go
		}
		size += f.size
		if !f.moved {
			alive += f.live
		}
	}
	return size > alive+alive/8+6*s.space.least
}

// tend does what is due: it makes checkpoints and gives space back, and then has tables merged and files allocated.
func (s *diskStore) tend() {
	s.mu.Lock()
	due, pressed := s.dueLocked(), s.pressed
	s.pressed, s.pressing = false, pressed
	s.mu.Unlock()
	var err error
	if due || pressed {
		err = s.checkpoint()
	}
	if err == nil && pressed {
		err = s.fail(s.space.trim())
	}
	if err == nil {
		err = s.giveBack(pressed, s.tending.stopping)
	}
	switch {
	case errors.Is(err, errStopped):
	case err == nil:
		s.told = false
	case !s.told || !errors.Is(err, ErrDiskFull): // a full disk is met again and again
		s.told = errors.Is(err, ErrDiskFull)
		s.log.Warn("giving space back failed", zap.String("directory", s.dir), zap.Error(err))
	}
	if pressed {
		s.space.prepare() // who waits for this round needs what has become free
	}
	s.mu.Lock()
	s.rounds++
	s.turnLocked()
	s.mu.Unlock()
	s.merging.wake()
	s.space.preparing.wake()
}

// settle makes a checkpoint unless little has come since the last.
func (s *diskStore) settle() error {
	s.mu.RLock()
	much := s.grown >= 1<<20 || s.tree.Len() >= s.opts.treeEntries/4
	s.mu.RUnlock()
	if !much {
		return nil
	}
	if err := s.checkpoint(); err != nil && !errors.Is(err, ErrDiskFull) {
		return err
	}
	return nil
}

// Reclaim implements Store.
func (s *diskStore) Reclaim(ctx context.Context) error {
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	return s.wrap("give space back", s.reclaim(ctx))
}

func (s *diskStore) reclaim(ctx context.Context) error {
	if err := ctx.Err(); err != nil || s.opts.ReadOnly {
		return err
	}
	if err := s.checkpoint(); err != nil {
		return err
	}
	defer s.look()
	return s.giveBack(true, ctx.Err)
}

// movedBytes is how much space may be waiting for a checkpoint to give it back.
const movedBytes = 32 << 20

// giveBack copies what is alive of value files that have much garbage, and has them go; thorough, it then merges the
// tables, if there is space for that. What is garbage by the time it returns, but was not when it was called, is
// for the next call. stop says why to return before.
func (s *diskStore) giveBack(thorough bool, stop func() error) error {
	err := s.emptyFiles(thorough, stop)
	if thorough && (err == nil || errors.Is(err, ErrDiskFull)) {
		if e := s.merge(true, stop); !errors.Is(e, ErrDiskFull) {
			err = cmp.Or(err, e)
		}
	}
	return err
}

func (s *diskStore) emptyFiles(thorough bool, stop func() error) error {
	last := s.files.current() // what is copied lies behind it
	moved := int64(0)
	others := thorough // may have copied files whose checkpoint is still to come
	for {
		if err := stop(); err != nil {
			return err
		}
		f := s.worst(thorough, last)
		if f == nil && moved == 0 {
			if !others || !s.waiting() {
				return nil
			}
			others = false
		}
		var err error
		if f != nil {
			moved += f.size
			err = s.collect(f, thorough)
		}
		full := errors.Is(err, ErrDiskFull) && moved > f.size // what was moved goes first
		if f == nil || full || err == nil && moved >= movedBytes {
			moved, err = 0, s.checkpoint()
		}
		if err != nil {
			return err
		}
	}
}

// waiting reports whether the next checkpoint has a value file go that was copied.
func (s *diskStore) waiting() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.ContainsFunc(s.version.files, func(f *logFile) bool { return f.moved && !f.held })
}

// worst returns the value file whose survivors are to be copied, so that it can go: the one with the
// largest part of garbage. It is nil when that is not worth it: an eighth of what is alive may be
// garbage, and thorough or not, an eighth of a file. Files from last on are not looked at.
func (s *diskStore) worst(thorough bool, last *logFile) *logFile {
	if last == nil {
		return nil
	}
	slack := s.space.least * 4
	s.mu.RLock()
	defer s.mu.RUnlock()
	var worst, oldest *logFile
	var alive, garbage, tombs int64
	most := 1.0 / 8
	for _, f := range s.version.files {
		alive += f.live
		tombs += f.tombs
		if f.rank >= last.rank || f.unread || f.moved || f.held {
			continue
		}
		if oldest == nil || f.rank < oldest.rank {
			oldest = f
		}
		waste := f.dead
		if tail := f.size - f.end; tail > f.size/2 { // the session was killed
			waste += tail
		}
		garbage += waste
		if part := float64(waste) / float64(f.size); part > most {
			worst, most = f, part
		}
	}
	switch {
	case tombs > alive/8+slack && oldest != nil:
		return oldest // most of them are needed no more when it is gone
	case thorough || garbage > alive/8+slack:
		return worst
	}
	return nil
}

// collect copies what is alive of a value file to the newest, so that nothing of it is left. With
// pressed it may use the reserve.
func (s *diskStore) collect(f *logFile, pressed bool) error {
	s.collecting.Lock()
	defer s.collecting.Unlock()
	v, _ := s.now()
	defer s.let(v)
	if v.find(f.number) != f {
		return nil // it has gone meanwhile
	}
	s.mu.RLock()
	alive := f.live + f.tombs
	s.mu.RUnlock()
	c := collection{s: s, from: f, pressed: pressed && s.space.holds(alive)}
	c.older = slices.ContainsFunc(v.files, func(o *logFile) bool { return o.rank < f.rank })
	err := c.run()
	bad := errors.Is(err, ErrCorrupt)
	s.mu.Lock()
	f.moved, f.unread = err == nil, bad
	s.grown = max(s.grown, 1) // the next checkpoint has something to do: f goes
	s.turnLocked()
	s.mu.Unlock()
	if bad { // others are worth it still
		s.log.Error("a value file is damaged, what is alive of it is not moved", zap.String("directory", s.dir), zap.Error(err))
		return nil
	}
	return err
}

// collection is the copying of one value file.
type collection struct {
	s       *diskStore
	from    *logFile
	older   bool // there are older files, and so deletions count
	pressed bool
	chunk   []*item // that may count still, with their values, the large ones too
	bytes   int
}

const (
	chunkBytes   = 1 << 20
	chunkEntries = 1000
)

func (c *collection) run() error {
	err := c.from.each(func(at int64, frame []byte, h frameHeader) error {
		return readOps(frame, h, func(_ byte, i *item) error {
			if i.key == nil || i.deleted && (!c.older || i.key[0] == prefixBatch) {
				return nil
			}
			if i.large {
				i.value = frame[i.at : i.at+i.size]
				i.at += int(at)
			}
			return c.look(i)
		})
	})
	if err != nil {
		return err
	}
	return c.flush()
}

// look takes what an operation has made into the chunk if it counts.
func (c *collection) look(u *item) error {
	if counts, err := c.counts(u); !counts || err != nil {
		return err
	}
	n := len(u.key) + len(u.value)
	if c.bytes+n > chunkBytes || len(c.chunk) == chunkEntries { // more than a chunk goes alone: a commit may not hold more with it
		if err := c.flush(); err != nil {
			return err
		}
	}
	c.chunk = append(c.chunk, u.clone())
	c.bytes += n
	return nil
}

// counts reports whether nothing newer is known of the key.
func (c *collection) counts(u *item) (bool, error) {
	v, i, err := c.s.get(u.key)
	defer c.s.let(v)
	switch {
	case err != nil:
		return false, err
	case i == nil:
		return u.deleted, nil
	case i.file != c.from.number || i.version != u.version || i.deleted != u.deleted:
		return false, nil
	case i.large:
		return i.at == u.at, nil
	}
	return bytes.Equal(i.value, u.value), nil // else the frame sets the key twice
}

// flush writes the chunk as a commit, but for what was overwritten since.
func (c *collection) flush() error {
	if len(c.chunk) == 0 {
		return nil
	}
	s := c.s
	if err := c.write(); err != nil {
		return err
	}
	clear(c.chunk)
	c.chunk, c.bytes = c.chunk[:0], 0
	s.mu.RLock()
	due := s.dueLocked()
	s.mu.RUnlock()
	if due {
		return s.checkpoint()
	}
	return nil
}

func (c *collection) write() error {
	s := c.s
	s.writing.Lock()
	defer s.writing.Unlock()
	var b Batch
	memory := 0
	for _, u := range c.chunk {
		counts, err := c.counts(u)
		if err != nil {
			return err
		}
		if counts {
			b.add(op{key: u.key, value: u.value, remove: u.deleted})
			if memory += u.memory(); u.large {
				memory -= u.size // the file has it
			}
		}
	}
	if b.Len() == 0 {
		return nil
	}
	// On a full disk it may not take the spares of what is deleted later.
	tree := s.expect(memory)
	if err := s.space.cover(); err != nil && (!errors.Is(err, ErrDiskFull) || !s.space.joins(tree)) {
		return err
	}
	size := int64(frameHeaderSize+b.Bytes()+b.Len()*maxOpOverhead) + s.promised
	if err := s.space.room(s.files.current(), size, c.pressed); err != nil {
		return err
	}
	err := s.write(&b)
	if err == nil {
		s.did.moved.Add(int64(b.Bytes()))
	}
	return err
}
