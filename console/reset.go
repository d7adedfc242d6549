package console

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/samsa-go/samsa"
)

// move is where a reset moves a group in a partition.
type move struct {
	samsa.TopicPartition
	From, To int64 // From is -1 without a committed offset
}

// By is how many records are left out, or with a minus come again.
func (m move) By() int64 { return m.To - m.From }

// resetting is what the page before a reset shows.
type resetting struct {
	Name    string
	Where   string
	Moves   []move
	Offsets string // what is to be set, for the form that says yes
	Total   int64  // records that come again, or with a minus are left out
}

// offset is what is to be set for one partition, in the form that says yes: what was shown is what is done.
type offset struct {
	Topic     string `json:"t"`
	Partition int32  `json:"p"`
	Offset    int64  `json:"o"`
}

// reset shows where a reset moves a group, and does it when it is sent with what was shown.
func (c *console) reset(ctx context.Context, r *http.Request) (view, error) {
	name := r.FormValue("name")
	v := view{Page: "reset.html", Title: "Reset of " + name, Nav: "Groups"}
	if text := r.FormValue("offsets"); text != "" {
		var offsets []offset
		if err := json.Unmarshal([]byte(text), &offsets); err != nil {
			return v, fmt.Errorf("%w: the offsets: %w", errAsked, err)
		}
		to := make(map[samsa.TopicPartition]samsa.CommittedOffset, len(offsets))
		for _, o := range offsets {
			to[samsa.TopicPartition{Topic: o.Topic, Partition: o.Partition}] = samsa.CommittedOffset{Offset: o.Offset}
		}
		v.See = link("group", "name", name)
		return v, c.broker().Groups().SetOffsets(ctx, name, to)
	}
	d, err := c.plan(ctx, name, strings.TrimSpace(r.FormValue("to")), r.FormValue("topic"), strings.TrimSpace(r.FormValue("partitions")))
	v.Data = d
	return v, err
}

// plan returns where a reset would move a group.
func (c *console) plan(ctx context.Context, name, where, topic, partitions string) (resetting, error) {
	d := resetting{Name: name, Where: where}
	info, err := c.broker().Groups().Describe(ctx, name)
	if err != nil {
		return d, err
	}
	if len(info.Members) > 0 {
		return d, fmt.Errorf("group %s: %w: a group is reset when nobody is in it, members now: %d", name, samsa.ErrGroupNotEmpty, len(info.Members))
	}
	to, err := parseTarget(where)
	if err != nil {
		return d, err
	}
	from := make(map[samsa.TopicPartition]int64)
	for _, p := range info.Partitions {
		from[samsa.TopicPartition{Topic: p.Topic, Partition: p.Partition}] = p.Committed
	}
	tps, err := c.chosen(ctx, from, topic, partitions)
	if err != nil {
		return d, err
	}
	planned, err := c.broker().Groups().PlanOffsets(ctx, name, to, tps...)
	if err != nil {
		return d, err
	}
	var offsets []offset
	for tp, o := range planned {
		m := move{tp, -1, o.Offset}
		if old, ok := from[tp]; ok {
			m.From = old
		}
		if m.From >= 0 {
			d.Total += m.From - m.To
		}
		d.Moves = append(d.Moves, m)
	}
	slices.SortFunc(d.Moves, func(a, b move) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	for _, m := range d.Moves {
		offsets = append(offsets, offset{m.Topic, m.Partition, m.To})
	}
	text, err := json.Marshal(offsets)
	d.Offsets = string(text)
	return d, err
}

// chosen returns the partitions that a reset is about; none for all that the group has offsets for.
func (c *console) chosen(ctx context.Context, has map[samsa.TopicPartition]int64, topic, partitions string) (tps []samsa.TopicPartition, err error) {
	switch {
	case topic == "" && partitions == "":
		return nil, nil
	case topic == "":
		return nil, fmt.Errorf("%w: partitions without a topic", errAsked)
	}
	if partitions != "" {
		for field := range strings.SplitSeq(partitions, ",") {
			n, err := strconv.ParseInt(strings.TrimSpace(field), 10, 32)
			if err != nil {
				return nil, fmt.Errorf("%w: partitions are %q, want numbers with commas between them", errAsked, partitions)
			}
			tps = append(tps, samsa.TopicPartition{Topic: topic, Partition: int32(n)})
		}
		return tps, nil
	}
	for tp := range has {
		if tp.Topic == topic {
			tps = append(tps, tp)
		}
	}
	if len(tps) > 0 {
		return tps, nil
	}
	parts, err := c.reaches(ctx, topic, -1)
	for _, p := range parts {
		tps = append(tps, p.TopicPartition)
	}
	return tps, err
}

// parseTarget reads where to move: a place as parsePlace has it, or "by 10", or "by -10".
func parseTarget(text string) (samsa.GroupOffset, error) {
	if by, ok := strings.CutPrefix(text, "by "); ok {
		n, err := strconv.ParseInt(strings.TrimPrefix(strings.TrimSpace(by), "+"), 10, 64)
		if err != nil {
			return samsa.GroupOffset{}, fmt.Errorf("%w: %q, want by and a number of records", samsa.ErrInvalid, text)
		}
		return samsa.Shift(n), nil
	}
	if text == "" {
		return samsa.GroupOffset{}, fmt.Errorf("%w: it does not say where to", samsa.ErrInvalid)
	}
	at, err := parsePlace(text, time.Now())
	return samsa.To(at.start), err
}
