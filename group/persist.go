package group

import (
	"github.com/samsa-go/samsa/internal/store"
)

// persist stores the effects of a call. The caller holds en.mu.
//
// It is one commit, but for groups of very many members. Then the first says that a new target is to come, and the last has
// the group as it is now: whoever reads the store in between finds members that can be, and finds them another target.
func (en *entry) persist(e Effects, done func(error)) {
	var ids []string // of members
	s := en.c.committer.NewSeries(func(err error) {
		if err != nil {
			en.unsaid.add(ids) // before anybody knows
		}
		done(err)
	})
	member := func(id string, value []byte) {
		ids = append(ids, id)
		s.Set(store.MemberKey(en.name, id), value)
	}
	for id := range en.gone {
		if e.Change == nil || e.Change.Members[id] == nil {
			member(id, nil)
		}
	}
	en.gone = nil
	if e.Change != nil {
		for id, value := range e.Change.Members {
			member(id, value)
		}
	}
	key := store.GroupKey(en.name)
	switch {
	case e.Persist != nil:
		s.Set(key, e.Persist.Encode())
	case e.Change.Group != nil:
		s.Set(key, e.Change.Group)
	}
	if s.Several() && e.Change != nil && e.Change.Coming != nil {
		s.Begin(key, e.Change.Coming)
	}
	s.Submit()
}
