package share

import (
	"context"
	"fmt"
	"strings"

	"github.com/samsa-go/samsa/internal/family"
	"github.com/samsa-go/samsa/internal/probe"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// acknowledge begins an op, once the test kit lets it: commit hands over what is to be stored, and o is told what became
// of it.
func (c *Coordinator) acknowledge(ctx context.Context, k Key, o *op, commit func(*writer.Tx) error) {
	p := c.committer.Probes().Get()
	if p == nil {
		c.begin(k, o, commit)
		return
	}
	w := c.work(probe.Ack, k, o.member)
	told := probe.Acknowledged{TopicPartition: k.TopicPartition, Group: k.Group, Member: o.member, Client: w.Client, What: describe(o.acks)}
	then := o.then
	o.then = func(err error) {
		told.Err = err
		p.Acknowledged(told)
		if err != nil {
			then(err)
			return
		}
		w.Op = probe.AckAnswer
		c.meet(ctx, p, w, func(err error) { then(unsure(k, err)) })
	}
	c.meet(ctx, p, w, func(err error) {
		if err != nil {
			told.Err = err
			p.Acknowledged(told)
			then(fmt.Errorf("%s: %w", k, err))
			return
		}
		c.begin(k, o, commit)
	})
}

// meet has next go on with what the test kit wants of w, perhaps later: nil, the error that it is to fail with, or that of
// ctx.
func (c *Coordinator) meet(ctx context.Context, p probe.Probe, w probe.Work, next func(error)) {
	v := p.Ask(w)
	if len(v.Holds) == 0 {
		next(v.Err)
		return
	}
	held := func() error {
		for _, hold := range v.Holds {
			select {
			case <-hold:
			case <-ctx.Done():
				return ctx.Err()
			case <-c.ctx.Done():
				return log.ErrClosed
			}
		}
		return v.Err
	}
	if !c.spawn(func() { next(held()) }) {
		next(log.ErrClosed)
	}
}

// Admit waits, until ctx ends, for the faults in the way of acknowledgements that With is to carry out, and returns the
// error that they are to fail with.
func (c *Coordinator) Admit(ctx context.Context, all []Settlement) error {
	return c.meetAll(ctx, probe.Ack, all)
}

// Answered tells what became of a transaction of With, and returns the error that who made it is to be told: that of the
// test kit where it is stored.
func (c *Coordinator) Answered(ctx context.Context, all []Settlement, err error) error {
	if p := c.committer.Probes().Get(); p != nil {
		for i := range all {
			p.Acknowledged(probe.Acknowledged{
				TopicPartition: all[i].TopicPartition, Group: all[i].Group, Member: all[i].Member, Client: c.clientID(all[i].Group, all[i].Member),
				What: describe(all[i].Acks), Err: err,
			})
		}
	}
	if err != nil {
		return err
	}
	if err := c.meetAll(ctx, probe.AckAnswer, all); err != nil {
		return family.Of(family.ErrOutcomeUnknown, err)
	}
	return nil
}

func (c *Coordinator) meetAll(ctx context.Context, op probe.Op, all []Settlement) error {
	points := c.committer.Probes()
	if points.Get() == nil {
		return nil
	}
	for i := range all {
		if err := points.Meet(ctx, c.work(op, all[i].Key, all[i].Member)); err != nil {
			return fmt.Errorf("%s: %w", all[i].Key, err)
		}
	}
	return nil
}

// work describes acknowledgements in a partition to the test kit.
func (c *Coordinator) work(op probe.Op, k Key, member string) probe.Work {
	return probe.Work{
		Op: op, Group: k.Group, Partitions: []log.TopicPartition{k.TopicPartition}, Member: member, Client: c.clientID(k.Group, member),
	}
}

// clientID returns the client id of a member of this process, "" for another one.
func (c *Coordinator) clientID(name, member string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g := c.groups[name]; g != nil {
		return g.inside[member].ClientID
	}
	return ""
}

// unsure is an error about acknowledgements that are stored all the same.
func unsure(k Key, err error) error {
	if err == nil {
		return nil
	}
	return family.Of(family.ErrOutcomeUnknown, fmt.Errorf("%s: %w", k, err))
}

// describe says for people what acks say.
func describe(acks []Ack) string {
	var s strings.Builder
	for i := range acks {
		a := &acks[i]
		if i > 0 {
			s.WriteString(", ")
		}
		fmt.Fprintf(&s, "%d", a.First)
		if a.Last > a.First {
			fmt.Fprintf(&s, "..%d", a.Last)
		}
		for _, t := range a.Types {
			s.WriteString(" " + t.String())
		}
	}
	return s.String()
}
