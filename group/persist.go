package group

import (
	"sync"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
)

// storing is the transactions that store what has changed of a group: one, but for groups of very many members. Then the
// first says that a new target is to come, and the last has the group as it is now: whoever reads the store in between finds
// members that can be, and finds them another target.
type storing struct {
	en    *entry
	txs   []*writer.Tx
	ids   []string // of members
	limit store.Limits
	done  func(error)

	mu   sync.Mutex // guards what follows
	left int
	err  error // the first
}

// commitShare is which part of a commit one of several transactions takes, so that others have room beside it.
const commitShare = 4

// persist stores the effects of a call. The caller holds en.mu.
func (en *entry) persist(e Effects, done func(error)) {
	s := &storing{en: en, limit: en.c.st.Limits(), done: done}
	s.limit.Entries, s.limit.Bytes = max(1, s.limit.Entries/commitShare), s.limit.Bytes/commitShare
	key := store.GroupKey(en.name)
	first := s.add(nil) // so that it need not be known whether there are more
	for id := range en.gone {
		if e.Change == nil || e.Change.Members[id] == nil {
			s.member(id, nil)
		}
	}
	en.gone = nil
	if e.Change != nil {
		for id, value := range e.Change.Members {
			s.member(id, value)
		}
	}
	switch {
	case e.Persist != nil:
		s.set(key, e.Persist.Encode())
	case e.Change.Group != nil:
		s.set(key, e.Change.Group)
	}
	if len(s.txs) > 1 && e.Change != nil && e.Change.Coming != nil {
		first.Writes.Set(key, e.Change.Coming)
	}
	s.left = len(s.txs)
	for _, tx := range s.txs {
		en.c.committer.Submit(tx)
	}
}

// member adds a member, or with nil that it is gone.
func (s *storing) member(id string, value []byte) {
	s.ids = append(s.ids, id)
	s.set(store.MemberKey(s.en.name, id), value)
}

// set adds a write, in the last transaction if it has room; a nil value is a deletion.
func (s *storing) set(key, value []byte) {
	tx := s.txs[len(s.txs)-1]
	if n := tx.Writes.Len(); n > 0 && (n >= s.limit.Entries || tx.Writes.Bytes()+len(key)+len(value) > s.limit.Bytes) {
		tx = s.add(s.check)
	}
	if value == nil {
		tx.Writes.Delete(key)
	} else {
		tx.Writes.Set(key, value)
	}
}

func (s *storing) add(check func() error) *writer.Tx {
	tx := &writer.Tx{Essential: true, Check: check, Done: s.end}
	s.txs = append(s.txs, tx)
	return tx
}

// check refuses what would come behind something that was not stored.
func (s *storing) check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// end is the end of one of the transactions.
func (s *storing) end(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.left--
	over, err := s.left == 0, s.err
	s.mu.Unlock()
	if !over {
		return
	}
	if err != nil {
		s.en.unsaid.add(s.ids) // before anybody knows
	}
	s.done(err)
}
