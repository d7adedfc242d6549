package share

import (
	"cmp"
	"slices"

	"github.com/samsa-go/samsa/internal/writer"
)

// with is acknowledgements that are decided with a transaction of somebody else's.
type with struct {
	c     *Coordinator
	check func() error
	parts []part // by entry
}

// part is those of an entry.
type part struct {
	en    *entry
	all   []*Settlement
	rules Rules
}

func (w *with) add(en *entry, s *Settlement) {
	for i := range w.parts {
		if w.parts[i].en == en {
			w.parts[i].all = append(w.parts[i].all, s)
			return
		}
	}
	w.parts = append(w.parts, part{en: en, all: []*Settlement{s}})
	slices.SortFunc(w.parts, func(a, b part) int { return cmp.Compare(a.en.number, b.en.number) })
}

// decide is the Check of the transaction: the locks of all entries are held while one after the other is asked.
func (w *with) decide(tx *writer.Tx) error {
	for i := range w.parts {
		w.parts[i].rules = w.c.settings(w.parts[i].en.key.Group).rules()
	}
	for i := range w.parts {
		w.parts[i].en.mu.Lock()
		defer w.parts[i].en.mu.Unlock()
	}
	now := soonMs()
	for i := range w.parts {
		if err := w.parts[i].ask(nowMs()); err != nil {
			return w.parts[i].en.wrap(err)
		}
	}
	if w.check != nil {
		if err := w.check(); err != nil {
			return err
		}
	}
	for i := range w.parts {
		p := &w.parts[i]
		for _, s := range p.all {
			p.en.counts.add(p.en.states.Settle(now, s.Acks, p.rules))
			p.en.noteLetters(nil)
			p.en.store(tx, p.en.states.ChangesOf(s.Acks, nil))
		}
	}
	return nil
}

func (p *part) ask(now int64) error {
	p.en.expireLocked(now, p.rules)
	for _, s := range p.all {
		if err := p.en.checkLocked(s.Member, s.Acks); err != nil {
			return err
		}
	}
	return nil
}

// Decided tells that a transaction of With is over: what it has made possible happens.
func (c *Coordinator) Decided(all []Settlement) {
	for i := range all {
		if en, err := c.find(all[i].Key, false); err == nil && en != nil {
			en.tend()
			en.wake()
		}
	}
}
