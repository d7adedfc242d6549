package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"unicode/utf8"

	"github.com/samsa-go/samsa"
)

// event is what has happened; it is the value of a record, with the account as its key. Its meaning never changes.
type event struct {
	Type   string // "deposited" or "withdrawn"
	Amount int64
}

// state is what the events up to an offset have made. A snapshot is one, as JSON.
type state struct {
	Next     int64 // the offset of the next event
	Accounts map[string]int64
}

// apply is the only place where the state changes. It refuses nothing: what it is given has happened.
func (s *state) apply(r samsa.Record) error {
	var e event
	if err := json.Unmarshal(r.Value, &e); err != nil {
		return fmt.Errorf("event %d: %w", r.Offset, err)
	}
	switch e.Type {
	case "deposited":
		s.Accounts[string(r.Key)] += e.Amount
	case "withdrawn":
		s.Accounts[string(r.Key)] -= e.Amount
	default:
		return fmt.Errorf("event %d: type %q is not known", r.Offset, e.Type)
	}
	s.Next = r.Offset + 1
	return nil
}

// bank decides what happens. It has the state in memory, and is alone to write the topic.
type bank struct {
	b     *samsa.Broker
	every int64 // events from one snapshot to the next

	mu       sync.Mutex // guards what follows: one decision at a time
	state    state
	snapshot int64 // the offset up to which there is a snapshot
	replayed int64 // events that open has read
	broken   error // the bank has to be opened again
}

// snapshotKey has a version of the state in it: where state changes, so does the number, and the next open reads all events.
var snapshotKey = []byte("bank/snapshot/1")

var (
	errAmount = errors.New("the amount is to be more than 0")
	errName   = errors.New("the name of the account is not UTF-8") // which a snapshot could not have
	errFunds  = errors.New("there is not as much in the account")
)

// openBank reads the last snapshot and the events behind it.
func openBank(ctx context.Context, b *samsa.Broker, every int64) (*bank, error) {
	k := &bank{b: b, every: every}
	err := b.View(ctx, func(tx *samsa.ReadTx) error {
		text, err := tx.Get(snapshotKey)
		if errors.Is(err, samsa.ErrKeyNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return json.Unmarshal(text, &k.state)
	})
	if err != nil {
		return nil, err
	}
	if k.state.Accounts == nil {
		k.state.Accounts = make(map[string]int64)
	}
	k.snapshot = k.state.Next
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{
		Partitions: map[string][]int32{topic: {0}}, Start: samsa.AtOffset(k.snapshot), OutOfRange: samsa.ResetError,
	})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for r, err := range c.RecordsUntil(ctx) {
		if err == nil {
			err = k.state.apply(r)
		}
		if err != nil {
			return nil, err
		}
		k.replayed++
	}
	return k, nil
}

func (k *bank) deposit(ctx context.Context, account string, amount int64) error {
	return k.decide(ctx, account, func(int64) (event, error) { return event{Type: "deposited", Amount: amount}, positive(amount) })
}

func (k *bank) withdraw(ctx context.Context, account string, amount int64) error {
	return k.decide(ctx, account, func(balance int64) (event, error) {
		if balance < amount {
			return event{}, errFunds
		}
		return event{Type: "withdrawn", Amount: amount}, positive(amount)
	})
}

func positive(amount int64) error {
	if amount <= 0 {
		return errAmount
	}
	return nil
}

func (k *bank) balances() map[string]int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.state.Accounts)
}

// decide stores the event that fn makes of the balance of an account, and applies it.
func (k *bank) decide(ctx context.Context, account string, fn func(balance int64) (event, error)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.broken != nil {
		return k.broken
	}
	if !utf8.ValidString(account) {
		return errName
	}
	e, err := fn(k.state.Accounts[account])
	if err != nil {
		return err
	}
	value, err := json.Marshal(e)
	if err != nil {
		return err
	}
	stored, err := k.b.Produce(ctx, samsa.Record{Topic: topic, Key: []byte(account), Value: value})
	if errors.Is(err, samsa.ErrOutcomeUnknown) {
		k.broken = err // the state may be behind the log
	}
	if err != nil {
		return err
	}
	if err := k.state.apply(stored[0]); err != nil {
		return err
	}
	if k.state.Next-k.snapshot < k.every {
		return nil
	}
	// The event is stored. A snapshot that fails only has the next open read more, and is tried again with the next event.
	if k.save(ctx) == nil {
		k.snapshot = k.state.Next
	}
	return nil
}

// save writes a snapshot over the last one.
func (k *bank) save(ctx context.Context) error {
	text, err := json.Marshal(k.state)
	if err != nil {
		return err
	}
	return k.b.Update(ctx, func(tx *samsa.Tx) error { return tx.Set(snapshotKey, text) })
}
