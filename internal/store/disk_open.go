package store

import (
	"cmp"
	"errors"
	"slices"

	"go.uber.org/zap"
)

// open finds what the last owner has left, and has the store go on behind it.
func (s *diskStore) open() error {
	for _, dir := range []string{indexName, valuesName} {
		if err := s.fs.Mkdir(dir); err != nil {
			return err
		}
	}
	if err := s.fs.SyncDir("."); err != nil {
		return err
	}
	if err := s.space.measure(); err != nil {
		return err
	}
	if err := s.readHolds(); err != nil {
		return err
	}
	known, err := s.manifests.read()
	if known == nil {
		known = &manifest{nextTable: 1, nextFile: 1}
	}
	var whole *manifest
	switch {
	case s.opts.Rebuild && (err == nil || errors.Is(err, ErrCorrupt)):
		whole = known
		known = &manifest{nextTable: whole.nextTable, nextFile: whole.nextFile, boot: whole.boot}
	case err != nil:
		return err
	case !s.opts.ReadOnly:
		if err := s.manifests.create(); err != nil {
			return full(err)
		}
	}
	if err == nil && !s.opts.ReadOnly { // else there is none to fall back to, or nothing is written
		s.stale = cmp.Or(whole, known)
	}
	if flaw := s.manifests.flaw; flaw != nil && err == nil {
		s.log.Warn("a manifest is not whole, the other one serves", zap.String("directory", s.dir), zap.Error(flaw))
	}
	s.manifest = known
	if err := s.openRuns(whole); err != nil {
		return err
	}
	r := &replay{fs: s.fs, dir: s.files.dir, boot: s.opts.boot, known: known, whole: whole, blind: err != nil, renew: s.renew, begin: s.begin, apply: s.applier()}
	if err := r.run(); err != nil {
		return err
	}
	if r.cut != nil {
		s.log.Warn("cut what the last end has left unfinished", zap.String("directory", s.dir),
			zap.Uint64("last commit", r.next-1), zap.NamedError("cause", r.cut))
	}
	s.span, s.rolled = s.space.least*4, int64(len(r.files)) // the older ones have begun before the checkpoint
	if err := s.space.found(r); err != nil {
		return err
	}
	s.commit, s.found = r.next-1, r
	s.files.written, s.files.synced, s.files.rank = r.next-1, r.synced, r.rank
	if s.opts.ReadOnly {
		return nil
	}
	return s.goOnFound(whole)
}

// goOnFound has the store go on behind what was found, and do what is due. An index that was made anew counts from then
// on; whole is what was known before of that.
func (s *diskStore) goOnFound(whole *manifest) error {
	if err := s.takeOver(false); err != nil && !errors.Is(err, ErrDiskFull) {
		return err
	}
	if s.opts.Rebuild {
		if err := s.finishRebuild(whole); err != nil {
			return err
		}
	}
	if max(s.grown, s.rolled*s.space.least) >= 2*s.span { // a process that always dies soon must get there
		if err := s.checkpoint(); err != nil && !errors.Is(err, ErrDiskFull) {
			return err
		}
	}
	s.look()
	return nil
}

// takeOver has the store go on behind what the replay has found. After an unclean end that is in a new
// file: what is behind a cut must not come alive later, and what was not synced is written once
// more, as a page whose fsync has failed reads well until the machine is started again. An error of
// ErrDiskFull leaves it for later, any other is that of a store that has failed. What is essential may use the
// reserve. s.writing is held, or nobody else is there yet.
func (s *diskStore) takeOver(essential bool) error {
	if err := s.failure(); s.found == nil || err != nil {
		return err
	}
	err := s.goOn(s.found, essential)
	switch {
	case err == nil:
		s.found = nil
	case !errors.Is(err, ErrDiskFull):
		err = s.fail(err)
	}
	return err
}

func (s *diskStore) goOn(r *replay, essential bool) error {
	l := s.files
	if n := len(r.files); n > 0 {
		l.newest = r.files[n-1].logFile
	}
	if err := s.makeSound(r, essential); err != nil {
		return err
	}
	s.frame.begin()
	s.frame.addBegin(s.opts.boot)
	_, _, err := s.append()
	return err
}

// makeSound makes what was found durable, and the files such that a frame can follow. Without space for a new file
// that is done in place, if there is room in the newest.
func (s *diskStore) makeSound(r *replay, essential bool) error {
	l := s.files
	fits := l.newest != nil && l.newest.end+beginSize <= l.newest.size
	if r.ended { // what is behind synced says only that
		if err := s.space.room(l.newest, beginSize, essential); err != nil {
			return err
		}
		for _, f := range r.tail {
			l.soil(f.file)
			l.entry = true
		}
		l.chain = r.chain
		return nil
	}
	err := s.space.room(nil, r.tailSize(), essential && !fits)
	if err == nil {
		return s.writeAgain(r)
	}
	if !fits || !errors.Is(err, ErrDiskFull) {
		return err
	}
	return s.writeInPlace(r)
}

// writeInPlace writes the frames behind the last that is durable where they are, and zeros behind them.
func (s *diskStore) writeInPlace(r *replay) error {
	l := s.files
	for _, f := range r.tail {
		b, err := f.read(f.length)
		if err != nil {
			return err
		}
		if err := f.file.file.WriteAt(f.at, b); err != nil {
			return full(err)
		}
		l.soil(f.file)
	}
	if r.cut != nil {
		if err := writeZeros(l.newest.file, l.newest.end, l.newest.size); err != nil {
			return full(err)
		}
	}
	l.soil(l.newest)
	l.entry, l.chain = true, r.chain // files that were removed must not come back
	return l.sync(true)
}

// beginSize is what the frame takes that a session begins with.
const beginSize = frameHeaderSize + 1 + bootSize

// tailSize returns how many bytes writeAgain writes, and the frame behind.
func (r *replay) tailSize() (n int64) {
	for _, f := range r.tail {
		n += int64(f.length)
	}
	return n + beginSize
}

// writeAgain begins a file with the frames behind the last that is durable. Its header comes last, when
// the rest is durable, and makes it count.
func (s *diskStore) writeAgain(r *replay) error {
	l := s.files
	first := l.synced + 1
	if len(r.tail) == 0 {
		first = r.next
	}
	file, err := s.space.takeFile(r.tailSize())
	if err != nil {
		return err
	}
	if err := s.moveTail(r.tail, file); err != nil {
		return Join(err, file.file.Close())
	}
	if err := l.open(file, first); err != nil {
		return err
	}
	l.soil(file)
	return l.sync(true)
}

// moveTail writes the frames once more, to a file that has not begun.
func (s *diskStore) moveTail(tail []foundFrame, file *logFile) error {
	s.files.chain = file.seed
	for _, f := range tail {
		if err := s.files.copy(file, f, s.apply); err != nil {
			return err
		}
	}
	for _, f := range slices.Backward(tail) {
		if err := s.giveUp(f); err != nil {
			return err
		}
	}
	return file.file.Sync()
}

// giveUp has a file end before a frame, its last, that was copied: the power may take it yet.
func (s *diskStore) giveUp(f foundFrame) error {
	b, err := f.read(frameHeaderSize + f.ops)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f.file.end = f.at
	return readOps(b, f.frameHeader, func(_ byte, i *item) error {
		if i.key != nil {
			f.file.dead -= i.cost()
		}
		return nil
	})
}
