package store

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
)

// repairFiles puts Badger's files into a state that it can open, quickly and without
// loss, and returns the number of the newest value file. It runs while nobody else has
// them open, and only when the last owner was killed does it have much to do.
//
// What Badger 4.9 does at open, and what is done about it here:
//
//   - It reads the newest value file from end to end (64 MiB), even after a clean
//     close, cuts it at the first damaged entry, whole ones after it included, and may
//     panic over a damaged header (safeRead.Entry adds two lengths that can overflow).
//     If the newest file is an empty one it has nothing to read. So there is always an
//     empty newest file; Badger removes it at the next open but one.
//   - It gives new files the numbers after the newest it finds. If power loss took some
//     of the newest away, but not the index entries that point into them, these would
//     point into new files, and might meet an entry of the same length there. So leave
//     out some numbers after an unclean end.
//   - It reads the logs of the memtables likewise. They are read up to the first damage,
//     which is right, but the panic is possible there too: disarm the header.
//   - It deletes a file by cutting it to nothing first, and creates one empty. A
//     process killed in between leaves an empty file, with which Badger refuses to
//     open. Such a file holds nothing: remove it.
//   - It makes a value file twice its nominal size at first and cuts it when it is full
//     or closed. After a kill the excess stays; value-log GC, which compares garbage
//     with the size of the file, would then never pick it. Cut it here. It also may
//     hold pages not yet written to disk, which no later Sync would know of: sync it.
//   - A value file that GC has emptied is deleted when no iterator needs it any more.
//     After a kill in between it would stay for ever, its count of garbage being reset
//     already: mark it as all garbage.
func repairFiles(index, values string, nominal int64) (uint32, error) {
	if err := removeEmpty(index, memtableSuffix); err != nil {
		return 0, err
	}
	if err := removeEmpty(values, valueSuffix); err != nil {
		return 0, err
	}
	if err := disarmLogs(index); err != nil {
		return 0, err
	}
	names, err := listDir(values)
	if err != nil {
		return 0, err
	}
	var last int64
	for _, name := range names {
		number := fileNumber(name, valueSuffix)
		if number < 0 {
			continue
		}
		last = max(last, number)
		if err := cutExcess(filepath.Join(values, name), nominal); err != nil {
			return 0, err
		}
	}
	if err := recondemn(values); err != nil {
		return 0, err
	}
	clean, err := noLogs(index)
	if err != nil {
		return 0, err
	}
	return addEmptyValueFile(values, uint32(last), clean)
}

// removeEmpty removes the files in dir with the given suffix that have no content.
func removeEmpty(dir, suffix string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if fileNumber(entry.Name(), suffix) < 0 {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Size() > 0 {
			continue
		}
		if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// uncleanGap is the number of value files (64 GiB) that power loss is taken to lose at
// most.
const uncleanGap = 1000

// addEmptyValueFile makes sure that the newest value file is empty and returns its
// number. A new store is left to Badger, which starts with number 1.
func addEmptyValueFile(dir string, last uint32, clean bool) (uint32, error) {
	if clean {
		if last == 0 {
			return 1, nil
		}
		info, err := os.Stat(valueFile(dir, last))
		if err != nil {
			return 0, err
		}
		if info.Size() == logHeaderSize {
			return last, nil
		}
		last++
	} else {
		last += uncleanGap
	}
	f, err := os.OpenFile(valueFile(dir, last), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return 0, err
	}
	_, err = f.Write(make([]byte, logHeaderSize))
	return last, errors.Join(err, f.Close())
}

// cutExcess cuts a value file that was not closed down to what was written to it.
func cutExcess(path string, nominal int64) error {
	info, err := os.Stat(path)
	if err != nil || info.Size() < 2*nominal {
		return err
	}
	if err := syncFile(path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	end, err := dataEnd(f, holeAtEnd(f, info.Size()))
	if err == nil {
		err = f.Truncate(max(end, logHeaderSize))
	}
	return errors.Join(err, f.Close())
}

// endSlack is left after the last byte that is not zero: the checksum at the end of
// an entry may itself end in zeros.
const endSlack = 8

// dataEnd returns a position after which a file of the given size holds zeros only.
func dataEnd(f io.ReaderAt, size int64) (int64, error) {
	buf := make([]byte, 256<<10)
	for end := size; end > 0; {
		start := max(0, end-int64(len(buf)))
		part := buf[:end-start]
		if _, err := f.ReadAt(part, start); err != nil {
			return 0, err
		}
		if n := len(bytes.TrimRight(part, "\x00")); n > 0 {
			return min(size, start+int64(n)+endSlack), nil
		}
		end = start
	}
	return 0, nil
}

// noLogs reports whether no memtable log is left, as is so after a clean end.
func noLogs(dir string) (bool, error) {
	names, err := listDir(dir)
	return len(memtableLogs(names)) == 0, err
}

// disarmLogs clears the header of the first damaged entry in each memtable log, where
// Badger stops reading in any case, if its lengths are not to be trusted.
func disarmLogs(dir string) error {
	names, err := listDir(dir)
	if err != nil {
		return err
	}
	for _, name := range memtableLogs(names) {
		if err := disarmLog(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func disarmLog(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	end := wholeEntries(data)
	rest := data[end:]
	if h, ok := parseHeader(rest); ok && h.plausible() {
		return nil // torn, or with a damaged content
	}
	rest = rest[:min(len(rest), maxHeaderSize)]
	if allZero(rest) {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, len(rest)), int64(end))
	return errors.Join(err, f.Close())
}

func allZero(data []byte) bool {
	for _, b := range data {
		if b != 0 {
			return false
		}
	}
	return true
}
