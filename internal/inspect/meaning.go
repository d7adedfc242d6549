package inspect

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// opened is a broker that reads the directory, which reads all that is small and is told what is damaged of it.
type opened struct {
	broker *samsa.Broker
	parts  inside.Broker
	where  store.Indexed
	warned warnings
}

// open opens the directory for reading; it is nil with why that cannot be.
func open(dir string) (*opened, error) {
	o := new(opened)
	b, err := samsa.Open(dir, samsa.Options{ReadOnly: true, Logger: zap.New(&o.warned)})
	if err != nil {
		return nil, err
	}
	o.broker, o.parts = b, inside.Of(b)
	o.where = o.parts.Store.(store.Indexed)
	return o, nil
}

func (o *opened) close() error { return o.broker.Close() }

// warnings is a zap core that keeps the errors of what is damaged.
type warnings struct {
	mu   sync.Mutex
	errs []error
}

func (w *warnings) Enabled(l zapcore.Level) bool      { return l >= zapcore.WarnLevel }
func (w *warnings) With([]zapcore.Field) zapcore.Core { return w }
func (w *warnings) Sync() error                       { return nil }
func (w *warnings) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if w.Enabled(e.Level) {
		return ce.AddCore(e, w)
	}
	return ce
}

func (w *warnings) Write(_ zapcore.Entry, fields []zapcore.Field) error {
	for _, f := range fields {
		if err, ok := f.Interface.(error); ok && errors.Is(err, store.ErrCorrupt) {
			w.mu.Lock()
			w.errs = append(w.errs, err)
			w.mu.Unlock()
		}
	}
	return nil
}

// recordCheck checks batches.
type recordCheck struct {
	buf              []byte
	batches, records int64
}

// check checks all of a batch that is stored under key.
func (c *recordCheck) check(key, value []byte) error {
	k, err := store.ParseBatchKey(key)
	if err != nil {
		return err
	}
	b, err := log.ParseBatch(value)
	if err != nil {
		return err
	}
	if b.LastOffset() != k.LastOffset || b.KeyTime(k.MaxTimestamp) != k.MaxTimestamp {
		return fmt.Errorf("%w: the batch ends at offset %d, its largest timestamp is %d; under its key it ends at %d, with %d",
			log.ErrCorruptRecord, b.LastOffset(), b.MaxTimestamp(), k.LastOffset, k.MaxTimestamp)
	}
	if b.Control() {
		if _, err := b.Outcome(); err != nil {
			return err
		}
	}
	if c.buf, err = b.AppendRecords(c.buf[:0]); err != nil {
		return err
	}
	r := log.NewRecordReader(b, c.buf)
	var rec log.Record
	for more := true; more; {
		if _, more, err = r.Skim(&rec); err != nil {
			return err
		}
	}
	c.batches++
	c.records += int64(b.Records())
	return nil
}

// meaning looks at what is stored, through the index.
func (v *Verification) meaning(ctx context.Context, tell func(Finding) error) error {
	v.sum.Topics = len(v.index.parts.Catalogue.List())
	for _, err := range v.index.warned.errs {
		if err := tell(Finding{Severity: Damage, What: err.Error(), Cost: "what it belongs to, until that is deleted or written anew", Err: err}); err != nil {
			return err
		}
	}
	s := scan{v: v, tell: tell, total: v.sum.Bytes}
	if err := s.run(ctx); err != nil {
		return err
	}
	v.sum.Batches, v.sum.Records = v.records.batches, v.records.records
	v.opts.Progress("meaning", s.total, s.total)
	return nil
}

// scan goes through all keys.
type scan struct {
	v           *Verification
	tell        func(Finding) error
	done, total int64
	value       []byte

	partition store.PartitionID // of the last batch
	known     bool              // it is a partition that is there
	begun     bool              // a batch of it came that counts
	end       int64             // behind that, or its log start
}

func (s *scan) run(ctx context.Context) error {
	n := 0
	return s.v.index.parts.Store.Scan(store.Range{}, func(e store.Entry) (bool, error) {
		if n++; n%1024 == 0 {
			s.v.opts.Progress("meaning", min(s.done, s.total), s.total)
			if err := ctx.Err(); err != nil {
				return false, err
			}
		}
		s.v.sum.Keys++
		s.done += int64(e.Size)
		return true, s.entry(e)
	})
}

// entry looks at a key and its value.
func (s *scan) entry(e store.Entry) (err error) {
	k := s.v.names.key(e.Key)
	if k.Kind == "batch" {
		if err := s.follow(e.Key, k); err != nil {
			return err
		}
	}
	s.value, err = e.AppendValue(s.value[:0])
	if err != nil && k.Kind == "batch" {
		s.begun, s.end = true, max(s.end, *k.Offset+1)
	}
	switch {
	case err != nil && !errors.Is(err, store.ErrCorrupt):
		return err
	case err != nil && s.v.told[string(e.Key)]:
		return nil
	case err == nil && k.Kind == "batch":
		err = store.Join(s.v.records.check(e.Key, s.value), s.base(k))
	case err == nil && k.Kind == "unknown key":
		err = fmt.Errorf("%w: it is none that this release knows", store.ErrCorrupt)
	case err == nil && k.Kind == "application key" && s.value[0] != 1:
		err = fmt.Errorf("%w: version %d of an application's value", store.ErrCorrupt, s.value[0])
	}
	if err == nil {
		return nil
	}
	f := Finding{Severity: Damage, Of: k.String(), What: err.Error(), Cost: costOf(k), Err: err}
	if at, err := s.v.index.where.Where(e.Key); err == nil {
		f.File, f.Offset = at.File, at.Offset
	}
	return s.tell(f)
}

// follow notes to which partition a batch belongs. The end of the one before is expected to be that of its log.
func (s *scan) follow(key []byte, k Key) error {
	b, err := store.ParseBatchKey(key)
	if err != nil || b.PartitionID == s.partition {
		return err
	}
	s.partition, s.known, s.begun = b.PartitionID, false, false
	for _, t := range s.v.index.parts.Catalogue.List() {
		ps := t.Partitions()
		if ps[0].ID().Topic == b.Topic && int64(b.Partition) < int64(len(ps)) {
			s.known, s.end = true, ps[b.Partition].LogStart()
			return nil
		}
	}
	if len(s.v.index.parts.Catalogue.Damaged()) > 0 || s.v.index.doomed(b.Topic) {
		return nil
	}
	return s.tell(Finding{Severity: Note, Of: k.String(), What: "there is no such partition", Cost: "the space that its batches take"})
}

// doomed reports whether a topic was deleted, and its data goes.
func (o *opened) doomed(number uint32) bool {
	key := store.CatalogueKey("d")
	key = append(key, byte(number>>24), byte(number>>16), byte(number>>8), byte(number))
	_, err := o.parts.Store.Get(key)
	return err == nil
}

// base expects the batch in s.value to follow the one before.
func (s *scan) base(k Key) error {
	last := *k.Offset
	begun, end := s.begun, s.end
	if !s.known || last < end && !begun { // before the log start: about to go
		return nil
	}
	s.begun, s.end = true, max(end, last+1)
	if len(s.value) < log.BatchHeaderSize {
		return nil
	}
	switch base := log.Batch(s.value).BaseOffset(); {
	case base > end:
		return fmt.Errorf("%w: offsets %d to %d before it are missing", store.ErrCorrupt, end, base-1)
	case base < end && begun:
		return fmt.Errorf("%w: it overlaps the batch before, which ends at offset %d", store.ErrCorrupt, end-1)
	}
	return nil
}
