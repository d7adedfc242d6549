package store

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
)

// A replay finds the state that a store was left in: that of its first commits up to one, with
// everything that was durable, and after the end of the process alone everything there was.
//
// It reads frame after frame and ends at the first that is not whole, or not the next. Then it
// looks at what lies behind: whole frames there mean that the writes of a power cut came in
// another order, unless one of them says that the missing one was durable, or the machine still
// runs that wrote them: then the missing one is damaged, and nothing is given up.

// replay is one run of it.
type replay struct {
	l     *valueLog
	boot  [16]byte                                                      // of this machine; zero when unknown
	apply func(f *logFile, at int64, frame []byte, h frameHeader) error // called for each commit, in order

	files  []*replayedFile // with a header, by number; once it is done, those that count
	next   uint64          // commit that is not found yet
	synced uint64          // the last that is known to be durable
	ended  bool            // the last owner has closed the store
	owner  [16]byte        // boot of the last owner; zero when unknown
	cut    error           // why there is nothing from next on; nil when nothing was there
	chain  uint64          // hash of the last frame of the last file, or its seed
	tail   []foundFrame    // of commits behind synced
}

// replayedFile is a value file as it was found.
type replayedFile struct {
	*logFile
	first uint64
	limit uint64 // commits from it on are superseded by a younger file
	bad   error  // why the frames end, if not with zeros
}

// foundFrame is a frame that is whole and in its place.
type foundFrame struct {
	frameHeader
	file *logFile
	at   int64
}

// errDamaged: see replay.
var errDamaged = errors.New("value file is damaged")

// run reads the value files.
func (r *replay) run() error {
	unbegun, err := r.list()
	if err == nil {
		err = r.walk()
	}
	for _, f := range unbegun {
		if err == nil {
			err = r.checkUnbegun(f)
		}
	}
	return err
}

// list opens the value files. Those without a header are returned: they have never counted.
func (r *replay) list() (unbegun []*replayedFile, err error) {
	infos, err := r.l.fs.List(r.l.dir)
	if err != nil {
		return nil, err
	}
	for _, info := range infos { // by name, and so by number
		number, ok := parseValueFileName(info.Name)
		if !ok || info.Dir {
			continue
		}
		file, err := r.l.fs.Open(r.l.path(number))
		if err != nil {
			return nil, err
		}
		r.l.next = max(r.l.next, number+1)
		f := &replayedFile{logFile: &logFile{number: number, file: file, size: info.Size}}
		switch ok, err := f.readHeader(); {
		case err != nil:
			return nil, err
		case ok:
			r.files = append(r.files, f)
		default:
			unbegun = append(unbegun, f)
		}
	}
	return unbegun, r.supersede()
}

// supersede sets the limits, and removes the files of which nothing counts any more: those that come
// back when the power is lost.
func (r *replay) supersede() error {
	limit := uint64(math.MaxUint64)
	var kept []*replayedFile
	for _, f := range slices.Backward(r.files) {
		if f.first >= limit {
			if err := r.drop(f); err != nil {
				return err
			}
			continue
		}
		f.limit = limit
		limit = f.first
		kept = append(kept, f)
	}
	slices.Reverse(kept)
	r.files = kept
	return nil
}

// readHeader reads the header; false stands for none at all.
func (f *replayedFile) readHeader() (bool, error) {
	b := make([]byte, min(f.size, fileHeaderSize))
	if _, err := f.file.ReadAt(b, 0); err != nil {
		return false, err
	}
	h, ok := parseFileHeader(b)
	if !ok && allZero(b) {
		return false, nil
	}
	if !ok || h.number != f.number {
		return false, fmt.Errorf("%w: %w: %s, its header", ErrCorrupt, errDamaged, valueFileName(f.number))
	}
	f.seed, f.first = h.seed, h.first
	return true, nil
}

// load returns the content of the file.
func (f *replayedFile) load() ([]byte, error) {
	if f.size > math.MaxInt32 {
		return nil, fmt.Errorf("%w: %w: %s has %d bytes", ErrCorrupt, errDamaged, valueFileName(f.number), f.size)
	}
	b := make([]byte, f.size)
	if _, err := f.file.ReadAt(b, 0); err != nil {
		return nil, err
	}
	return b, nil
}

// walk finds the frames that count.
func (r *replay) walk() error {
	r.next = 1
	for i, f := range r.files {
		if f.first != r.next { // what would be before it is missing
			return r.stop(i, 0, nil)
		}
		if err := r.walkFile(f); err != nil {
			return err
		}
		if r.next == f.limit || i+1 < len(r.files) && r.next == r.files[i+1].first {
			continue
		}
		if f.bad != nil || i+1 < len(r.files) {
			return r.stop(i, f.end, f.bad)
		}
	}
	return nil
}

// walkFile reads the frames of f, and applies them.
func (r *replay) walkFile(f *replayedFile) error {
	b, err := f.load()
	if err != nil {
		return err
	}
	f.end = fileHeaderSize
	r.chain = f.seed
	for r.next < f.limit {
		rest := b[min(f.end, f.size):]
		if len(rest) < frameHeaderSize || allZero(rest[:frameHeaderSize]) {
			if !allZero(rest) {
				f.bad = errFrameMissing
			}
			return nil
		}
		h, err := checkFrame(rest)
		if err == nil && (h.before != r.chain || h.commit != r.next) {
			err = errFrameOther
		}
		if err != nil {
			f.bad = err
			return nil
		}
		if err := r.found(foundFrame{h, f.logFile, f.end}, rest); err != nil {
			return err
		}
		f.end += int64(h.length)
	}
	return nil
}

// found takes the next frame.
func (r *replay) found(f foundFrame, frame []byte) error {
	r.next++
	r.synced = max(r.synced, f.synced)
	r.ended, r.chain = false, f.hash
	for len(r.tail) > 0 && r.tail[0].commit <= r.synced {
		r.tail = r.tail[1:]
	}
	r.tail = append(r.tail, f)
	err := readOps(frame, f.frameHeader, func(o frameOp) error {
		switch o.kind {
		case opBegin:
			r.owner = o.boot
		case opEnd:
			r.ended = true
		}
		return nil
	})
	if err == nil {
		err = r.apply(f.file, f.at, frame, f.frameHeader)
	}
	return err
}

// stop ends the walk: the next commit is not whole at that place of the i-th file. It decides
// whether it was ever to be relied on, and gives up what comes behind it if not.
func (r *replay) stop(i int, at int64, bad error) error {
	f := r.files[i]
	if bad == nil {
		bad = errFrameMissing
	}
	where := fmt.Errorf("%s, offset %d, commit %d: %w", valueFileName(f.number), at, r.next, bad)
	why, err := r.reliedOn(i, at)
	if err != nil {
		return err
	}
	if why != "" {
		return fmt.Errorf("%w: %w: %w, and %s", ErrCorrupt, errDamaged, where, why)
	}
	r.cut, r.ended = where, false
	keep := i
	if at > 0 {
		keep = i + 1 // its first frames count
	}
	for _, later := range r.files[keep:] {
		if err := r.drop(later); err != nil {
			return err
		}
	}
	r.files = r.files[:keep]
	return nil
}

// reliedOn says why the next commit cannot be one that the power has taken; "" when it can.
func (r *replay) reliedOn(i int, at int64) (why string, err error) {
	if r.synced >= r.next {
		return fmt.Sprintf("commits up to %d were durable", r.synced), nil
	}
	for _, f := range r.files[i:] {
		if why, err = r.behind(f, at); why != "" || err != nil {
			return why, err
		}
		at = 0
	}
	return "", nil
}

// behind looks for whole frames of later commits in f, from an offset on, that say that the next one
// was to be relied on.
func (r *replay) behind(f *replayedFile, at int64) (why string, err error) {
	b, err := f.load()
	if err != nil {
		return "", err
	}
	for h := range wholeFrames(b[min(f.size, max(at, fileHeaderSize)):], r.next, f.limit) {
		switch {
		case h.synced >= r.next:
			return fmt.Sprintf("commit %d says that it was durable", h.commit), nil
		case r.owner == r.boot && r.boot != [16]byte{}:
			return fmt.Sprintf("commit %d is whole, and the machine has not been started since", h.commit), nil
		}
	}
	return "", nil
}

// wholeFrames yields the whole frames in b of commits from from on and before to, wherever they
// begin.
func wholeFrames(b []byte, from, to uint64) iter.Seq[frameHeader] {
	to = min(to, from+uint64(len(b)/frameHeaderSize)+1) // there is no room for more
	return func(yield func(frameHeader) bool) {
		for at := 0; at+frameHeaderSize <= len(b); at++ {
			h, err := parseFrameHeader(b[at:])
			if err != nil || h.commit < from || h.commit >= to {
				continue // nearly always: the rest costs time
			}
			if h, err = checkFrame(b[at:]); err != nil {
				continue
			}
			if !yield(h) {
				return
			}
			at += h.length - 1
		}
	}
}

// checkUnbegun removes a file without a header, unless it holds what was to be relied on.
func (r *replay) checkUnbegun(f *replayedFile) error {
	f.limit = math.MaxUint64
	why, err := r.behind(f, 0)
	if err == nil && why != "" {
		err = fmt.Errorf("%w: %w: %s, its header, and %s", ErrCorrupt, errDamaged, valueFileName(f.number), why)
	}
	if err != nil {
		return err
	}
	return r.drop(f)
}

// drop removes a file that does not count.
func (r *replay) drop(f *replayedFile) error {
	return errors.Join(f.file.Close(), r.l.fs.Remove(r.l.path(f.number)))
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
