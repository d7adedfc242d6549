package console

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/samsa-go/samsa"
)

const (
	groupsPerPage         = 50
	groupPartitionsOnPage = 200
	lookMax               = 1000                   // groups among which a page finds those that it is about
	lookTime              = 300 * time.Millisecond // for that: groups may have many partitions
)

// groupRow is a group in a list.
type groupRow struct {
	Name    string
	Kind    samsa.GroupKind
	State   samsa.GroupState
	Members int
	Topics  []string
	Lag     int64
	Err     string // why nothing else is known

	// Of a share group.
	InFlight, Waiting       int
	Oldest                  time.Time
	Deliveries, DeadLetters int64
}

// groups shows the names of all groups, and more of those that are on the page.
func (c *console) groups(ctx context.Context, r *http.Request) (view, error) {
	v := view{Page: "groups.html", Title: "Groups", Nav: "Groups"}
	filter := strings.TrimSpace(r.FormValue("q"))
	names, err := c.broker().Groups().List(ctx)
	if err != nil {
		return v, err
	}
	total := len(names)
	names = slices.DeleteFunc(names, func(name string) bool {
		return !strings.Contains(strings.ToLower(name), strings.ToLower(filter))
	})
	p := pageOf(r, len(names), groupsPerPage, "groups", "q", filter)
	rows, looked := c.groupRows(ctx, names[p.From:p.To])
	for _, name := range names[p.From+looked : p.To] {
		rows = append(rows, groupRow{Name: name, Err: "it took too long to look at the groups before"})
	}
	v.Data = struct {
		Filter string
		Total  int
		Paging paging
		Rows   []groupRow
	}{filter, total, p, rows}
	return v, nil
}

// groupRows describes groups, and returns how many it has looked at. One that cannot be described has the reason in its row.
func (c *console) groupRows(ctx context.Context, names []string) (rows []groupRow, looked int) {
	looked = c.look(ctx, names, func(info samsa.GroupInfo, err error) {
		row := rowOf(info)
		if err != nil {
			row = groupRow{Name: info.Name, Err: err.Error()}
		}
		rows = append(rows, row)
	})
	return rows, looked
}

// look describes groups, one after the other, within the limits of that, and returns how many it has looked at. One that
// cannot be described has the error; one that was deleted meanwhile is passed over.
func (c *console) look(ctx context.Context, names []string, visit func(info samsa.GroupInfo, err error)) (looked int) {
	until := time.Now().Add(lookTime)
	for _, name := range names[:min(len(names), lookMax)] {
		info, err := c.broker().Groups().Describe(ctx, name)
		if info.Name = name; !errors.Is(err, samsa.ErrUnknownGroup) {
			visit(info, err)
		}
		if looked++; time.Now().After(until) {
			break
		}
	}
	return looked
}

// rowOf sums a group up.
func rowOf(info samsa.GroupInfo) groupRow {
	row := groupRow{Name: info.Name, Kind: info.Kind, State: info.State, Members: len(info.Members)}
	for _, p := range info.Partitions {
		row.Lag += p.Lag
		row.InFlight, row.Waiting = row.InFlight+p.Share.InFlight, row.Waiting+p.Share.Waiting
		row.Deliveries, row.DeadLetters = row.Deliveries+p.Share.Deliveries, row.DeadLetters+p.Share.DeadLetters
		if !p.Share.Oldest.IsZero() && (row.Oldest.IsZero() || p.Share.Oldest.Before(row.Oldest)) {
			row.Oldest = p.Share.Oldest
		}
		if len(row.Topics) == 0 || row.Topics[len(row.Topics)-1] != p.Topic {
			row.Topics = append(row.Topics, p.Topic)
		}
	}
	return row
}

// readers are the groups that read a topic, with what they have to do with it alone.
type readers struct {
	Rows           []groupRow
	Looked, Groups int // they were found among so many groups, of all
}

func (c *console) readersOf(ctx context.Context, topic string) (readers, error) {
	names, err := c.broker().Groups().List(ctx)
	r := readers{Groups: len(names)}
	r.Looked = c.look(ctx, names, func(info samsa.GroupInfo, err error) {
		info.Partitions = slices.DeleteFunc(info.Partitions, func(p samsa.GroupPartition) bool { return p.Topic != topic })
		subscribed := slices.ContainsFunc(info.Members, func(m samsa.MemberInfo) bool { return slices.Contains(m.Topics, topic) })
		if err == nil && (len(info.Partitions) > 0 || subscribed) { // the list of groups says what is wrong with others
			r.Rows = append(r.Rows, rowOf(info))
		}
	})
	return r, err
}

// group shows one group.
func (c *console) group(ctx context.Context, r *http.Request) (view, error) {
	name := r.FormValue("name")
	v := view{Page: "group.html", Title: name, Nav: "Groups"}
	info, err := c.broker().Groups().Describe(ctx, name)
	if err != nil {
		return v, err
	}
	row := rowOf(info)
	p := pageOf(r, len(info.Partitions), groupPartitionsOnPage, "group", "name", name)
	d := groupShown{
		groupRow: row, Info: info, Share: info.Kind == samsa.GroupShare, Paging: p, Partitions: info.Partitions[p.From:p.To], Sent: r.FormValue("sent"),
	}
	if topic := cmp.Or(r.FormValue("dead"), info.DeadLetter); d.Share && topic != "" {
		dec, end := c.decoding(ctx)
		defer end()
		l, err := c.lettersOf(ctx, dec, topic, name)
		if err != nil && !errors.Is(err, samsa.ErrUnknownTopic) { // it may not be there yet
			return v, err
		}
		d.Letters = &l
		v.Notes = append(v.Notes, dec.notes()...)
	}
	v.Data = d
	return v, nil
}

// groupShown is what the page of a group shows.
type groupShown struct {
	groupRow
	Info       samsa.GroupInfo
	Share      bool
	Paging     paging
	Partitions []samsa.GroupPartition
	Letters    *letters // of a share group that has a topic for them
	Sent       string   // how many of these were just sent back
}
