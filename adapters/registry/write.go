package registry

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/samsa-go/samsa"
)

// A write is a compare-and-set on the whole topic: what is decided by the state as it is at the end of the topic is stored if nobody has written to the topic
// since, and else decided anew. So it does not matter how many registries there are. ADR 43 says why in this way.

// write stores what decide says, by the state as of the end of the topic. decide may be called several times, and is not called again once its records are
// stored. turn is held.
func (r *Registry) write(decide func() ([]samsa.Record, error)) error {
	if r.far == nil {
		err := r.writeHere(decide)
		if !errors.Is(err, samsa.ErrUnsupported) { // nor is anything done then
			return err
		}
		r.far = new(fenced)
	}
	return r.writeFar(decide)
}

// maxTries bounds how often a write is begun anew because others write too.
const maxTries = 20

// writeHere is write where the store of the broker is in this process: an Update that has read all rows of a table of the topic fails when any record was written
// since, by whomever and in whatever way.
func (r *Registry) writeHere(decide func() ([]samsa.Record, error)) (err error) {
	if r.table == nil {
		if r.table, err = r.newTable(); err != nil {
			return err
		}
	}
	for range maxTries {
		err = r.b.Update(r.ctx, func(tx *samsa.Tx) error {
			t, err := tx.Table(r.table)
			if err != nil {
				return err
			}
			for _, err := range t.Range(samsa.TableRange{}) { // all of it counts as read
				if err != nil {
					return err
				}
				break
			}
			records, err := r.decided(decide)
			if err != nil || len(records) == 0 {
				return err
			}
			return tx.Produce(records...)
		})
		if !errors.Is(err, samsa.ErrConflict) {
			break
		}
	}
	if errors.Is(err, samsa.ErrOutcomeUnknown) { // what is written next might be beside it
		r.mu.Lock()
		r.fail(err)
		r.mu.Unlock()
	}
	return err
}

// newTable returns the table of the topic. It is kept beside the data, so that schemas are in memory once, and in memory only where another registry of the
// broker has that one. On a cluster it is ErrUnsupported.
func (r *Registry) newTable() (*samsa.Table, error) {
	opts := samsa.TableOptions{Topic: r.opts.Topic, Name: "schema-registry"}
	t, err := r.b.NewTable(r.ctx, opts)
	if errors.Is(err, samsa.ErrInvalidOption) {
		opts.Name = ""
		t, err = r.b.NewTable(r.ctx, opts)
	}
	return t, err
}

// decided reads to the end of the topic, and decides.
func (r *Registry) decided(decide func() ([]samsa.Record, error)) ([]samsa.Record, error) {
	if err := r.toEnd(); err != nil {
		return nil, err
	}
	if err := r.alone(); err != nil {
		return nil, err
	}
	records, err := decide()
	for i := range records {
		records[i].Topic = r.opts.Topic
	}
	return records, err
}

// fenced is how a registry writes to a topic that is elsewhere: by a producer with the ID that all registries of the topic have, of which the one that was opened last
// stores, and no other one. So until it is fenced itself nobody writes beside it.
type fenced struct {
	p    *samsa.Producer // nil until it writes, and when another one has fenced it
	took time.Duration   // from the call that opened the last producer to the answer to its first write
}

// pause returns how long who was fenced waits before it fences in its turn: by chance, and the longer the more often, in the measure of what a write takes.
// Who waits less fences the other one before that has written, and so on, and nobody writes at all.
func (f *fenced) pause(try int) time.Duration {
	return rand.N(time.Duration(min(try+1, 8)) * min(max(f.took, 10*time.Millisecond), time.Second))
}

// together is how long a record waits for those that are to be stored with it: less than what stores them takes on a cluster.
const together = 2 * time.Millisecond

// writeFar is write on a cluster.
func (r *Registry) writeFar(decide func() ([]samsa.Record, error)) (err error) {
	for try := range maxTries {
		began, first := time.Now(), r.far.p == nil
		if first {
			r.far.p, err = r.b.NewProducer(r.ctx, samsa.ProducerOptions{ID: "schema-registry-" + r.opts.Topic, Linger: together, BatchBytes: 16 << 20, Acks: samsa.AckSynced})
			if err != nil {
				return err
			}
		}
		var records []samsa.Record
		if records, err = r.decided(decide); err != nil || len(records) == 0 {
			return err
		}
		_, err = r.far.p.ProduceSync(r.ctx, records...)
		if first {
			r.far.took = time.Since(began)
		}
		if err == nil {
			return nil
		}
		_ = r.far.p.Close() // it has the error already; the next one begins behind what this one has stored
		r.far.p = nil
		if !errors.Is(err, samsa.ErrProducerFenced) {
			return err
		}
		select {
		case <-time.After(r.far.pause(try)):
		case <-r.ctx.Done():
			return r.ctx.Err()
		}
	}
	return err
}

// closeWriter ends what writes.
func (r *Registry) closeWriter() (err error) {
	if r.ahead != nil {
		err = r.ahead.Close()
	}
	if r.table != nil {
		err = errors.Join(err, r.table.Close())
	}
	if r.far != nil && r.far.p != nil {
		err = errors.Join(err, r.far.p.Close())
	}
	return err
}

// alone tells whether no registry of Confluent's runs on the broker, which gives ids by what it knows, and does not look at the topic again for that. It
// joins its group first, then writes to the topic, and reads up to that. So where a write is a compare-and-set it comes before what is written
// there, and is read, or fails.
func (r *Registry) alone() error {
	g, err := r.b.Groups().Describe(r.ctx, r.opts.Group)
	switch {
	case errors.Is(err, samsa.ErrUnknownGroup):
		return nil
	case err != nil:
		return err
	case len(g.Members) > 0 && g.Kind == samsa.GroupClassic:
		return faultf(codeLeader, "A Schema Registry of Confluent's runs in the group %s, at %s: write to that one. This one only reads meanwhile", r.opts.Group, g.Members[0].ClientHost)
	}
	return nil
}

// toEnd returns when all that was stored before the call is in the state. turn is held.
func (r *Registry) toEnd() (err error) {
	if r.ahead == nil {
		r.mu.Lock()
		next := r.next
		r.mu.Unlock()
		r.ahead, err = r.b.NewConsumer(r.ctx, samsa.ConsumerOptions{Partitions: map[string][]int32{r.opts.Topic: {0}}, Start: samsa.AtOffset(next)})
		if err != nil {
			return err
		}
	}
	for record, err := range r.ahead.RecordsUntil(r.ctx) {
		if err != nil {
			return err
		}
		r.apply(record)
	}
	return nil
}
