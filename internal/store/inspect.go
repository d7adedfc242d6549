package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/samsa-go/samsa/internal/vfs"
)

// Flaw is something in a data directory that is not as it was written.
type Flaw struct {
	File   string // with slashes, from the directory on
	Offset int64  // where it begins in the file; 0 when it is all of it
	End    int64  // where it ends at most, or 0
	Commit uint64 // of the first frame that is concerned, or 0
	Key    []byte // when it is the value of one key that is damaged
	Kind   FlawKind
	Err    error // says what is wrong
}

// FlawKind says what a flaw costs.
type FlawKind int8

const (
	// FlawNote costs nothing: an end that was not finished, or what has a second copy.
	FlawNote FlawKind = iota
	// FlawIndex costs nothing that Options.Rebuild does not bring back.
	FlawIndex
	// FlawValue is the value of one key.
	FlawValue
	// FlawFrames is a place of a value file where frames were. Values of less than 1 KiB are in the index too.
	FlawFrames
	// FlawDir keeps the directory from being opened.
	FlawDir
)

func (f Flaw) String() string {
	if f.Offset == 0 {
		return fmt.Sprintf("%s: %v", f.File, f.Err)
	}
	return fmt.Sprintf("%s, offset %d: %v", f.File, f.Offset, f.Err)
}

// Frame is one commit as it lies in a value file. Its bytes are there until the function returns that was given it.
type Frame struct {
	File   string // as in Flaw
	Offset int64
	Length int
	Commit uint64
	Synced uint64 // all up to it was durable when the frame was written
	Time   time.Time
	Before uint64 // hash of the frame before, or the seed of the file
	Hash   uint64

	data   []byte
	header frameHeader
}

// FrameOp is one operation of a frame.
type FrameOp struct {
	Kind   OpKind
	Key    []byte
	Value  []byte
	Offset int64  // of a large value in the file; else 0
	CRC    uint32 // likewise
	Bad    bool   // it is large, and its CRC is not that of the value
}

// OpKind is what an operation does.
type OpKind byte

// The operations of a frame.
const (
	OpSet    OpKind = opSet
	OpLarge  OpKind = opLarge // sets a value of 1 KiB and more
	OpDelete OpKind = opDelete
	OpBegin  OpKind = opBegin // the value tells this start of the machine from others
	OpEnd    OpKind = opEnd
)

// String returns the name.
func (k OpKind) String() string {
	switch k {
	case OpSet:
		return "set"
	case OpLarge:
		return "large"
	case OpDelete:
		return "delete"
	case OpBegin:
		return "begin"
	case OpEnd:
		return "end"
	}
	return fmt.Sprintf("operation %d", byte(k))
}

func frameOf(file string, at int64, b []byte, h frameHeader) *Frame {
	return &Frame{
		File: file, Offset: at, Length: h.length, Commit: h.commit, Synced: h.synced, Time: time.UnixMilli(int64(h.ms)),
		Before: h.before, Hash: h.hash, data: b, header: h,
	}
}

// Each calls fn for the operations of the frame in order. The bytes are the frame's.
func (f *Frame) Each(fn func(FrameOp) error) error {
	return readOps(f.data, f.header, func(kind byte, i *item) error {
		o := FrameOp{Kind: OpKind(kind), Key: i.key, Value: i.value}
		if i.large {
			o.Value, o.Offset, o.CRC = f.data[i.at:i.at+i.size], f.Offset+int64(i.at), i.crc
			o.Bad = crcOf(o.Value) != i.crc
		}
		return fn(o)
	})
}

// WalkOptions says how value files are walked through. Each function may be nil; what one returns ends the walk.
type WalkOptions struct {
	// Live says that an owner may have the directory open, and go on writing: then what it removes meanwhile is passed
	// over, and what it has not finished is the end. Without it nobody may.
	Live bool
	// Frame is given each frame that counts and is whole, in the order of the commits, but for large values, see FrameOp.Bad.
	Frame func(*Frame) error
	// Flaw is given what is damaged. The walk goes on behind it.
	Flaw func(Flaw) error
	// Progress is told how many bytes of how many were looked at, now and then.
	Progress func(done, total int64)
}

// Walked is what a walk has come past.
type Walked struct {
	Files  int
	Bytes  int64 // of frames that are whole
	Frames int64
	First  uint64 // commit of the first
	Last   uint64 // and of the last
	Synced uint64 // commits up to it are known to be durable
	Closed bool   // the last frame says that the store was closed
	Cut    string // where an unfinished end was found, and what is wrong there; "" when all ends well
}

// Walk reads every byte of the value files of dir, which is a data directory: headers, frames, hashes, chains, CRCs of large
// values. It keeps one value file in memory where it meets damage, and else a frame and 1 MiB. Errors are those of the
// file system, of ctx, and of the functions that it calls.
func Walk(ctx context.Context, dir string, o WalkOptions) (Walked, error) {
	fs, err := vfs.OpenReadOnly(dir)
	if err != nil {
		return Walked{}, fmt.Errorf("store %s: %w", dir, dirError(err))
	}
	w := newFileWalk(ctx, fs, bootID(), o)
	if err = Join(w.run(), fs.Close()); err != nil {
		return w.sum, fmt.Errorf("store %s: %w", dir, named(err))
	}
	return w.sum, nil
}

// Inspect looks at what of dir is not in its value files: FORMAT, the manifests, and every byte of the tables. It calls flaw
// for all that is wrong. Nobody may have the directory open to write.
func Inspect(ctx context.Context, dir string, flaw func(Flaw) error) error {
	err := InspectFormat(dir, flaw)
	if err == nil {
		err = inspectIndex(ctx, dir, flaw)
	}
	if err != nil {
		return fmt.Errorf("store %s: %w", dir, named(err))
	}
	return nil
}

// InspectFormat looks at FORMAT alone, and calls flaw when it is damaged or missing. A directory of another format is ErrOldFormat or
// ErrNewerFormat, as for Open.
func InspectFormat(dir string, flaw func(Flaw) error) error {
	text, err := os.ReadFile(filepath.Join(dir, formatName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Join(dir, valuesName)); err != nil {
			return Join(ErrNotExist, err)
		}
		err = fmt.Errorf("%w: its file %s is missing", ErrNotDirectory, formatName)
		return flaw(Flaw{File: formatName, Kind: FlawDir, Err: err})
	case err != nil:
		return dirError(err)
	}
	err = checkFormat(string(text))
	if errors.Is(err, ErrOldFormat) || errors.Is(err, ErrNewerFormat) {
		return err
	}
	if err != nil {
		return flaw(Flaw{File: formatName, Kind: FlawDir, Err: err})
	}
	return nil
}

// Locked reports whether somebody has dir open to write.
func Locked(dir string) (bool, error) {
	lock, err := lockDir(dir, true)
	if errors.Is(err, ErrLocked) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("store %s: %w", dir, dirError(err))
	}
	return false, lock.Close()
}

// LockShared keeps owners away from dir until what it returns is closed; ErrLocked says that one has it open.
func LockShared(dir string) (interface{ Close() error }, error) {
	lock, err := lockDir(dir, true)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, dirError(err))
	}
	return lock, nil
}
