package store

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"sync"

	"github.com/samsa-go/samsa/internal/vfs"
)

// Space is allocated before it is needed. A spare value file stands ready for what comes next. A
// second one, the reserve, and tables as large as the tree (spares.go) are for what makes room:
// deletions, what goes with them, and checkpoints. Nothing else uses them, so that a disk which
// somebody has filled can be emptied from inside. What was used is replaced by what becomes free, which
// is not given back before: a neighbour who takes all there is would have it. What cannot be
// allocated is ErrDiskFull before a byte is written.
type space struct {
	s         *diskStore
	preparing job
	making    sync.Mutex // held by who prepares
	least     int64      // size of a value file
	tableSize int64

	unchecked int64 // bytes that were written since the file system was asked; guarded by diskStore.writing

	mu      sync.Mutex // guards what follows
	number  uint64     // of the next value file
	table   uint64     // of the next table
	spare   *logFile
	reserve *logFile
	scrap   *logFile // that nothing counts of, to become the reserve; it is closed
	tables  spares
	closed  bool
}

const (
	valueFileMin = 4 << 20
	valueFileMax = 64 << 20
	tableSize    = 4 << 20
	checkEvery   = 256 << 10 // bytes
)

func newSpace(s *diskStore) *space {
	p := &space{s: s, number: 1, table: 1, unchecked: checkEvery}
	p.tables.lent = map[uint64]int64{}
	p.preparing.do = p.prepare
	return p
}

// found takes the files that were allocated before the store was opened, and removes those of which there are
// enough: each open that failed may have left one more.
func (p *space) found(r *replay) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.number = r.number
	var errs []error
	for _, f := range r.spares {
		switch {
		case p.reserve == nil:
			p.reserve = f
		case p.spare == nil:
			p.spare = f
		default:
			errs = append(errs, p.discard(f))
		}
	}
	return Join(errs...)
}

// measure fits what is allocated to the size of the file system.
func (p *space) measure() error {
	_, total, err := p.s.fs.Space(".")
	if err != nil {
		return err
	}
	fits := func(least, size int64) int64 {
		if total <= 0 {
			return size
		}
		return max(least, min(size, total/64))
	}
	p.least = cmp.Or(p.s.opts.fileSize, fits(256<<10, valueFileMin))
	p.tableSize = cmp.Or(p.s.opts.tableSize, fits(256<<10, tableSize))
	p.tables.need = leastSpares * p.tableSize
	return nil
}

// fileSize returns the size of the next value file: a sixteenth of what is alive.
func (p *space) fileSize() int64 {
	p.s.mu.RLock()
	alive := p.s.version.alive()
	p.s.mu.RUnlock()
	return max(p.least, min(alive/16, valueFileMax, p.least*16))
}

// create allocates a value file.
func (p *space) create(size int64) (*logFile, error) {
	p.mu.Lock()
	number := p.number
	p.number++
	p.mu.Unlock()
	f, err := p.s.fs.Create(path.Join(valuesName, valueFileName(number)), size)
	if err != nil {
		return nil, err
	}
	return &logFile{number: number, file: f, size: size}, nil
}

// takeFile returns a value file with room for a frame of that size.
func (p *space) takeFile(size int64) (*logFile, error) {
	size += fileHeaderSize
	p.mu.Lock()
	f := p.spare
	if f != nil && f.size >= size {
		p.spare = nil
	} else {
		f = nil
	}
	p.mu.Unlock()
	if f == nil {
		var err error
		if f, err = p.create(max(size, p.fileSize())); err != nil {
			return nil, err
		}
	}
	f.seed, f.end = rand.Uint64(), fileHeaderSize
	p.preparing.wake()
	return f, nil
}

// prepare allocates what is missing.
func (p *space) prepare() {
	p.making.Lock()
	defer p.making.Unlock()
	if err := Join(p.makeReserve(), p.cover(), p.makeSpare(0)); err != nil && !errors.Is(err, vfs.ErrNoSpace) {
		_ = p.s.fail(err) // which later calls return
	}
}

func (p *space) makeReserve() error {
	p.mu.Lock()
	done, scrap := p.reserve != nil, p.scrap
	p.scrap = nil
	p.mu.Unlock()
	var err error
	if scrap != nil && !done {
		err = p.clean(scrap)
	}
	if scrap != nil && (done || err != nil) {
		return Join(err, p.s.fs.Remove(p.s.files.path(scrap.number)))
	}
	if done {
		return nil
	}
	f := scrap
	if f == nil {
		if f, err = p.create(p.least); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reserve = f
	return nil
}

// clean opens a file of which nothing counts, and makes it as one that was never used. It has another number then:
// items that were deleted may name the old one yet.
func (p *space) clean(f *logFile) error {
	p.mu.Lock()
	number := p.number
	p.number++
	p.mu.Unlock()
	if err := p.s.fs.Rename(p.s.files.path(f.number), p.s.files.path(number)); err != nil {
		return err
	}
	f.number = number
	if err := p.s.fs.SyncDir(valuesName); err != nil {
		return err
	}
	file, err := p.s.fs.Open(p.s.files.path(number))
	if err != nil {
		return err
	}
	// Without its header it has never begun, whatever the power leaves of the rest.
	for _, end := range []int64{fileHeaderSize, f.size} {
		if err = writeZeros(file, 0, end); err == nil {
			err = file.Sync()
		}
		if err != nil {
			break
		}
	}
	if err != nil {
		return Join(err, file.Close())
	}
	f.file = file
	return nil
}

// writeZeros writes zeros from an offset on up to another one.
func writeZeros(f vfs.File, from, to int64) error {
	zeros := make([]byte, min(to-from, 1<<20))
	for ; from < to; from += int64(len(zeros)) {
		if err := f.WriteAt(from, zeros[:min(int64(len(zeros)), to-from)]); err != nil {
			return err
		}
	}
	return nil
}

// removeFile removes a value file that is closed and of which nothing counts, or makes it the reserve if that
// was used.
func (p *space) removeFile(f *logFile) error {
	p.mu.Lock()
	keep := p.reserve == nil && p.scrap == nil && !p.closed && f.size >= p.least
	if keep {
		p.scrap = &logFile{number: f.number, size: f.size}
	}
	p.mu.Unlock()
	p.s.did.reclaimed.Add(f.size)
	if !keep {
		return p.s.fs.Remove(p.s.files.path(f.number))
	}
	p.preparing.wake()
	return nil
}

// makeSpare allocates a spare value file with room for a frame of that size, unless there is one.
func (p *space) makeSpare(size int64) error {
	size += fileHeaderSize
	p.mu.Lock()
	done := p.spare != nil && p.spare.size >= size
	p.mu.Unlock()
	if done {
		return nil
	}
	f, err := p.create(max(size, p.fileSize()))
	if err != nil {
		return err
	}
	p.mu.Lock()
	if p.spare == nil || p.spare.size < size {
		p.spare, f = f, p.spare
	}
	p.mu.Unlock()
	if f != nil { // it is too small, or two have made one
		return p.discard(f)
	}
	return nil
}

// discard removes a file that was never used.
func (p *space) discard(f *logFile) error {
	return Join(f.file.Close(), p.s.fs.Remove(p.s.files.path(f.number)))
}

// check reports that the file system has less free than is to be left. It is asked now and then, and until it has more.
func (p *space) check(n int64) error {
	if p.unchecked += n; p.unchecked < checkEvery {
		return nil
	}
	free, total, err := p.s.fs.Space(valuesName)
	if err != nil {
		return err
	}
	least := cmp.Or(p.s.opts.MinFreeBytes, min(defaultMinFreeBytes, total/16))
	if total > 0 && free < least { // else nobody knows
		return fmt.Errorf("%w: %d bytes free, %d are to be left", ErrDiskFull, free, least)
	}
	p.unchecked = 0
	return nil
}

// room makes sure that a frame of n bytes finds room in current, the newest file, or the one that
// comes behind it.
func (p *space) room(current *logFile, n int64, essential bool) error {
	if current != nil && current.end+n <= current.size && (essential || !current.spared) {
		return nil
	}
	err := p.makeSpare(n)
	if !errors.Is(err, vfs.ErrNoSpace) || !essential {
		return full(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reserve == nil || p.reserve.size < fileHeaderSize+n {
		return full(err)
	}
	p.spare, p.reserve = p.reserve, nil
	p.spare.spared = true
	return nil
}

// holds reports whether the reserve has room for operations of n bytes, in many frames.
func (p *space) holds(n int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reserve != nil && n+n/8 <= p.reserve.size
}

// numbers returns those of the next table and the next value file.
func (p *space) numbers() (table, file uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.table, p.number
}

// full calls it ErrDiskFull when there is no space.
func full(err error) error {
	if errors.Is(err, vfs.ErrNoSpace) {
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return err
}

// close gives back what is not needed while the store is closed. The reserve stays, and so do some tables.
func (p *space) close() error {
	p.preparing.stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	var errs []error
	if p.spare != nil {
		errs = append(errs, p.discard(p.spare))
	}
	if p.reserve != nil {
		errs = append(errs, p.reserve.file.Close())
	}
	if p.scrap != nil {
		errs = append(errs, p.s.fs.Remove(p.s.files.path(p.scrap.number)))
	}
	for _, number := range p.tables.ready[min(leastSpares, len(p.tables.ready)):] {
		errs = append(errs, p.s.fs.Remove(p.sparePath(number)))
	}
	p.spare, p.reserve, p.scrap, p.tables.ready = nil, nil, nil, nil
	return Join(errs...)
}

// Room implements Store.
func (s *diskStore) Room(n int, essential bool) error {
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	if s.opts.ReadOnly {
		return nil
	}
	err := s.room(n, essential)
	if errors.Is(err, ErrDiskFull) {
		s.press()
		if essential { // what was deleted before may have to be given back first
			s.round()
			err = s.room(n, true)
		}
	}
	if err != nil && !errors.Is(err, ErrDiskFull) {
		err = s.fail(err)
	}
	return s.wrap("make room", err)
}

func (s *diskStore) room(n int, essential bool) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.takeOver(essential); err != nil {
		return err
	}
	size := int64(frameHeaderSize + n + min(n, limitEntries)*maxOpOverhead)
	s.expect(0)
	if err := s.space.cover(); err != nil && (!essential || !errors.Is(err, ErrDiskFull)) {
		return err
	}
	if !essential {
		s.mu.RLock()
		memory, stuck := s.memory, s.stuck
		s.mu.RUnlock()
		if stuck != nil && memory >= treeBytes {
			return stuck
		}
		if err := s.space.check(int64(frameHeaderSize + n)); err != nil {
			return err
		}
	}
	if err := s.space.room(s.files.current(), size, essential); err != nil {
		return err
	}
	s.promised = size
	return nil
}

// expect has spares stand ready for the tree with so many bytes more, and returns how many that is.
func (s *diskStore) expect(more int) (tree int64) {
	s.mu.RLock()
	tree = int64(s.memory + s.freezes + more)
	s.mu.RUnlock()
	s.space.expect(tree)
	return tree
}
