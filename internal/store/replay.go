package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"path"
	"slices"

	"github.com/samsa-go/samsa/internal/vfs"
)

// A replay finds the state that a store was left in: that of its first commits up to one, with
// everything that was durable, and after the end of the process alone everything there was.
//
// It begins where the last checkpoint was, reads frame after frame, and ends at the first that is
// not whole, or not the next. Then it looks at what lies behind: whole frames there mean that the
// writes of a power cut came in another order, unless one of them says that the missing one was
// durable, or the machine still runs that wrote them: then the missing one is damaged, and nothing
// is given up.

// replay is one run of it.
type replay struct {
	fs    vfs.FS
	dir   string
	boot  [16]byte                                                      // of this machine; zero when unknown
	known *manifest                                                     // of the last checkpoint; before the first, one that says nothing
	whole *manifest                                                     // set when all files are to be read from their beginning: what is known of them, perhaps nothing
	blind bool                                                          // that is no manifest's word: they have gone
	renew func() error                                                  // called before a file is removed that was alive once
	begin func(f *logFile)                                              // called for each file that counts, in order
	apply func(f *logFile, at int64, frame []byte, h frameHeader) error // called for each commit, in order

	files  []*replayedFile // with a header and not before the checkpoint, by rank; in the end those that count
	spares []*logFile      // without a header, and zeros: allocated and not used
	number uint64          // that no file has had
	rank   uint64          // likewise
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
	start  int64  // what lies before it is in the checkpoint
	limit  uint64 // commits from it on are superseded by a younger file
	bad    error  // why the frames end, if not with zeros
	ends   int64  // where the checkpoint says that it ends at least
	closed bool   // it ends there: what lies behind was written once more elsewhere
}

// foundFrame is a frame that is whole and in its place.
type foundFrame struct {
	frameHeader
	file *logFile
	at   int64
}

// read returns the first n bytes of it.
func (f foundFrame) read(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := f.file.file.ReadAt(b, f.at)
	return b, err
}

// errDamaged: see replay.
var errDamaged = errors.New("value file is damaged")

func damaged(number uint64, what string) error {
	return fmt.Errorf("%w: %w: %s, %s", ErrCorrupt, errDamaged, valueFileName(number), what)
}

// run reads the value files.
func (r *replay) run() error {
	unbegun, err := r.list()
	if err == nil {
		err = r.supersede()
	}
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
	infos, err := r.fs.List(r.dir)
	if err != nil {
		return nil, err
	}
	r.number, r.rank, r.owner = max(1, r.known.nextFile), 1, r.known.boot
	old := map[uint64]fileInfo{}
	for _, f := range r.checkpoint().files {
		old[f.number] = f
	}
	for _, info := range infos { // by name, and so by number
		number, ok := parseValueFileName(info.Name)
		if !ok || info.Dir {
			continue
		}
		file, err := r.fs.Open(path.Join(r.dir, info.Name))
		if err != nil {
			return nil, err
		}
		f := &replayedFile{logFile: &logFile{number: number, file: file, size: info.Size}, start: fileHeaderSize}
		r.number = max(r.number, number+1)
		is, known := old[number]
		delete(old, number)
		begun, err := r.sort(f, is, known)
		if err != nil {
			return nil, err
		}
		if !begun {
			unbegun = append(unbegun, f)
		}
	}
	for number := range old {
		return nil, damaged(number, "it is missing")
	}
	slices.SortFunc(r.files, func(a, b *replayedFile) int { return cmp.Compare(a.rank, b.rank) })
	return unbegun, nil
}

// checkpoint returns what the last checkpoint has said of the files.
func (r *replay) checkpoint() *manifest {
	if r.whole != nil {
		return r.whole
	}
	return r.known
}

// sort puts a file where it belongs; false stands for one without a header. known tells whether the
// checkpoint names it, as is.
func (r *replay) sort(f *replayedFile, is fileInfo, known bool) (begun bool, err error) {
	if known && r.whole == nil {
		f.rank, f.first, f.end, f.counts = is.rank, is.first, is.end, is.counts
		r.rank = max(r.rank, f.rank+1)
		if f.size < f.end {
			return true, damaged(f.number, fmt.Sprintf("it has %d bytes of %d", f.size, f.end))
		}
		if f.number != r.known.position.file {
			r.begin(f.logFile)
			return true, nil
		}
		if ok, err := f.readHeader(); !ok || err != nil {
			return true, cmp.Or(err, damaged(f.number, "its header is not there"))
		}
		f.start = r.known.position.offset
		r.files = append(r.files, f)
		return true, nil
	}
	if ok, err := f.readHeader(); !ok || err != nil {
		return false, err
	}
	r.rank = max(r.rank, f.rank+1)
	if known && f.rank != is.rank {
		return true, damaged(f.number, "its header is that of another file")
	}
	f.ends, f.closed = is.end, known && f.number != r.checkpoint().position.file
	if !known && f.rank <= r.checkpoint().rank() {
		if err := r.renew(); err != nil {
			return true, err
		}
		return true, r.drop(f) // nothing of it is alive
	}
	r.files = append(r.files, f)
	return true, nil
}

// supersede sets the limits, and removes the files of which nothing counts any more: those that come
// back when the power is lost.
func (r *replay) supersede() error {
	limit := uint64(math.MaxUint64)
	var kept []*replayedFile
	for _, f := range slices.Backward(r.files) {
		if f.first >= limit && f.number != r.known.position.file {
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
	if !ok {
		return false, damaged(f.number, "its header")
	}
	f.rank, f.seed, f.first = h.rank, h.seed, h.first
	return true, nil
}

// load returns what the file holds from an offset on.
func (f *replayedFile) load(from int64) ([]byte, error) {
	if f.size > math.MaxInt32 {
		return nil, damaged(f.number, fmt.Sprintf("it has %d bytes", f.size))
	}
	b := make([]byte, max(0, f.size-from))
	if _, err := f.file.ReadAt(b, from); err != nil {
		return nil, err
	}
	return b, nil
}

// walk finds the frames that count.
func (r *replay) walk() error {
	r.next = max(1, r.known.position.commit)
	r.synced = max(r.next-1, r.checkpoint().durable)
	if p := r.checkpoint().position.commit; p > 0 {
		r.synced = max(r.synced, p-1)
	}
	for i, f := range r.files {
		if r.whole != nil && f.first > r.next && (i == 0 || r.files[i-1].bad == nil) {
			if err := r.pass(i); err != nil {
				return err
			}
		}
		if f.start == fileHeaderSize && f.first != r.next { // what would be before it is missing
			return r.stop(i, 0, nil)
		}
		if err := r.walkFile(f); err != nil {
			return err
		}
		if f.end < f.ends {
			return damaged(f.number, fmt.Sprintf("offset %d, commit %d: %v", f.end, r.next, cmp.Or(f.bad, errFrameMissing)))
		}
		if r.next == f.limit || i+1 < len(r.files) && (r.next == r.files[i+1].first || r.whole != nil && f.bad == nil) {
			continue
		}
		if f.bad != nil || i+1 < len(r.files) {
			return r.stop(i, f.end, f.bad)
		}
	}
	if r.synced >= r.next {
		return fmt.Errorf("%w: %w: commit %d is missing, and commits up to %d were durable", ErrCorrupt, errDamaged, r.next, r.synced)
	}
	return nil
}

// pass goes on with the i-th file, if nothing was alive of those between it and the one before. With a
// manifest that is so up to its position, and before the first checkpoint nowhere. Without one somebody must say
// that what is between was durable: else the power may have taken it, if it is not only the end of the file before
// that is missing.
func (r *replay) pass(i int) error {
	f, before := r.files[i], uint64(0)
	if i > 0 {
		before = r.files[i-1].rank
	}
	if !r.blind && f.rank > r.whole.rank() || r.blind && f.rank == before+1 {
		return nil // it does not begin where the one before ends
	}
	if r.blind && (r.owner != r.boot || r.boot == [16]byte{}) {
		vouched, err := r.vouched(i)
		if err != nil {
			return err
		}
		if !vouched {
			return damaged(f.number, fmt.Sprintf("commits %d to %d before it are missing, and nothing says that they were given up", r.next, f.first-1))
		}
	}
	r.next = f.first
	return nil
}

// vouched reports whether a frame says that what is before the i-th file was durable.
func (r *replay) vouched(i int) (bool, error) {
	first := r.files[i].first
	for h, err := range wholeFrames(r.files[i:], 0, first) {
		if err != nil || h.synced+1 >= first {
			return err == nil, err
		}
	}
	return false, nil
}

// walkFile reads the frames of f, and applies them.
func (r *replay) walkFile(f *replayedFile) error {
	w := window{file: f.file, end: f.size}
	f.end, r.chain = f.start, f.seed
	if f.number == r.known.position.file {
		r.chain = r.known.position.chain
	}
	r.begin(f.logFile)
	for r.next < f.limit && (!f.closed || f.end < f.ends) {
		b, err := w.frame(f.end)
		if err != nil {
			return err
		}
		if len(b) < frameHeaderSize || allZero(b[:frameHeaderSize]) {
			nothing, err := w.zeros(f.end)
			if !nothing {
				f.bad = errFrameMissing
			}
			return err
		}
		h, err := checkFrame(b)
		if err == nil && (h.before != r.chain || h.commit != r.next) {
			err = errFrameOther
		}
		if err != nil {
			f.bad = err
			return nil
		}
		if err := r.found(foundFrame{h, f.logFile, f.end}, b); err != nil {
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
	if f.commit > r.synced {
		r.tail = append(r.tail, f)
	}
	err := readOps(frame, f.frameHeader, func(kind byte, i *item) error {
		switch kind {
		case opBegin:
			r.owner = [bootSize]byte(i.value)
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
	why, err := r.reliedOn(r.files[i:], at)
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

// reliedOn says why the next commit, which should be in the files, from an offset of the first on, cannot be one
// that the power has taken; "" when it can.
func (r *replay) reliedOn(files []*replayedFile, at int64) (why string, err error) {
	if r.synced >= r.next {
		return fmt.Sprintf("commits up to %d were durable", r.synced), nil
	}
	for h, err := range wholeFrames(files, at, r.next) {
		switch {
		case err != nil:
			return "", err
		case h.synced >= r.next:
			return fmt.Sprintf("commit %d says that it was durable", h.commit), nil
		case r.owner == r.boot && r.boot != [16]byte{}:
			return fmt.Sprintf("commit %d is whole, and the machine has not been started since", h.commit), nil
		}
	}
	return "", nil
}

// wholeFrames yields the whole frames of the files, from an offset of the first on, and wherever they begin, that
// may count and hold commits from first on. It ends with an error.
func wholeFrames(files []*replayedFile, offset int64, first uint64) iter.Seq2[frameHeader, error] {
	return func(yield func(frameHeader, error) bool) {
		for _, f := range files {
			b, err := f.load(max(offset, fileHeaderSize))
			if err != nil {
				yield(frameHeader{}, err)
				return
			}
			offset = 0
			limit := min(f.limit, first+uint64(len(b)/frameHeaderSize)+1) // there is no room for more
			for at := lengthFrom(b, 0); at+frameHeaderSize <= len(b); at = lengthFrom(b, at+1) {
				h, err := parseFrameHeader(b[at:])
				if err != nil || h.commit < first || h.commit >= limit {
					continue // nearly always: the rest costs time
				}
				if h, err = checkFrame(b[at:]); err != nil {
					continue
				}
				if !yield(h, nil) {
					return
				}
				at += h.length - 1
			}
		}
	}
}

// lengthFrom returns where the next four bytes are, from at on, that are not all zeros, as the length of a frame is; len(b) if there are
// none. Behind the end of a file that is being written there are tens of MiB of zeros.
func lengthFrom(b []byte, at int) int {
	const step = 256
	for at+4 <= len(b) && binary.BigEndian.Uint32(b[at:]) == 0 {
		if at+step <= len(b) && allZero(b[at:at+step]) {
			at += step - 3 // the last three may be the first of a length
		} else {
			at++
		}
	}
	if at+4 > len(b) {
		return len(b)
	}
	return at
}

// checkUnbegun takes a file without a header for a spare one, or removes it, unless it holds what was
// to be relied on.
func (r *replay) checkUnbegun(f *replayedFile) error {
	w := window{file: f.file, end: f.size}
	nothing, err := w.zeros(0)
	if err != nil {
		return err
	}
	if nothing {
		r.spares = append(r.spares, f.logFile)
		return nil
	}
	f.limit = math.MaxUint64
	why, err := r.reliedOn([]*replayedFile{f}, 0)
	if err == nil && why != "" {
		err = damaged(f.number, "its header, and "+why)
	}
	if err != nil {
		return err
	}
	r.cut = fmt.Errorf("%s: it was written to, and its header never", valueFileName(f.number)) // unless a walk stops before
	return r.drop(f)
}

// drop removes a file that does not count.
func (r *replay) drop(f *replayedFile) error {
	return Join(f.file.Close(), r.fs.Remove(path.Join(r.dir, valueFileName(f.number))))
}

func allZero(b []byte) bool {
	return len(b) == 0 || b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1])
}
