package acl

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/turns"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// Rules are the rules of a broker, which its store keeps. Their methods may be called by anybody at any time.
type Rules struct {
	c        *writer.Committer
	changing turns.Turn // held while rules are being changed
	now      atomic.Pointer[Set]
	lost     [][]byte // keys of rules that are damaged; who changes rules has them
}

// MaxRules is how many a broker keeps.
const MaxRules = 100_000

// saved is a rule as it is stored, JSON.
type saved struct {
	Version    int    `json:"version"`
	Resource   int8   `json:"resource"`
	Name       []byte `json:"name"` // base64: names need not be text
	Pattern    int8   `json:"pattern"`
	Principal  []byte `json:"principal"`
	Host       string `json:"host"`
	Operation  int8   `json:"operation"`
	Permission int8   `json:"permission"`
}

const savedVersion = 1

func (r Rule) encode() []byte {
	v, err := json.Marshal(saved{savedVersion, int8(r.Resource), []byte(r.Name), int8(r.Pattern), []byte(r.Principal), r.Host, int8(r.Operation), int8(r.Permission)})
	if err != nil {
		panic("acl: plain data does not encode: " + err.Error())
	}
	return v
}

func decode(v []byte) (Rule, error) {
	var s saved
	if err := json.Unmarshal(v, &s); err != nil {
		return Rule{}, fmt.Errorf("%w: ACL: %w", log.ErrCorruptValue, err)
	}
	r := Rule{Resource(s.Resource), string(s.Name), Pattern(s.Pattern), string(s.Principal), s.Host, Operation(s.Operation), Permission(s.Permission)}
	if err := r.Check(); err != nil || s.Version != savedVersion {
		return Rule{}, fmt.Errorf("%w: ACL of version %d: %w", log.ErrCorruptValue, s.Version, err)
	}
	return r, nil
}

// key is where the rule is: a hash of what it says, so that one rule has one key.
func (r Rule) key() []byte {
	sum := sha256.Sum256(r.encode())
	return store.ACLKey([store.ACLKeyHash]byte(sum[:]))
}

// Open returns the rules that st holds. While one of them is damaged, which may have denied something, nobody may do
// anything: the logger is told. Delete with an empty filter removes it.
func Open(st store.Store, c *writer.Committer, logger *zap.Logger) (*Rules, error) {
	l := &Rules{c: c, changing: turns.New()}
	var rules []Rule
	err := st.Scan(store.ACLRange(), func(e store.Entry) (bool, error) {
		v, err := e.AppendValue(nil)
		var r Rule
		if err == nil {
			r, err = decode(v)
		}
		switch {
		case err == nil:
			rules = append(rules, r)
		case store.Lost(err):
			logger.Error("an ACL is damaged, so that only super users may do anything", zap.Error(err))
			l.lost = append(l.lost, slices.Clone(e.Key))
		default:
			return false, err
		}
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("ACLs: %w", err)
	}
	l.set(rules)
	return l, nil
}

func (l *Rules) set(rules []Rule) {
	s := NewSet(rules)
	s.broken = len(l.lost) > 0
	l.now.Store(s)
}

// Now returns the rules that are in force.
func (l *Rules) Now() *Set { return l.now.Load() }

// Create adds those rules that are not there yet, all or none of them. When it returns they are stored and in force. What
// Check refuses, and more than MaxRules, is ErrInvalid.
func (l *Rules) Create(ctx context.Context, rules ...Rule) error {
	for _, r := range rules {
		if err := r.Check(); err != nil {
			return err
		}
	}
	return l.change(ctx, func(now []Rule, tx *writer.Tx) ([]Rule, error) {
		next := sorted(append(slices.Clip(now), rules...))
		if len(next) > MaxRules {
			return nil, fmt.Errorf("%w: %d ACLs, at most %d are kept", log.ErrInvalid, len(next), MaxRules)
		}
		for _, r := range next {
			if _, ok := slices.BinarySearchFunc(now, r, compare); !ok {
				tx.Writes.Set(r.key(), r.encode())
			}
		}
		return next, nil
	})
}

// Delete removes the rules that each filter finds, and returns them by filter: one that several find is each's. When it
// returns they are no more. A filter that Check refuses is ErrInvalid, and nothing is removed.
func (l *Rules) Delete(ctx context.Context, filters ...Filter) (found [][]Rule, err error) {
	for _, f := range filters {
		if err := f.Check(); err != nil {
			return nil, err
		}
	}
	err = l.change(ctx, func(now []Rule, tx *writer.Tx) ([]Rule, error) {
		found = make([][]Rule, len(filters))
		next := slices.DeleteFunc(slices.Clone(now), func(r Rule) bool {
			gone := false
			for i, f := range filters {
				if f.Matches(r) {
					found[i], gone = append(found[i], r), true
				}
			}
			if gone {
				tx.Writes.Delete(r.key())
			}
			return gone
		})
		if slices.ContainsFunc(filters, Filter.all) {
			for _, key := range l.lost {
				tx.Writes.Delete(key)
			}
			l.lost = nil
		}
		return next, nil
	})
	return found, err
}

// all reports whether the filter finds each rule that there can be.
func (f Filter) all() bool {
	return f.Resource <= AnyResource && f.Name == nil && f.Pattern <= Match && f.Principal == nil && f.Host == nil &&
		f.Operation <= AnyOperation && f.Permission <= AnyPermission
}

// change stores what edit makes of the rules, one change at a time, and puts it in force. ctx counts until storing begins.
func (l *Rules) change(ctx context.Context, edit func(now []Rule, tx *writer.Tx) ([]Rule, error)) error {
	if err := l.changing.TakeUntil(ctx); err != nil {
		return err
	}
	defer l.changing.Give()
	lost := l.lost
	tx := &writer.Tx{Essential: true}
	next, err := edit(l.Now().rules, tx)
	if err == nil && tx.Writes.Len() > 0 {
		tx.Stored = func() { l.set(next) }
		err = l.c.DoUntil(ctx, tx)
	}
	if err != nil {
		if l.lost = lost; errors.Is(err, log.ErrInvalid) {
			return err
		}
		return fmt.Errorf("ACLs: %w", err)
	}
	return nil
}
