package store

import (
	"errors"
	"fmt"
	"slices"
)

// badValue tells of a large value that is damaged. One that nothing tells to have been durable may be an unfinished end.
func (w *fileWalk) badValue(f *walkedFile, fr Frame, o FrameOp) error {
	at := slices.Index(w.files, f)
	why, err := w.why(at, fr.Offset+int64(fr.Length), fr.Commit)
	if err != nil {
		return err
	}
	if why == "" {
		w.sum.Cut = fmt.Sprintf("%s, offset %d, commit %d: %v", f.name(), fr.Offset, fr.Commit, errFrameValue)
		return errWalkEnds
	}
	if w.o.Live { // only now is it known to have been finished
		if gone, err := w.vanished(f); gone || err != nil {
			return err
		}
		value := make([]byte, len(o.Value))
		if _, err := f.file.ReadAt(value, o.Offset); err != nil || crcOf(value) == o.CRC {
			return err
		}
	}
	return w.o.Flaw(Flaw{
		File: f.name(), Offset: o.Offset, End: o.Offset + int64(len(o.Value)), Commit: fr.Commit, Key: slices.Clone(o.Key), Kind: FlawValue,
		Err: fmt.Errorf("%w: %w", ErrCorrupt, errFrameValue),
	})
}

// broken is called where a frame of the i-th file is not the next. It tells of damage, and reports whether the file goes on
// behind it.
func (w *fileWalk) broken(i int, bad error) (goOn bool, err error) {
	f := w.files[i]
	at := f.end
	b, err := f.load(at)
	if err != nil {
		return false, err
	}
	found, h, ok := searchFrame(b, 0, w.next, min(f.limit, w.next+uint64(len(b)/frameHeaderSize)+1))
	end := at + int64(found)
	if !ok || f.closed && end >= f.ends {
		ok, end = false, max(f.ends, at)
	}
	if !ok && errors.Is(bad, errFrameMissing) && allZero(b) && at >= f.ends {
		return false, nil // nothing was written behind
	}
	why, err := w.why(i, at, w.next)
	if err != nil {
		return false, err
	}
	if w.o.Live && why != "" { // what comes behind says that it is finished, if only now
		f.window.buf = f.window.buf[:0]
		b, err := f.window.frame(at)
		if err != nil {
			return false, err
		}
		if h, err := checkHead(b); err == nil && h.commit == w.next && !errors.Is(bad, errFrameOther) {
			return true, nil
		}
	}
	if gone, err := w.vanished(f); gone || err != nil {
		w.skip(i)
		return false, err
	}
	place := Flaw{File: f.name(), Offset: at, Commit: w.next, Kind: FlawFrames}
	if end > at {
		place.End = end
	}
	if err := w.hole(why, place, bad); err != nil {
		return false, err
	}
	f.end = end
	if ok {
		w.next = h.commit
		f.window.buf = f.window.buf[:0]
		return true, nil
	}
	w.skip(i)
	return false, nil
}

// skip has the walk go on with the file behind the i-th, whatever it begins with.
func (w *fileWalk) skip(i int) {
	if i+1 < len(w.files) {
		w.next = max(w.next, w.files[i+1].first)
	}
}

// hole tells of a place where frames are not whole, and why they have to be. It is errWalkEnds where nothing says so: that is an
// unfinished end.
func (w *fileWalk) hole(why string, place Flaw, bad error) error {
	if why == "" {
		w.sum.Cut = fmt.Sprintf("%s, offset %d, commit %d: %v", place.File, place.Offset, w.next, bad)
		return errWalkEnds
	}
	if w.known == nil || place.Commit >= w.known.position.commit {
		place.Kind = FlawDir // it is not in the tables
	}
	place.Err = fmt.Errorf("%w: %w, and %s", ErrCorrupt, bad, why)
	return w.o.Flaw(place)
}

// why says why a commit that is not whole at that place of the i-th file was there; "" when it may be an unfinished end.
func (w *fileWalk) why(i int, at int64, commit uint64) (string, error) {
	f := w.files[i]
	switch {
	case at < f.ends:
		return fmt.Sprintf("the manifest says that frames go on up to offset %d", f.ends), nil
	case !w.o.Live && w.sum.Synced >= commit:
		return fmt.Sprintf("commits up to %d were durable", w.sum.Synced), nil
	}
	files := make([]*replayedFile, 0, len(w.files)-i)
	for _, f := range w.files[i:] {
		files = append(files, &f.replayedFile)
	}
	return w.whole(files, at, commit)
}

// whole says why by the whole frames from that place on.
func (w *fileWalk) whole(files []*replayedFile, at int64, commit uint64) (string, error) {
	for h, err := range wholeFrames(files, at, commit) {
		switch {
		case err != nil:
			return "", err
		case w.o.Live && h.commit > commit:
			return fmt.Sprintf("commit %d is whole", h.commit), nil
		case h.synced >= commit:
			return fmt.Sprintf("commit %d says that it was durable", h.commit), nil
		case !w.o.Live && w.owner == w.boot && w.boot != [16]byte{}:
			return fmt.Sprintf("commit %d is whole, and the machine has not been started since", h.commit), nil
		}
	}
	return "", nil
}
