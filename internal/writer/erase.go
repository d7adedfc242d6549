package writer

import (
	"bytes"
	"context"
	"sync"

	"github.com/samsa-go/samsa/internal/store"
)

// Erased counts what was deleted.
type Erased struct {
	Batches int64
	Bytes   int64 // of the batches, as stored
}

const (
	// A transaction of deletions is a part of what fits into a commit, so that others fit
	// beside it, and does not make them wait long. Several are on their way at once: behind a busy producer each waits long.
	eraseShare   = 4
	eraseEntries = 1024
	eraseFlight  = 8
)

// Eraser deletes ranges of keys, with several transactions on their way at once, each
// small enough not to hold up producers. It is for one goroutine.
type Eraser struct {
	c      *Committer
	flight chan struct{} // holds one for each transaction on its way
	wg     sync.WaitGroup

	mu  sync.Mutex
	err error // the first
}

// NewEraser returns an eraser that writes through c.
func NewEraser(c *Committer) *Eraser {
	return &Eraser{c: c, flight: make(chan struct{}, eraseFlight)}
}

// Erase deletes every key of r, as far as ctx allows. What is deleted is added to done
// until Wait returns. The transactions take effect in the order of the calls.
func (e *Eraser) Erase(ctx context.Context, r store.Range, done *Erased) error {
	limit := min(e.c.st.Limits().Entries/eraseShare, eraseEntries)
	r.KeysOnly = true
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		tx := &Tx{Essential: true, Ahead: true}
		var found Erased
		err := e.c.st.Scan(r, func(entry store.Entry) (bool, error) {
			key := bytes.Clone(entry.Key)
			tx.Writes.Delete(key)
			r.From = append(key, 0) // the next scan begins behind it
			if _, err := store.ParseBatchKey(key); err == nil {
				found.Batches++
				found.Bytes += int64(entry.Size)
			}
			return tx.Writes.Len() < limit, nil
		})
		if err != nil || tx.Writes.Len() == 0 {
			return err
		}
		if err := e.submit(tx, found, done); err != nil {
			return err
		}
	}
}

func (e *Eraser) submit(tx *Tx, found Erased, done *Erased) error {
	e.flight <- struct{}{}
	e.mu.Lock()
	err := e.err
	e.mu.Unlock()
	if err != nil {
		<-e.flight
		return err
	}
	e.wg.Add(1)
	tx.Done = func(err error) {
		e.mu.Lock()
		if err == nil {
			done.Batches += found.Batches
			done.Bytes += found.Bytes
		} else if e.err == nil {
			e.err = err
		}
		e.mu.Unlock()
		<-e.flight
		e.wg.Done()
	}
	e.c.Submit(tx)
	return nil
}

// Wait waits for what is on its way and returns the first error of a transaction.
func (e *Eraser) Wait() error {
	e.wg.Wait()
	return e.err
}
