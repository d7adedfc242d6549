package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/samsa-go/samsa"
)

// screen shows who owns what. On a terminal it draws in place, elsewhere it writes a table
// when something has changed but the counts.
type screen struct {
	b        *samsa.Broker
	crew     *crew
	out      io.Writer
	terminal bool
	shown    string // what was owned by whom in the last table
}

// row is a line of the table.
type row struct {
	name, state, owns string
	partitions        int
	lag, done         int64
}

func (s *screen) draw(ctx context.Context) error {
	info, err := s.b.Groups().Describe(ctx, group)
	if errors.Is(err, samsa.ErrUnknownGroup) {
		err = nil // nobody was there yet
	}
	if err != nil {
		return err
	}
	rows, free := s.rows(info)
	var owners, table strings.Builder
	for _, r := range append(rows, free) {
		fmt.Fprintf(&owners, "%s %s %s\n", r.name, r.state, r.owns)
	}
	if s.shown == owners.String() && !s.terminal {
		return nil
	}
	s.shown = owners.String()
	if s.terminal {
		table.WriteString("\x1b[H\x1b[J")
	}
	fmt.Fprintf(&table, "%-10s %-7s %8s %8s  %s\n", "", "", "lag", "done", "partitions")
	for _, r := range rows {
		fmt.Fprintf(&table, "%-10s %-7s %8d %8d  %s\n", r.name, r.state, r.lag, r.done, r.owns)
	}
	if free.partitions > 0 {
		fmt.Fprintf(&table, "%-10s %-7s %8d %8s  %s\n", free.name, free.state, free.lag, "", free.owns)
	}
	fmt.Fprintf(&table, "group %s is %s, generation %d    + adds, - closes, k N kills, q quits\n", group, info.State, info.Generation)
	_, err = io.WriteString(s.out, table.String())
	return err
}

// rows returns a row for each worker, and one for what nobody owns.
func (s *screen) rows(info samsa.GroupInfo) (rows []row, free row) {
	client := make(map[string]string)
	for _, m := range info.Members {
		client[m.ID] = m.ClientID
	}
	byName := map[string]*row{"": {name: "nobody"}}
	rows = make([]row, len(s.crew.workers))
	for i, w := range s.crew.workers {
		rows[i] = row{name: w.name, done: w.done.Load()}
		if w.killed {
			rows[i].state = "killed"
		}
		byName[w.name] = &rows[i]
	}
	for _, p := range info.Partitions {
		r := byName[client[p.MemberID]]
		if r == nil {
			r = byName[""] // of a worker that was closed just now
		}
		r.owns = strings.TrimSpace(fmt.Sprint(r.owns, " ", p.Partition))
		r.partitions++
		r.lag += p.Lag
	}
	return rows, *byName[""]
}

// feed produces rate records a second until ctx ends.
func feed(ctx context.Context, b *samsa.Broker, rate int) error {
	p, err := b.NewProducer(ctx, samsa.ProducerOptions{})
	if err != nil {
		return err
	}
	defer p.Close()
	const beat = 20 * time.Millisecond
	tick := time.NewTicker(beat)
	defer tick.Stop()
	start, sent := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for due := int(time.Since(start).Seconds() * float64(rate)); sent < due; sent++ {
			p.Produce(ctx, samsa.Record{Topic: topic, Key: fmt.Append(nil, "job ", sent), Value: fmt.Append(nil, sent)}, nil)
		}
	}
}
