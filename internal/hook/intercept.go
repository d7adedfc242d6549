package hook

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/log"
)

// InterceptError says that BeforeProduce or BeforeDeliver of a Hook has refused a record.
type InterceptError struct {
	Hook   string     // Name of the Hook
	Record log.Record // as it was given to be produced, or as it is stored
	Err    error      // what the function has returned, or that it has panicked, or broken a rule
}

// Error implements error.
func (e *InterceptError) Error() string { return fmt.Sprintf("hook %q: %v", e.Hook, e.Err) }

// Unwrap returns Err.
func (e *InterceptError) Unwrap() error { return e.Err }

// What a function has done that it must not, or has not done. errPanic is told to the logger besides.
var (
	errPanic = errors.New("panic")
	errCount = fmt.Errorf("%w: the function has neither done all records, nor said what is wrong with the first one that it has not", log.ErrInvalid)
	errMoved = fmt.Errorf("%w: the function has changed where the record is", log.ErrInvalidRecord)
)

type asStored struct{}

// AsStored returns a context with which records are produced as they are given, and read as they are stored: interceptors are not
// called. It is for doors that are not the program's own.
func AsStored(ctx context.Context) context.Context { return context.WithValue(ctx, asStored{}, true) }

// ChangesProduced reports whether somebody changes what is produced with ctx. h may be nil.
func (h *Hooks) ChangesProduced(ctx context.Context) bool {
	return h != nil && h.beforeProduce && ctx.Value(asStored{}) == nil
}

// ChangesDelivered is as ChangesProduced, for what is delivered.
func (h *Hooks) ChangesDelivered(ctx context.Context) bool {
	return h != nil && h.beforeDeliver && ctx.Value(asStored{}) == nil
}

// Intercepts reports whether somebody changes what is delivered, by some doors at least.
func (h *Hooks) Intercepts() bool { return h != nil && h.beforeDeliver }

// BeforeProduce returns what is to be produced for records, in a slice of its own: a record for each. Or it returns an *InterceptError,
// wrapped with the index of the record.
func (h *Hooks) BeforeProduce(ctx context.Context, records []log.Record) ([]log.Record, error) {
	changed, err := h.change(ctx, records, func(ctx context.Context, changed []log.Record) (n int, by int, err error) {
		n = len(changed)
		for i := range h.all {
			n, by, err = h.next(ctx, i, h.all[i].BeforeProduce, changed, n, by, err)
		}
		return n, by, err
	}, func(was, is *log.Record) bool { return was.Topic == is.Topic })
	if err != nil {
		return nil, fmt.Errorf("record %d: %w", len(changed), err)
	}
	return changed, nil
}

// BeforeDeliver returns what the program is given of records, in a slice of its own: a record for each. With an *InterceptError, wrapped with
// the place of the record, they are those before the one that it is of.
func (h *Hooks) BeforeDeliver(ctx context.Context, records []log.Record) ([]log.Record, error) {
	changed, err := h.change(ctx, records, func(ctx context.Context, changed []log.Record) (n int, by int, err error) {
		n = len(changed)
		for i := range slices.Backward(h.all) {
			n, by, err = h.next(ctx, i, h.all[i].BeforeDeliver, changed, n, by, err)
		}
		return n, by, err
	}, func(was, is *log.Record) bool {
		return was.Topic == is.Topic && was.Partition == is.Partition && was.Offset == is.Offset
	})
	if err != nil {
		r := &err.Record
		return changed, fmt.Errorf("%s/%d: offset %d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	return changed, nil
}

// BeforeDeliverOne is BeforeDeliver of one record.
func (h *Hooks) BeforeDeliverOne(ctx context.Context, r log.Record) (log.Record, error) {
	changed, err := h.BeforeDeliver(ctx, []log.Record{r})
	if err != nil {
		return log.Record{}, err
	}
	return changed[0], nil
}

// BeforeDeliverEach is BeforeDeliver of all of records, whatever becomes of others: where there is no error for a record, it returns what the
// program is given of it.
func (h *Hooks) BeforeDeliverEach(ctx context.Context, records []log.Record) ([]log.Record, map[int]error) {
	all, errs := make([]log.Record, 0, len(records)), map[int]error(nil)
	for len(all) < len(records) {
		changed, err := h.BeforeDeliver(ctx, records[len(all):])
		all = append(all, changed...)
		if err != nil {
			if errs == nil {
				errs = make(map[int]error)
			}
			errs[len(all)] = err
			all = append(all, log.Record{})
		}
	}
	return all, errs
}

// change has functions change copies of records, and returns those of the first that they have done, all without an error.
func (h *Hooks) change(ctx context.Context, records []log.Record, do func(context.Context, []log.Record) (n, by int, err error), stays func(was, is *log.Record) bool) ([]log.Record, *InterceptError) {
	changed := make([]log.Record, len(records))
	for i := range records {
		changed[i] = clipped(records[i])
	}
	n, by, err := do(ctx, changed)
	if errors.Is(err, errPanic) && len(records) > 1 { // one by one: of which it is nobody knows
		for n = range records {
			changed[n] = clipped(records[n])
			if _, by, err = do(ctx, changed[n:n+1]); err != nil {
				break
			}
		}
		if err == nil {
			n = len(records)
		}
	}
	for i := range n {
		if !stays(&records[i], &changed[i]) {
			n, by, err = i, -1, errMoved
			break
		}
	}
	if err == nil {
		return changed, nil
	}
	wrong := &InterceptError{Record: records[n], Err: err}
	if by >= 0 {
		wrong.Hook = h.all[by].Name
	}
	return changed[:n], wrong
}

// clipped returns r so that to append to what it leads to copies that.
func clipped(r log.Record) log.Record {
	r.Key, r.Value, r.Headers = slices.Clip(r.Key), slices.Clip(r.Value), slices.Clip(r.Headers)
	return r
}

// next has the function fn of hook i change the first n records, of which the hook by has done no more for err. It returns how many are
// done, and who has not done more for which error.
func (h *Hooks) next(ctx context.Context, i int, fn func(context.Context, []log.Record) (int, error), records []log.Record, n, by int, err error) (int, int, error) {
	if fn == nil || n == 0 {
		return n, by, err
	}
	done, wrong := h.intercept(ctx, i, fn, records[:n:n])
	switch {
	case done == n && wrong == nil:
		return n, by, err
	case done < 0 || done >= n || wrong == nil:
		return 0, i, errors.Join(wrong, errCount)
	}
	return done, i, wrong
}

// intercept calls a function of hook i. One that panics has done nothing.
func (h *Hooks) intercept(ctx context.Context, i int, fn func(context.Context, []log.Record) (int, error), records []log.Record) (n int, err error) {
	defer func() {
		if v := recover(); v != nil {
			h.panicked(i, v)
			n, err = 0, fmt.Errorf("%w: %v", errPanic, v)
		}
	}()
	return fn(ctx, records)
}

// panicked notes what a function of hook i has panicked with, while it does.
func (h *Hooks) panicked(i int, v any) {
	h.panics.Add(1)
	h.logger.Error("a hook has panicked", zap.String("hook", h.all[i].Name), zap.Int("number", i), zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))
}
