package store

import (
	"errors"
	"io"
	"math/rand/v2"
	"time"
)

const (
	lockTries = 50                   // to have the lock of a directory at which somebody looks
	lockPause = 4 * time.Millisecond // at most, between two of them
)

// lockDir takes the lock of dir, or is ErrLocked. Many may share it, and nobody besides them then has it alone.
//
// Who only asks whether there is an owner (Owned) shares the lock for a moment. That must not keep out an owner who begins just
// then: who finds the lock shared, and not taken, tries again.
func lockDir(dir string, shared bool) (io.Closer, error) {
	lock, err := tryLock(dir, shared)
	for range lockTries {
		if shared || !errors.Is(err, ErrLocked) {
			break
		}
		look, lookErr := tryLock(dir, true)
		if lookErr != nil { // there is an owner
			break
		}
		if err := look.Close(); err != nil {
			return nil, err
		}
		time.Sleep(rand.N(lockPause)) // those who look may do so together
		lock, err = tryLock(dir, false)
	}
	return lock, err
}
