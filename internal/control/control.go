// Package control is the unix socket at which the owner of a data directory can be asked from other processes, and how these
// find it. What is spoken there it does not know.
//
//	DIR/control            where the socket is, one line: within DIR, or from the root
//	DIR/control-RANDOM/s   the socket. The directory has mode 0700, the socket 0600
//
// The path of a socket is at most 103 bytes on some systems, and some file systems have none. Then the socket is in a directory
// samsa-control-RANDOM of os.TempDir.
package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/samsa-go/samsa/internal/store"
)

const (
	note     = "control"     // the file that says where the socket is
	noteTemp = "control.tmp" // while it is written
	inside   = "control-"    // what the name of the socket's directory begins with, in the data directory
	outside  = "samsa-" + inside
	socket   = "s"
	maxPath  = 100  // bytes of a path that every system has for a socket
	maxNote  = 4096 // bytes
)

// Socket is the listener of an owner. It is closed before Remove.
type Socket struct {
	net.Listener
	data string // the data directory
	dir  string // the directory of the socket
}

// Listen makes the socket of dir, which the caller owns, and notes where it is. What an owner that was killed has left goes. An
// error is store.ErrIO.
func Listen(dir string) (*Socket, error) {
	removeStale(dir)
	s, err := listenIn(dir, inside)
	if err != nil {
		var cause error
		if s, cause = listenIn(os.TempDir(), outside); cause != nil {
			return nil, fmt.Errorf("%w: the control socket: %w", store.ErrIO, errors.Join(err, cause))
		}
	}
	s.data = dir
	if err := s.writeNote(); err != nil {
		return nil, fmt.Errorf("%w: the control socket: %w", store.ErrIO, errors.Join(err, s.Close(), s.Remove()))
	}
	return s, nil
}

var errTooLong = errors.New("the path is too long for a socket")

// listenIn makes a socket in a directory of its own, below parent.
func listenIn(parent, prefix string) (*Socket, error) {
	if n := len(parent) + len(prefix) + len("/0123456789/"+socket); n > maxPath {
		return nil, fmt.Errorf("%w: %s", errTooLong, parent)
	}
	dir, err := os.MkdirTemp(parent, prefix) // mode 0700: nobody else comes to the socket before it has its mode
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, socket)
	l, err := net.Listen("unix", path)
	if err == nil {
		if err = os.Chmod(path, 0o600); err != nil {
			err = errors.Join(err, l.Close())
		}
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &Socket{Listener: l, dir: dir}, nil
}

// writeNote notes where the socket is: within the data directory, so that this may be seen under another path, from within a container, say.
func (s *Socket) writeNote() error {
	path := filepath.Join(s.dir, socket)
	if within, err := filepath.Rel(s.data, path); err == nil && filepath.IsLocal(within) {
		path = filepath.ToSlash(within)
	}
	temp := filepath.Join(s.data, noteTemp)
	if err := os.WriteFile(temp, []byte(path+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(s.data, note))
}

// Remove removes the socket, and what says where it was. The caller still owns the data directory.
func (s *Socket) Remove() error {
	err := os.Remove(filepath.Join(s.data, note))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// removeStale removes what an owner that was killed has left in dir. What cannot be removed stays: it is in nobody's way.
func removeStale(dir string) {
	if path, within, err := Path(dir); err == nil && !within {
		old := filepath.Dir(path)
		ours := filepath.Dir(old) == filepath.Clean(os.TempDir()) && strings.HasPrefix(filepath.Base(old), outside)
		if ours && !answers(path) {
			_ = os.RemoveAll(old)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), inside) {
			_ = os.RemoveAll(filepath.Join(dir, e.Name()))
		}
	}
	_ = os.Remove(filepath.Join(dir, note))
}

// answers reports whether somebody listens at a socket: the owner of the directory of which this one is a copy.
func answers(path string) bool {
	c, err := net.Dial("unix", path)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// Path returns where the socket of dir is, as its owner has noted, and whether that is within dir. The owner may be one that was killed,
// and not within dir that of another directory, of which dir is a copy. Without a note it is fs.ErrNotExist. What is not within dir has to be
// in a directory of its owner's alone.
func Path(dir string) (path string, within bool, err error) {
	path = filepath.Join(dir, note)
	info, err := os.Stat(path)
	if err != nil {
		return "", false, err
	}
	var text []byte
	if info.Mode().IsRegular() && info.Size() <= maxNote {
		if text, err = os.ReadFile(path); err != nil {
			return "", false, err
		}
	}
	noted := filepath.FromSlash(strings.TrimSuffix(string(text), "\n"))
	switch {
	case filepath.IsAbs(noted):
		return noted, false, checkPrivate(filepath.Dir(noted), info)
	case noted != "" && filepath.IsLocal(noted):
		return filepath.Join(dir, noted), true, nil
	}
	return "", false, fmt.Errorf("%s is no note of where a socket is", path)
}

// Short returns a path that a socket can be connected to by: path, or what it is from the working directory, if that is shorter.
func Short(path string) (string, error) {
	if len(path) <= maxPath {
		return path, nil
	}
	wd, err := os.Getwd()
	if err == nil {
		path, err = filepath.Rel(wd, path)
	}
	if err == nil && len(path) > maxPath {
		err = fmt.Errorf("%w: %s", errTooLong, path)
	}
	return path, err
}
