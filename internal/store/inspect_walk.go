package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"

	"github.com/samsa-go/samsa/internal/vfs"
)

// A walk goes through the value files as a replay does that makes the index anew, and decides by the same signs what is an
// unfinished end and what is damage. But it changes nothing, needs no index, and goes on behind damage: with the next whole
// frame, wherever it begins.
//
// Beside an owner that writes, what is read may be half of what it becomes. There frames come one after the other: a frame
// behind another says that this one is complete. So what is not whole is the end, unless a whole frame follows, and it is
// still not whole when read again after that. A file that is given up meanwhile is removed, or its header is made zeros
// before all else: then it is passed over.

// fileWalk is one walk.
type fileWalk struct {
	ctx  context.Context
	fs   vfs.FS
	boot [16]byte
	o    WalkOptions
	sum  Walked

	known   *manifest // what is known of the files; nil when there is no manifest
	files   []*walkedFile
	unbegun []*walkedFile // without a header
	next    uint64        // commit that comes next
	owner   [16]byte      // boot of the last owner, as far as frames tell
	done    int64         // bytes of files that were walked through
	total   int64
}

// walkedFile is a value file that counts.
type walkedFile struct {
	replayedFile
	window window
}

func newFileWalk(ctx context.Context, fs vfs.FS, boot [16]byte, o WalkOptions) *fileWalk {
	if o.Frame == nil {
		o.Frame = func(*Frame) error { return nil }
	}
	if o.Flaw == nil {
		o.Flaw = func(Flaw) error { return nil }
	}
	if o.Progress == nil {
		o.Progress = func(int64, int64) {}
	}
	return &fileWalk{ctx: ctx, fs: fs, boot: boot, o: o}
}

// errWalkEnds ends a walk where the end was found.
var errWalkEnds = errors.New("the end was found")

func (w *fileWalk) run() (err error) {
	defer func() {
		for _, f := range slices.Concat(w.files, w.unbegun) {
			err = Join(err, f.file.Close())
		}
	}()
	if err := w.list(); err != nil {
		return err
	}
	w.supersede()
	w.sum.Files = len(w.files)
	for i, f := range w.files {
		if err = w.enter(i); err == nil {
			err = w.walk(i)
		}
		if err != nil {
			break
		}
		w.done += f.size
	}
	if errors.Is(err, errWalkEnds) {
		err = nil
	}
	if err != nil {
		return err
	}
	w.o.Progress(w.total, w.total)
	for _, f := range w.unbegun {
		if err := w.judgeUnbegun(f); err != nil {
			return err
		}
	}
	if !w.o.Live && w.sum.Synced >= w.next && w.next > 0 {
		lost := fmt.Errorf("%w: commits %d to %d are missing at the end, and they were durable", ErrCorrupt, w.next, w.sum.Synced)
		return w.o.Flaw(Flaw{File: valuesName, Commit: w.next, Kind: FlawDir, Err: lost})
	}
	return nil
}

// readManifest returns the newest whole manifest, or nil.
func (w *fileWalk) readManifest() (*manifest, error) {
	slots := manifests{fs: w.fs, dir: "."}
	var newest *manifest
	for i := range slots.sizes {
		m, err := slots.load(i)
		switch {
		case errors.Is(err, errManifest), errors.Is(err, ErrNewerFormat):
		case err != nil:
			return nil, err
		case newest == nil || m.sequence > newest.sequence:
			newest = m
		}
	}
	if newest != nil && newest.position == (position{}) && newest.durable == 0 {
		return nil, nil
	}
	return newest, nil
}

// list opens the files that have begun.
func (w *fileWalk) list() (err error) {
	if w.known, err = w.readManifest(); err != nil {
		return err
	}
	old := map[uint64]fileInfo{}
	if w.known != nil {
		w.owner, w.sum.Synced = w.known.boot, max(w.known.durable, max(1, w.known.position.commit)-1)
		for _, f := range w.known.files {
			old[f.number] = f
		}
	}
	infos, err := w.fs.List(valuesName)
	if errors.Is(err, fs.ErrNotExist) {
		infos, err = nil, nil
	}
	if err != nil {
		return err
	}
	for _, info := range infos {
		number, ok := parseValueFileName(info.Name)
		if !ok || info.Dir {
			continue
		}
		is, known := old[number]
		delete(old, number)
		if err := w.open(number, info.Size, is, known); err != nil {
			return err
		}
	}
	if len(old) > 0 && w.o.Live { // given up, or missing
		again, err := w.readManifest()
		if err != nil {
			return err
		}
		for number := range old {
			if again == nil || !slices.ContainsFunc(again.files, func(f fileInfo) bool { return f.number == number }) {
				delete(old, number)
			}
		}
	}
	for number := range old {
		if err := w.flawOf(number, 0, FlawDir, errors.New("the file is missing")); err != nil {
			return err
		}
	}
	slices.SortFunc(w.files, func(a, b *walkedFile) int { return cmp.Compare(a.rank, b.rank) })
	return nil
}

func (w *fileWalk) flawOf(number uint64, at int64, kind FlawKind, err error) error {
	return w.o.Flaw(Flaw{File: path.Join(valuesName, valueFileName(number)), Offset: at, Kind: kind, Err: fmt.Errorf("%w: %w", ErrCorrupt, err)})
}

// open opens a file, and adds it to those that count. is is what the manifest has of it, if it is known there.
func (w *fileWalk) open(number uint64, size int64, is fileInfo, known bool) error {
	file, err := w.fs.Open(path.Join(valuesName, valueFileName(number)))
	if errors.Is(err, fs.ErrNotExist) && w.o.Live {
		return nil
	}
	if err != nil {
		return err
	}
	f := &walkedFile{replayedFile: replayedFile{logFile: &logFile{number: number, file: file, size: size}, start: fileHeaderSize}}
	f.window = window{file: file, end: size}
	counts, err := w.judge(f, is, known)
	if err != nil || !counts {
		return Join(err, file.Close())
	}
	if f.rank == 0 {
		return nil // it has not begun
	}
	w.total += size
	w.files = append(w.files, f)
	return nil
}

// judge reads the header of a file, and reports whether it counts.
func (w *fileWalk) judge(f *walkedFile, is fileInfo, known bool) (counts bool, err error) {
	read := func() (begun, bad bool, err error) {
		begun, err = f.readHeader()
		if bad = errors.Is(err, errDamaged); bad {
			err = nil
		}
		return begun, bad, err
	}
	begun, bad, err := read()
	for err == nil && w.o.Live && (bad || !begun || known && f.rank != is.rank) { // it may be about to begin or to go, or another by now
		now, named, err := w.named(f.number)
		if err != nil {
			return false, err
		}
		named = named && w.known != nil && now.rank <= w.known.rank() // else it has begun since, as others that nobody names yet
		if named == known && now.rank == is.rank {
			break
		}
		is, known = now, named
		if begun, bad, err = read(); err != nil {
			return false, err
		}
	}
	if err != nil || w.o.Live && !known && (bad || !begun) {
		return false, err
	}
	position := w.known != nil && f.number == w.known.position.file
	switch {
	case bad, !begun && known:
		kind := FlawDir
		if known && !position {
			kind = FlawFrames // the index leads to what is in it all the same
		}
		if err := w.flawOf(f.number, 0, kind, errors.New("its header is damaged")); err != nil || !known {
			return false, err
		}
		f.rank, f.first = is.rank, is.first
	case !begun:
		if !w.o.Live {
			w.unbegun = append(w.unbegun, f)
			return true, nil
		}
		return false, nil
	case known && f.rank != is.rank:
		return false, w.flawOf(f.number, 0, FlawDir, errors.New("its header is that of another file"))
	case !known && w.known != nil && f.rank <= w.known.rank():
		return false, nil // nothing of it is alive
	}
	f.ends, f.closed = is.end, known && !position
	if f.size < f.ends {
		err = w.flawOf(f.number, f.size, FlawDir, fmt.Errorf("the file has %d bytes of %d", f.size, f.ends))
	}
	return true, err
}

// named returns what a manifest has of a file by now, if it names it.
func (w *fileWalk) named(number uint64) (is fileInfo, ok bool, err error) {
	m, err := w.readManifest()
	if m == nil || err != nil {
		return is, false, err
	}
	i := slices.IndexFunc(m.files, func(f fileInfo) bool { return f.number == number })
	if i < 0 {
		return is, false, nil
	}
	return m.files[i], true, nil
}

// judgeUnbegun looks at a file without a header, when all others were walked through. It is a spare one when it has zeros,
// or what the last end has left.
func (w *fileWalk) judgeUnbegun(f *walkedFile) error {
	nothing, err := f.window.zeros(0)
	if err != nil || nothing {
		return err
	}
	f.limit = math.MaxUint64
	why, err := w.whole([]*replayedFile{&f.replayedFile}, 0, max(1, w.next))
	switch {
	case err != nil:
		return err
	case why != "":
		return w.flawOf(f.number, 0, FlawDir, fmt.Errorf("its header is damaged, and %s", why))
	}
	return w.flawOf(f.number, 0, FlawNote, errors.New("it was written to, and its header never"))
}

// searchFrame returns where the first whole frame begins in b, from an offset on, whose commit is in [first, limit).
func searchFrame(b []byte, from int, first, limit uint64) (at int, h frameHeader, ok bool) {
	for at := lengthFrom(b, from); at+frameHeaderSize <= len(b); at = lengthFrom(b, at+1) {
		h, err := parseFrameHeader(b[at:])
		if err != nil || h.commit < first || h.commit >= limit {
			continue // nearly always: the rest costs time
		}
		if h, err = checkFrame(b[at:]); err == nil {
			return at, h, true
		}
	}
	return 0, h, false
}

// supersede sets the limits of the files, and leaves those out of which nothing counts.
func (w *fileWalk) supersede() {
	limit := uint64(math.MaxUint64)
	var kept []*walkedFile
	for _, f := range slices.Backward(w.files) {
		if f.first >= limit && (w.known == nil || f.number != w.known.position.file) {
			_ = f.file.Close()
			continue
		}
		f.limit = limit
		limit = min(limit, f.first)
		kept = append(kept, f)
	}
	slices.Reverse(kept)
	w.files = kept
}

// enter goes to the i-th file.
func (w *fileWalk) enter(i int) error {
	f := w.files[i]
	switch {
	case i == 0 && (w.known == nil && f.rank == 1 || w.known != nil && f.rank > w.known.rank()):
		w.next = max(1, w.knownCommit())
	case i == 0:
		w.next = f.first
	}
	if f.first <= w.next {
		return nil
	}
	before := uint64(0)
	if i > 0 {
		before = w.files[i-1].rank
	}
	if w.known != nil && f.rank <= w.known.rank() || w.known == nil && f.rank != before+1 || w.o.Live && f.rank != before+1 {
		w.next = f.first // what is between was given up
		return nil
	}
	place := Flaw{File: valuesName, Commit: w.next, Kind: FlawFrames}
	at := int64(0)
	if i > 0 {
		place.File, place.Offset, at = w.files[i-1].name(), w.files[i-1].end, w.files[i-1].end
	}
	why, err := w.why(max(0, i-1), at, w.next)
	if err != nil {
		return err
	}
	if err := w.hole(why, place, fmt.Errorf("commits %d to %d are missing", w.next, f.first-1)); err != nil {
		return err
	}
	w.next = f.first
	return nil
}

func (w *fileWalk) knownCommit() uint64 {
	if w.known == nil {
		return 0
	}
	return w.known.position.commit
}

func (f *walkedFile) name() string { return path.Join(valuesName, valueFileName(f.number)) }

// vanished reports whether a file was given up by its owner.
func (w *fileWalk) vanished(f *walkedFile) (bool, error) {
	if !w.o.Live {
		return false, nil
	}
	now := replayedFile{logFile: &logFile{number: f.number, file: f.file, size: f.size}}
	begun, err := now.readHeader()
	if errors.Is(err, errDamaged) || err == nil && (!begun || now.rank != f.rank || now.seed != f.seed && f.seed != 0) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	named, err := w.fs.Open(f.name())
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, named.Close()
}

// walk goes through the frames of the i-th file.
func (w *fileWalk) walk(i int) error {
	f := w.files[i]
	f.end = fileHeaderSize
	chain, anyChain := f.seed, f.seed == 0
	for w.next < f.limit && (!f.closed || f.end < f.ends) {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if f.end >= f.size {
			if f.size < f.ends { // it was cut, which was told
				w.skip(i)
			}
			return nil
		}
		b, h, bad, err := w.frame(f, chain, anyChain)
		if err != nil {
			return err
		}
		if bad == nil {
			if err := w.take(f, b, h); err != nil {
				return err
			}
			chain, anyChain = h.hash, false
			continue
		}
		goOn, err := w.broken(i, bad)
		if err != nil || !goOn {
			return err
		}
		anyChain = true
	}
	return nil
}

// frame reads the frame where the file has come to. Why it is not the next is bad; errFrameMissing when there are zeros.
// Beside an owner it is read once more then.
func (w *fileWalk) frame(f *walkedFile, chain uint64, anyChain bool) (b []byte, h frameHeader, bad, err error) {
	for again := false; ; again = true {
		if again {
			f.window.buf = f.window.buf[:0]
		}
		if b, err = f.window.frame(f.end); err != nil {
			return nil, h, nil, err
		}
		h, bad = checkHead(b)
		switch {
		case bad != nil && (len(b) < frameHeaderSize || allZero(b[:frameHeaderSize])):
			bad = errFrameMissing
		case bad == nil && (h.commit < w.next || h.commit > w.next && !anyChain || h.commit >= f.limit || h.before != chain && !anyChain):
			bad = errFrameOther
		}
		if bad == nil || again || !w.o.Live {
			return b, h, bad, nil
		}
	}
}

// checkHead is checkFrame without the large values.
func checkHead(b []byte) (h frameHeader, err error) {
	if h, err = parseFrameHeader(b); err != nil {
		return h, err
	}
	if len(b) < h.length {
		return h, errFrameLength
	}
	head := b[:frameHeaderSize+h.ops]
	if hashWithout(head, frameHashAt) != h.hash {
		return h, errFrameHash
	}
	return h, readOps(head, h, func(byte, *item) error { return nil })
}

// take tells of a frame.
func (w *fileWalk) take(f *walkedFile, b []byte, h frameHeader) error {
	fr := frameOf(f.name(), f.end, b, h)
	w.sum.Closed = false
	err := fr.Each(func(o FrameOp) error {
		switch {
		case o.Kind == OpBegin:
			w.owner = [bootSize]byte(o.Value)
		case o.Kind == OpEnd:
			w.sum.Closed = true
		case o.Bad:
			return w.badValue(f, *fr, o)
		}
		return nil
	})
	if err == nil {
		err = w.o.Frame(fr)
	}
	if err != nil {
		return err
	}
	if w.sum.Frames == 0 {
		w.sum.First = h.commit
	}
	w.sum.Frames++
	w.sum.Bytes += int64(h.length)
	w.sum.Last, w.sum.Synced = h.commit, max(w.sum.Synced, h.synced)
	if (f.end+int64(h.length))/readAhead != f.end/readAhead {
		w.o.Progress(w.done+f.end, w.total)
	}
	f.end += int64(h.length)
	w.next = h.commit + 1
	return nil
}
