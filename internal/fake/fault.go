package fake

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/samsatest"
)

// fault is a fault with its number.
type fault struct {
	*samsatest.Fault
	id   int64
	want int
}

func (f *fault) told() api.Fault {
	return api.Fault{ID: f.id, Text: f.String(), Hits: f.Hits(), Want: f.want}
}

// maxFaults bounds the faults of a broker.
const maxFaults = 10_000

// NewFault implements api.Kit.
func (k *Fake) NewFault(f api.NewFault) (api.Fault, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.open(); err != nil {
		return api.Fault{}, err
	}
	if len(k.faults) == maxFaults {
		return api.Fault{}, fmt.Errorf("%w: there are %d faults already", samsa.ErrTooLarge, maxFaults)
	}
	act, err := action(f)
	if err != nil {
		return api.Fault{}, err
	}
	made, err := k.make(f, act)
	if err != nil {
		return api.Fault{}, err
	}
	k.nextID++
	named := &fault{made, k.nextID, max(1, f.Next)}
	k.faults[named.id] = named
	return named.told(), nil
}

// action returns what a fault does to what it hits.
func action(f api.NewFault) (act func(samsatest.Target) *samsatest.Fault, err error) {
	n := 0
	one := func(is bool, do func(samsatest.Target) *samsatest.Fault) {
		if is {
			act = do
			n++
		}
	}
	var named error
	for _, e := range log.Errors {
		if e.Name == f.Error {
			named = e.Err
		}
	}
	if f.Error != "" && named == nil {
		return nil, fmt.Errorf("%w: there is no error %.100q", samsa.ErrInvalid, f.Error)
	}
	one(f.Fail, samsatest.Target.Fail)
	one(f.Error != "", func(t samsatest.Target) *samsatest.Fault {
		return t.FailWith(fmt.Errorf("%w: %w", named, samsatest.ErrInjected))
	})
	one(f.Code != 0, func(t samsatest.Target) *samsatest.Fault { return t.FailWith(samsatest.Code(f.Code)) })
	one(f.Delay != 0, func(t samsatest.Target) *samsatest.Fault { return t.Delay(time.Duration(f.Delay)) })
	one(f.Hold, samsatest.Target.Hold)
	one(f.Count, func(t samsatest.Target) *samsatest.Fault { return t.FailWith(nil) })
	if f.On == "space" && n == 0 {
		return nil, nil
	}
	if n != 1 || f.Delay < 0 || f.Next < 0 || f.On == "space" {
		return nil, fmt.Errorf("%w: a fault is one of fail, error, code, delay_ms, hold and count, and on space none of them", samsa.ErrInvalid)
	}
	return act, nil
}

// make makes a fault. What does not go with what it is on is refused: it would hit more than was meant.
func (k *Fake) make(f api.NewFault, act func(samsatest.Target) *samsatest.Fault) (*samsatest.Fault, error) {
	b := k.b
	var t samsatest.Target
	left := f // what nothing has looked at
	left.Fail, left.Error, left.Code, left.Delay, left.Hold, left.Count, left.Next, left.Client, left.On = false, "", 0, 0, false, false, 0, "", ""
	switch f.On {
	case "appends":
		w := samsatest.Appends(b, f.Topic, f.Partitions...)
		left.Topic, left.Partitions, left.Answers = "", nil, false
		if t = w.Target; f.Answers {
			t = w.Stored()
		}
	case "fetches":
		t, left.Topic, left.Partitions = samsatest.Fetches(b, f.Topic, f.Partitions...), "", nil
	case "commits":
		w := samsatest.Commits(b, f.Group)
		left.Group, left.Answers = "", false
		if t = w.Target; f.Answers {
			t = w.Stored()
		}
	case "joins":
		t, left.Group = samsatest.Joins(b, f.Group), ""
	case "requests":
		t, left = onRequests(b, f), api.NewFault{}
	case "space":
		if f.Client == "" && f.Next == 0 && alone(left) {
			return samsatest.FillDisk(b), nil
		}
	default:
		return nil, fmt.Errorf("%w: on is %.40q, want appends, fetches, commits, joins, requests or space", samsa.ErrInvalid, f.On)
	}
	if f.On == "space" || !alone(left) || len(f.Partitions) > 0 && f.Topic == "" {
		return nil, fmt.Errorf("%w: a fault on %s is not by all of these: topic, partitions, group, transaction, principal, keys, answers", samsa.ErrInvalid, f.On)
	}
	if f.Client != "" {
		t = t.By(f.Client)
	}
	if f.Next > 0 {
		t = t.Next(f.Next)
	}
	return act(t), nil
}

// alone reports whether nothing is left.
func alone(f api.NewFault) bool {
	return f.Topic == "" && len(f.Partitions) == 0 && f.Group == "" && f.Transaction == "" && f.Principal == "" && len(f.Keys) == 0 && !f.Answers
}

func onRequests(b *samsa.Broker, f api.NewFault) samsatest.Target {
	r := samsatest.Requests(b, f.Keys...)
	if f.Topic != "" {
		r = r.Of(f.Topic, f.Partitions...)
	}
	if f.Group != "" {
		r = r.OfGroup(f.Group)
	}
	if f.Principal != "" {
		r = r.OfPrincipal(f.Principal)
	}
	switch f.Transaction {
	case "":
	case "*":
		r = r.OfTransaction("")
	default:
		r = r.OfTransaction(f.Transaction)
	}
	if f.Answers {
		return r.Answers()
	}
	return r.Target
}

func (k *Fake) find(id int64) (*fault, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if f := k.faults[id]; f != nil {
		return f, nil
	}
	return nil, fmt.Errorf("%w: there is no fault %d", samsa.ErrUnknown, id)
}

// Fault implements api.Kit.
func (k *Fake) Fault(id int64) (api.Fault, error) {
	f, err := k.find(id)
	if err != nil {
		return api.Fault{}, err
	}
	return f.told(), nil
}

// Faults implements api.Kit.
func (k *Fake) Faults() []api.Fault {
	k.mu.RLock()
	defer k.mu.RUnlock()
	var all []api.Fault
	for _, id := range slices.Sorted(maps.Keys(k.faults)) {
		all = append(all, k.faults[id].told())
	}
	return all
}

// ReleaseFault implements api.Kit.
func (k *Fake) ReleaseFault(id int64) error {
	f, err := k.find(id)
	if err == nil {
		f.Release()
	}
	return err
}

// RemoveFault implements api.Kit.
func (k *Fake) RemoveFault(id int64) error {
	f, err := k.find(id)
	if err != nil {
		return err
	}
	f.Remove()
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.faults, id)
	return nil
}
