package api

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
)

var kinds = []string{samsa.GroupClassic.String(), samsa.GroupConsumer.String(), samsa.GroupShare.String(), samsa.GroupStreams.String()}

func listGroups(c *call) (any, error) {
	after, with, kind, limit := c.query.text("after"), c.query.text("prefix"), c.query.text("kind"), c.query.limit(1000)
	if kind != "" && !slices.Contains(kinds, kind) {
		c.query.refuse("kind is %.40q, want one of %q", kind, kinds)
	}
	if err := c.none(); err != nil {
		return nil, err
	}
	names, err := c.b.Groups().List(c.limited)
	if err != nil {
		return nil, err
	}
	known := make(map[string]GroupSummary, len(names))
	listed, err := inside.Of(c.b).Parts.Groups.List(c.limited)
	if err != nil {
		return nil, err
	}
	for _, l := range listed {
		known[l.Name] = GroupSummary{Name: l.Name, Kind: l.Kind.String(), State: l.State.String()}
	}
	p := GroupPage{Groups: []GroupSummary{}}
	names, p.Next = page(names, after, with, limit, func(name string) bool { return kind == "" || known[name].Kind == kind })
	for _, name := range names {
		g := known[name]
		g.Name = name
		p.Groups = append(p.Groups, g)
	}
	return p, nil
}

func describeGroup(c *call) (any, error) {
	if err := c.none(); err != nil {
		return nil, err
	}
	info, err := c.b.Groups().Describe(c.limited, c.r.PathValue("group"))
	if err != nil {
		return nil, err
	}
	g := Group{
		GroupSummary: GroupSummary{Name: info.Name, Kind: info.Kind.String(), State: info.State.String()},
		Assignor:     info.Assignor, Generation: info.Generation, Members: []Member{}, Partitions: []GroupPartition{},
	}
	for _, m := range info.Members {
		g.Members = append(g.Members, Member{
			ID: m.ID, InstanceID: m.InstanceID, ClientID: m.ClientID, ClientHost: m.ClientHost, Topics: m.Topics, Assigned: partitions(m.Assigned),
		})
	}
	topics := inside.Of(c.b).Parts.Topics
	for _, p := range info.Partitions {
		gp := GroupPartition{
			TopicPartition: TopicPartition{p.Topic, p.Partition}, Committed: p.Committed, Metadata: p.Metadata,
			HighWatermark: p.HighWatermark, Lag: p.Lag, MemberID: p.MemberID,
		}
		if t, err := topics.Get(p.Topic); err == nil {
			if known, err := t.Partition(p.Partition); err == nil {
				gp.LogStart = known.LogStart()
			}
		}
		if s := p.Share; info.Kind == samsa.GroupShare {
			gp.Share = &SharePartition{InFlight: s.InFlight, Waiting: s.Waiting, Oldest: At(s.Oldest), Deliveries: s.Deliveries, DeadLetters: s.DeadLetters}
		}
		g.Lag += p.Lag
		g.Partitions = append(g.Partitions, gp)
	}
	return g, nil
}

func partitions(tps []samsa.TopicPartition) []TopicPartition {
	all := make([]TopicPartition, len(tps))
	for i, tp := range tps {
		all[i] = TopicPartition(tp)
	}
	return all
}

func deleteGroup(c *call) (any, error) {
	if err := c.none(); err != nil {
		return nil, err
	}
	return nil, c.b.Groups().Delete(c.limited, c.r.PathValue("group"))
}

// resetGroup finds where everything goes, and has it go there: what is told is what was done.
func resetGroup(c *call) (any, error) {
	var r ResetGroup
	if err := c.decode(&r); err != nil {
		return nil, err
	}
	name, groups := c.r.PathValue("group"), c.b.Groups()
	to, err := c.planReset(name, r)
	if err != nil {
		return nil, err
	}
	info, err := groups.Describe(c.limited, name)
	if err != nil && asError(err).Name != "ErrUnknownGroup" {
		return nil, err
	}
	if !r.DryRun {
		if err := groups.SetOffsets(c.limited, name, to); err != nil {
			return nil, err
		}
	}
	from := make(map[TopicPartition]int64)
	for _, p := range info.Partitions {
		from[TopicPartition{p.Topic, p.Partition}] = p.Committed
	}
	done := GroupReset{Moves: []GroupMove{}}
	for tp, o := range to {
		old, ok := from[TopicPartition(tp)]
		if !ok {
			old = -1
		}
		m := GroupMove{TopicPartition: TopicPartition(tp), From: old, To: o.Offset}
		m.Ask(r)
		done.Moves = append(done.Moves, m)
	}
	slices.SortFunc(done.Moves, func(a, b GroupMove) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return done, nil
}

// Ask has m say where r wanted to move it, if that is another place than the one that it goes to.
func (m *GroupMove) Ask(r ResetGroup) {
	asked := m.To
	switch r.To.Kind {
	case AtOffset:
		asked = r.To.N
	case ByShift:
		asked = max(m.From, 0) + r.To.N
	}
	for _, o := range r.Offsets {
		if o.TopicPartition == m.TopicPartition {
			asked = o.Offset
		}
	}
	if asked != m.To {
		m.Asked = &asked
	}
}

// planReset returns where a reset moves a group.
func (c *call) planReset(name string, r ResetGroup) (map[samsa.TopicPartition]samsa.CommittedOffset, error) {
	if len(r.Offsets) > 0 {
		return c.planOffsets(name, r)
	}
	var to samsa.GroupOffset
	switch r.To.Kind {
	case AtEarliest, AtLatest, AtOffset, AtTime:
		to = samsa.To(r.To.start())
	case ByShift:
		to = samsa.Shift(r.To.N)
	default:
		return nil, fmt.Errorf("%w: to is %q, want earliest, latest, offset:N, time:T or shift:N", samsa.ErrInvalid, r.To)
	}
	var tps []samsa.TopicPartition
	for _, topic := range r.Topics {
		info, err := c.b.Topics().Describe(c.limited, topic)
		if err != nil {
			return nil, err
		}
		for _, p := range info.Partitions {
			tps = append(tps, samsa.TopicPartition{Topic: topic, Partition: p.Partition})
		}
	}
	for _, tp := range r.Partitions {
		tps = append(tps, samsa.TopicPartition(tp))
	}
	if len(tps) == 0 {
		if _, err := c.b.Groups().Describe(c.limited, name); err != nil {
			return nil, err
		}
	}
	return c.b.Groups().PlanOffsets(c.limited, name, to, tps...)
}

// planOffsets is planReset for offsets that are told one by one.
func (c *call) planOffsets(name string, r ResetGroup) (map[samsa.TopicPartition]samsa.CommittedOffset, error) {
	if !r.To.IsZero() || len(r.Topics)+len(r.Partitions) > 0 {
		return nil, fmt.Errorf("%w: offsets are there, and to, topics or partitions besides", samsa.ErrInvalid)
	}
	all := make(map[samsa.TopicPartition]samsa.CommittedOffset, len(r.Offsets))
	for _, o := range r.Offsets {
		tp := samsa.TopicPartition(o.TopicPartition)
		if _, twice := all[tp]; twice || o.Offset < 0 {
			return nil, fmt.Errorf("%w: the offset of %s is there twice, or negative", samsa.ErrInvalid, tp)
		}
		planned, err := c.b.Groups().PlanOffsets(c.limited, name, samsa.To(samsa.AtOffset(o.Offset)), tp)
		if err != nil {
			return nil, err
		}
		all[tp] = planned[tp]
	}
	return all, nil
}

func deleteGroupOffsets(c *call) (any, error) {
	var d DeleteGroupOffsets
	if err := c.decode(&d); err != nil {
		return nil, err
	}
	tps := make([]samsa.TopicPartition, len(d.Partitions))
	for i, tp := range d.Partitions {
		tps[i] = samsa.TopicPartition(tp)
	}
	return nil, c.b.Groups().DeleteOffsets(c.limited, c.r.PathValue("group"), tps...)
}

func groupConfigs(c *call) (any, error) {
	if err := c.none(); err != nil {
		return nil, err
	}
	all, err := c.b.Groups().Configs(c.limited, c.r.PathValue("group"))
	return Configs{all}, err
}

func setGroupConfigs(c *call) (any, error) {
	var in Configs
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	return nil, c.b.Groups().SetConfigs(c.limited, c.r.PathValue("group"), in.Configs)
}
