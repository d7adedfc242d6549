package store

import (
	"errors"
	"sync"
)

// job runs a function in the background when it is woken, once at a time. It has a goroutine only
// while there is something to do.
type job struct {
	do func() // does what there is to do, and returns; is called again when wake was called meanwhile

	mu      sync.Mutex // guards what follows
	running bool
	again   bool
	stopped bool
	wg      sync.WaitGroup
}

// wake has the function called.
func (j *job) wake() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.again = !j.stopped
	if j.running || j.stopped {
		return
	}
	j.running = true
	j.wg.Go(j.run)
}

func (j *job) run() {
	for {
		j.mu.Lock()
		if !j.again {
			j.running = false
			j.mu.Unlock()
			return
		}
		j.again = false
		j.mu.Unlock()
		j.do()
	}
}

var errStopped = errors.New("the store is being closed")

// stopping returns errStopped when the function should return soon.
func (j *job) stopping() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.stopped {
		return errStopped
	}
	return nil
}

// stop waits until the function has returned. It is not called any more.
func (j *job) stop() {
	j.mu.Lock()
	j.stopped, j.again = true, false
	j.mu.Unlock()
	j.wg.Wait()
}
