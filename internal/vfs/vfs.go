// Package vfs is what the store needs of a file system, and no more: files that are created
// at their full size, positioned reads and writes, and a say in what is durable. Behind it
// stands a directory of the operating system (OS, ReadOnly) or, in tests, a disk in memory that loses
// power, fails and fills up (package vfstest).
package vfs

import (
	"errors"
	"io"
)

// FS is a file system. Names are paths from its top, which is ".", with slashes. All methods may be
// called from many goroutines at once. Errors wrap those of io/fs, and ErrNoSpace.
//
// What a call has done is seen by all later calls at once. It survives the end of the process,
// and loss of power only once it was synced: the content and size of a file with File.Sync,
// the entries of a directory, as Create, Rename and Remove change them, with SyncDir. What was
// not synced is found as it was, as it became, or as parts of both.
type FS interface {
	// Create makes a file of size zero bytes and opens it. The space is allocated: a later write
	// within size does not fail for want of space, unless the file system cannot write in place. The
	// name must be free, else it is fs.ErrExist. When it fails nothing is left.
	Create(name string, size int64) (File, error)
	// Open opens a file for reading and writing.
	Open(name string) (File, error)
	// Remove removes a file. Those who have it open go on with it, where the system
	// allows that; where not, Remove is an error.
	Remove(name string) error
	// Rename gives a file another name, which may be that of a file that goes with it. Neither is open:
	// some systems refuse that.
	Rename(from, to string) error
	// Mkdir makes a directory, unless it is there.
	Mkdir(dir string) error
	// List returns what is in a directory, by name.
	List(dir string) ([]Info, error)
	// SyncDir makes the entries of a directory durable.
	SyncDir(dir string) error
	// Space returns how many bytes may still be allocated below dir, and how many the file system
	// has in all. Where the system does not tell, both are 0. A directory that
	// was removed is fs.ErrNotExist, where the system tells.
	Space(dir string) (free, total int64, err error)
}

// File is an open file. ReadAt, WriteAt and Sync may be called from many goroutines at once,
// and not after Close.
type File interface {
	io.ReaderAt
	// WriteAt writes the buffers, one behind the other, from offset off on, whole or with an
	// error, after which any part of them may be written. It does not keep the buffers.
	WriteAt(off int64, buffers ...[]byte) error
	// Sync makes the content of the file and its size durable. After an error nothing is known
	// of what was written since the last Sync that succeeded: a page may read well until the
	// machine starts again, and be lost then. A file that was removed is fs.ErrNotExist, where the system
	// tells: nobody will find what is in it.
	Sync() error
	// Map returns the first size bytes of the file for reading. They are shared with the file where
	// the system allows that, and a copy elsewhere: later writes to them may be seen or not. When
	// the file is shorter, Map fails with io.ErrUnexpectedEOF.
	//
	// The bytes must not be written. They stay when the file is closed or removed, until unmap is called,
	// once. To read them can fault where the device cannot read: who reads asks for a panic
	// (debug.SetPanicOnFault) and recovers.
	Map(size int64) (data []byte, unmap func() error, err error)
	// Size returns the length of the file in bytes.
	Size() (int64, error)
	Close() error
}

// Info describes an entry of a directory.
type Info struct {
	Name string // without the directory
	Size int64  // 0 for a directory
	Dir  bool
}

// ErrNoSpace is the error of a full file system, or quota, or of a process that may open no more files.
var ErrNoSpace = errors.New("no space left on device")
