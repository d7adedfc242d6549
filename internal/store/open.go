package store

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/samsa-go/samsa/internal/vfs"
)

// Open opens the store in dir and creates it, and dir, when there is none.
//
// Errors name dir and wrap ErrNotDirectory, ErrNotExist, ErrOldFormat, ErrNewerFormat, ErrReadOnly or
// ErrLocked when it is one of these; then nothing was written. What is damaged is ErrCorrupt.
func Open(dir string, opts Options) (Store, error) {
	s, err := open(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", dir, dirError(err))
	}
	return s, nil
}

func open(dir string, opts Options) (*diskStore, error) {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("%w: it is a file", ErrNotDirectory)
	}
	var err error
	if opts.MustExist || opts.ReadOnly {
		err = checkThere(dir)
	}
	if err == nil && !opts.ReadOnly {
		err = makeDir(dir)
	}
	if err != nil {
		return nil, err
	}
	lock, err := lockDir(dir, opts.ReadOnly)
	if err != nil {
		return nil, err
	}
	s, err := openLocked(dir, opts)
	if err != nil {
		return nil, Join(err, lock.Close())
	}
	s.ground = append(s.ground, lock)
	return s, nil
}

// Owned reports whether somebody has the store in dir open to write: in this process or another. Where there is nothing, nobody has. On
// systems without locks nobody ever has.
func Owned(dir string) (bool, error) {
	if err := checkThere(dir); err != nil {
		return false, dirError(err)
	}
	lock, err := lockDir(dir, true)
	if errors.Is(err, ErrLocked) {
		return true, nil
	}
	if err != nil {
		return false, dirError(err)
	}
	return false, lock.Close()
}

// openLocked opens the store in dir, whose lock the caller holds.
func openLocked(dir string, opts Options) (*diskStore, error) {
	if err := prepareDir(dir, opts.ReadOnly); err != nil {
		return nil, err
	}
	if opts.boot == ([16]byte{}) {
		opts.boot = bootID()
	}
	fs, err := openDir(dir, opts.ReadOnly)
	if err != nil {
		return nil, err
	}
	s, err := openDisk(fs, dir, opts)
	if err != nil {
		return nil, Join(err, fs.Close())
	}
	s.ground = append(s.ground, fs)
	return s, nil
}

// closableFS is a file system that is closed at the end.
type closableFS interface {
	vfs.FS
	io.Closer
}

func openDir(dir string, readOnly bool) (closableFS, error) {
	if readOnly {
		return vfs.OpenReadOnly(dir)
	}
	return vfs.OpenOS(dir)
}

// bootID returns what tells this start of the machine from others, or zero when nothing does.
func bootID() (id [16]byte) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id") // Linux has it
	if err != nil {
		return id
	}
	b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(string(text)), "-", ""))
	if err != nil || len(b) != len(id) {
		return id
	}
	return [16]byte(b)
}

// dirError gives err the sentinel that the caller of Open can act on, if there is one.
func dirError(err error) error {
	switch {
	case errors.Is(err, ErrLocked), errors.Is(err, ErrNotDirectory), errors.Is(err, ErrNotExist), errors.Is(err, ErrOldFormat), errors.Is(err, ErrNewerFormat), errors.Is(err, ErrCorrupt):
		return err
	case errors.Is(err, vfs.ErrNoSpace):
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	case isReadOnly(err):
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: %w", ErrNotDirectory, err)
	}
	return named(err)
}
