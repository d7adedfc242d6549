package store

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Badger counts the garbage in each value file in values/DISCARD: slots of 16 bytes,
// the number of a file and a count of bytes, both big endian, up to the first slot
// with number 0. A file without garbage has no slot; one that GC has rewritten has
// the count 0.
const (
	garbageName = "DISCARD"
	slotSize    = 16
)

type garbage struct {
	file  uint32
	bytes uint64
	pos   int64 // of the count in the file
	size  int64 // of the value file, where it was looked up
}

// alive is about how many bytes of the file are not garbage. GC may have been told that
// there is more garbage than there is, see condemn; then all of it is, for all we know.
func (g garbage) alive() int64 {
	if g.bytes > uint64(g.size) {
		return g.size
	}
	return g.size - int64(g.bytes)
}

func readGarbage(dir string) ([]garbage, error) {
	data, err := os.ReadFile(filepath.Join(dir, garbageName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []garbage
	for pos := 0; pos+slotSize <= len(data); pos += slotSize {
		number := binary.BigEndian.Uint64(data[pos:])
		if number == 0 {
			break
		}
		all = append(all, garbage{
			file:  uint32(number),
			bytes: binary.BigEndian.Uint64(data[pos+8:]),
			pos:   int64(pos + 8),
		})
	}
	return all, nil
}

// writeGarbage sets the count of g. It may be called while Badger has the file mapped:
// both see the same pages.
func writeGarbage(dir string, g garbage, bytes uint64) error {
	f, err := os.OpenFile(filepath.Join(dir, garbageName), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(binary.BigEndian.AppendUint64(nil, bytes), g.pos)
	return errors.Join(err, f.Close())
}

// recondemn marks the files that GC rewrote but could not delete any more as all
// garbage. GC will look at each of their entries again, so this is safe in any case.
func recondemn(dir string) error {
	all, err := readGarbage(dir)
	if err != nil {
		return err
	}
	for _, g := range all {
		if g.bytes != 0 {
			continue
		}
		info, err := os.Stat(valueFile(dir, g.file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := writeGarbage(dir, g, uint64(info.Size())); err != nil {
			return err
		}
	}
	return nil
}
