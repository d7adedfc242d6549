package store

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/family"
)

// A backup is shipped as frames. Who ships them holds back the removal of value files: one of which nothing is alive stays
// named in the manifest as long as commits of it are not shipped. How far that is stands in the file BACKUP of the directory,
// so that it is known to the next owner, and written with each file that may go. It may lag behind, which holds back more.
//
// A hold has a limit in bytes of files that stay for its sake alone, and ends when that is passed, or the disk is full: the backup
// has to begin anew, and is told by ErrGap.

// ErrGap says that commits are not there any more which were to be shipped.
var ErrGap = family.New(family.ErrUnknown, "commits that are not in the backup yet are gone, it has to begin anew")

// Shipper is a store whose commits can be shipped. A store on disk is one.
type Shipper interface {
	// Hold notes that the backup with that id has all commits up to copied, and keeps those behind it, unless that takes more
	// than most bytes. It is ErrGap if the id is not known, or not all of them are there.
	Hold(id string, copied uint64, most int64) error
	// SnapshotHeld begins a backup: it returns a snapshot, and the last commit in it. What comes behind it is held.
	SnapshotHeld(id string, most int64) (Snapshot, uint64, error)
	// Unhold ends what Hold and SnapshotHeld have begun.
	Unhold(id string) error
	// AppendFrames appends the frames behind a commit to dst, as they lie in the value files, each checked. It ends with the
	// last commit that is durable, or when dst has most bytes; at least one frame is appended if there is one. It returns the
	// last commit that dst has now. ErrGap says that the next commit is not there any more.
	AppendFrames(dst []byte, after uint64, most int) ([]byte, uint64, error)
}

const holdsName = "BACKUP"

// hold is what a backup has.
type hold struct {
	Copied uint64 `json:"copied"` // all commits up to it
	Most   int64  `json:"most"`   // bytes of files
}

// holds are those of a store.
type holds struct {
	mu    sync.Mutex // guards what follows
	of    map[string]hold
	saved map[string]hold // as BACKUP has them

	reading sync.Mutex // guards what follows
	commit  uint64     // the next, which is at that place
	file    uint64
	offset  int64
}

type savedHolds struct {
	Version int             `json:"version"`
	Holds   map[string]hold `json:"holds"`
}

// readHolds reads what the last owner held.
func (s *diskStore) readHolds() error {
	s.holds.of, s.holds.saved = map[string]hold{}, map[string]hold{}
	file, err := s.fs.Open(holdsName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	size, err := file.Size()
	b := make([]byte, min(size, 1<<20))
	if err == nil {
		_, err = file.ReadAt(b, 0)
	}
	if err = Join(err, file.Close()); err != nil {
		return err
	}
	var saved savedHolds
	if err := json.Unmarshal(b, &saved); err != nil || saved.Version != 1 {
		s.log.Warn("what was held for backups cannot be read, they have to begin anew", zap.String("directory", s.dir), zap.Error(err))
		return nil
	}
	for id, h := range saved.Holds {
		s.holds.of[id], s.holds.saved[id] = h, h
	}
	return nil
}

// saveLocked writes the holds. holds.mu is held.
func (s *diskStore) saveHoldsLocked() error {
	b, err := json.Marshal(savedHolds{Version: 1, Holds: s.holds.of})
	if err != nil {
		return err
	}
	temp := holdsName + ".next"
	if err := s.fs.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := s.fs.Create(temp, int64(len(b)))
	if err != nil {
		return full(err)
	}
	if err = file.WriteAt(0, b); err == nil {
		err = file.Sync()
	}
	if err = Join(err, file.Close()); err != nil {
		return full(err)
	}
	if err := s.fs.Rename(temp, holdsName); err != nil {
		return err
	}
	if err := s.fs.SyncDir("."); err != nil {
		return err
	}
	clear(s.holds.saved)
	for id, h := range s.holds.of {
		s.holds.saved[id] = h
	}
	return nil
}

// heldFrom returns the commit up to which every backup has all.
func (h *holds) heldFrom() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	from := uint64(math.MaxUint64)
	for _, o := range h.of {
		from = min(from, o.Copied)
	}
	return from
}

// Hold implements Shipper.
func (s *diskStore) Hold(id string, copied uint64, most int64) error {
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	if s.opts.ReadOnly {
		return ErrReadOnly
	}
	s.holds.mu.Lock()
	defer s.holds.mu.Unlock()
	was, known := s.holds.of[id]
	if !known || copied < was.Copied || copied > s.files.lastWritten() {
		return fmt.Errorf("store %s: backup %s: %w", s.dir, id, ErrGap)
	}
	s.holds.of[id] = hold{Copied: copied, Most: most}
	saved := s.holds.saved[id]
	if saved.Most == most && !s.beganWithin(saved.Copied, copied) {
		return nil
	}
	return s.wrap("hold", s.saveHoldsLocked())
}

// beganWithin reports whether a value file began behind a commit, and not behind another.
func (s *diskStore) beganWithin(after, upTo uint64) (began bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.version.files {
		began = began || f.first > after && f.first <= upTo+1
		if f.held && f.first <= upTo {
			s.grown = max(s.grown, 1) // the next checkpoint has something to do
		}
	}
	return began
}

// SnapshotHeld implements Shipper.
func (s *diskStore) SnapshotHeld(id string, most int64) (Snapshot, uint64, error) {
	if !s.gate.enter() {
		return nil, 0, ErrClosed
	}
	defer s.gate.leave()
	if s.opts.ReadOnly {
		return nil, 0, ErrReadOnly
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.takeOver(true); err != nil {
		return nil, 0, err
	}
	s.holds.mu.Lock()
	defer s.holds.mu.Unlock()
	before := s.holds.of[id]
	s.holds.of[id] = hold{Copied: s.commit, Most: most}
	if err := s.saveHoldsLocked(); err != nil {
		s.holds.of[id] = before
		if before == (hold{}) {
			delete(s.holds.of, id)
		}
		return nil, 0, s.wrap("hold", err)
	}
	v, tree := s.now()
	return &diskSnapshot{s: s, version: v, tree: tree}, s.commit, nil
}

// Unhold implements Shipper.
func (s *diskStore) Unhold(id string) error {
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	s.holds.mu.Lock()
	defer s.holds.mu.Unlock()
	if _, known := s.holds.of[id]; !known || s.opts.ReadOnly {
		return nil
	}
	delete(s.holds.of, id)
	return s.wrap("hold", s.saveHoldsLocked())
}

// giveUpHolds ends the holds that keep more than they may of files that are kept for their sake alone, or, when the disk is full,
// all that keep any. It returns from where on files are held then. files are in the order of their commits, and last is the last
// commit of each.
func (s *diskStore) giveUpHolds(files []frozenFile, last func(int) uint64, dead func(int) bool, pressed bool) uint64 {
	s.holds.mu.Lock()
	ended := false
	for id, h := range s.holds.of {
		kept := int64(0)
		for i, f := range files {
			if dead(i) && last(i) > h.Copied {
				kept += f.size
			}
		}
		if kept > h.Most || pressed && kept > 0 {
			s.log.Warn("what a backup has not copied takes too much space and is given up, it has to begin anew", zap.String("directory", s.dir),
				zap.String("backup", id), zap.Int64("bytes", kept), zap.Int64("limit", h.Most), zap.Uint64("copied", h.Copied))
			delete(s.holds.of, id)
			ended = true
		}
	}
	var err error
	if ended {
		err = s.saveHoldsLocked()
	}
	s.holds.mu.Unlock()
	if err != nil && !errors.Is(err, ErrDiskFull) {
		_ = s.fail(err) // which later calls return
	}
	return s.holds.heldFrom()
}

// AppendFrames implements Shipper.
func (s *diskStore) AppendFrames(dst []byte, after uint64, most int) ([]byte, uint64, error) {
	if !s.gate.enter() {
		return dst, after, ErrClosed
	}
	defer s.gate.leave()
	h := &s.holds
	h.reading.Lock()
	defer h.reading.Unlock()
	durable := s.files.durable()
	v, _ := s.now()
	defer s.let(v)
	files := slices.SortedFunc(slices.Values(v.files), func(a, b *logFile) int { return cmp.Compare(a.rank, b.rank) })
	limit := uint64(math.MaxUint64)
	for i := len(files) - 1; i >= 0; i-- {
		if files[i].first >= limit { // what was in it was written once more
			files = slices.Delete(files, i, i+1)
			continue
		}
		limit = files[i].first
	}
	r := shipReader{files: files, next: after + 1, upTo: durable, most: most, dst: dst}
	if h.commit == r.next {
		r.at = slices.IndexFunc(files, func(f *logFile) bool { return f.number == h.file })
		r.offset = h.offset
	}
	if h.commit != r.next || r.at < 0 {
		r.find()
	}
	err := r.run()
	if err == nil && r.at >= 0 && r.at < len(files) {
		h.commit, h.file, h.offset = r.next, files[r.at].number, r.offset
	}
	return r.dst, r.next - 1, s.wrap("ship", err)
}

// shipReader reads frames in the order of their commits.
type shipReader struct {
	files  []*logFile // by rank
	at     int        // which one
	offset int64      // where the next frame is in it, or behind its last
	next   uint64     // commit
	upTo   uint64     // the last that is durable
	most   int        // bytes of dst
	dst    []byte
	window window
}

// find finds the file with the next commit: the last that begins with it or before. An earlier frame of it comes first.
func (r *shipReader) find() {
	r.at, r.offset = -1, fileHeaderSize
	for i, f := range r.files {
		if f.first <= r.next {
			r.at = i
		}
	}
}

// limit returns the commit from which on the frames of the present file do not count.
func (r *shipReader) limit() uint64 {
	if r.at+1 < len(r.files) {
		return r.files[r.at+1].first
	}
	return math.MaxUint64
}

func (r *shipReader) run() error {
	if r.next > r.upTo {
		return nil
	}
	if r.at < 0 {
		return ErrGap
	}
	r.enter()
	for begun := len(r.dst); r.next <= r.upTo && (len(r.dst) < r.most || len(r.dst) == begun); {
		b, h, err := r.frame()
		if err != nil {
			return err
		}
		if b == nil { // the file has no more
			if r.at+1 == len(r.files) || r.files[r.at+1].first != r.next {
				return fmt.Errorf("%w: commit %d is missing", ErrGap, r.next)
			}
			r.at, r.offset = r.at+1, fileHeaderSize
			r.enter()
			continue
		}
		r.offset += int64(h.length)
		if h.commit == r.next {
			r.dst = append(r.dst, b...)
			r.next++
		}
	}
	return nil
}

func (r *shipReader) enter() {
	f := r.files[r.at]
	r.window = window{file: f.file, end: f.size}
}

// frame returns the frame at the offset, nil where there is none that counts.
func (r *shipReader) frame() ([]byte, frameHeader, error) {
	f := r.files[r.at]
	if r.offset >= f.size || r.next >= r.limit() {
		return nil, frameHeader{}, nil
	}
	b, err := r.window.frame(r.offset)
	if err != nil {
		return nil, frameHeader{}, err
	}
	if len(b) < frameHeaderSize || allZero(b[:frameHeaderSize]) {
		return nil, frameHeader{}, nil
	}
	h, err := checkFrame(b)
	if err != nil || h.commit > r.next {
		err = cmp.Or(err, errFrameOther)
		return nil, h, fmt.Errorf("%w: %s, offset %d, commit %d: %w", ErrCorrupt, path.Join(valuesName, valueFileName(f.number)), r.offset, r.next, err)
	}
	return b, h, nil
}

// ParseFrame reads the frame that b begins with, and checks it but for the one before.
func ParseFrame(b []byte) (*Frame, error) {
	h, err := checkFrame(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return frameOf("", 0, b[:h.length], h), nil
}
