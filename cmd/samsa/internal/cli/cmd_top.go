package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/uniseg"
	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/internal/api"
)

// look is what top has seen at one time.
type look struct {
	At     api.Time            `json:"at"`
	rates                      // of all topics
	Disk   int64               `json:"disk_bytes"` // of the directory; -1 when it is not known
	Topics []topRow            `json:"topics"`     // the busiest first
	Groups []topGroup          `json:"groups"`     // the slowest first
	Slow   []topPlace          `json:"slowest"`    // partitions of groups, those with the largest lag first
	Error  *api.Error          `json:"error,omitempty"`
	sums   map[string]counters // of each topic
}

type topRow struct {
	Topic string `json:"topic"`
	rates
	Records int64 `json:"records"`
	Bytes   int64 `json:"bytes"`
}

type topGroup struct {
	Group   string `json:"group"`
	State   string `json:"state"`
	Members int    `json:"members"`
	Lag     int64  `json:"lag"`
}

type topPlace struct {
	Group     string `json:"group"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Lag       int64  `json:"lag"`
}

// What top looks at: more is asked for, and less is shown.
const (
	topGroups = 50
	topSlow   = 20
)

func (e *env) top() *cobra.Command {
	var every time.Duration
	var number int
	cmd := &cobra.Command{
		Use:     "top",
		GroupID: groupAdmin,
		Short:   "Watch a broker: rates, lag, disk, groups, slowest partitions",
		Long: `top shows on a terminal what goes on, and looks again every second: topics by their rates, groups by their lag, and the partitions that groups are
furthest behind in. q or Ctrl-C ends it. Without a terminal it prints a line for each look, or with --json all of it.`,
		Example: `  samsa -d ./data top
  samsa -b localhost:9092 top --every 100ms --number 2 --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if every <= 0 || number < 0 {
				return usageError{errors.New("--every wants a time, and --number 1 or more")}
			}
			return e.with(cmd.Context(), false, func(ctx context.Context, b backend.Backend) error {
				e.bar.Load().end()
				if e.json || !onTerminal(e.Stdout) {
					return e.topLines(ctx, b, every, number)
				}
				screen, err := tcell.NewScreen()
				if err != nil {
					return err
				}
				return topScreen(ctx, b, screen, every, number, e.address)
			})
		},
	}
	cmd.Flags().DurationVar(&every, "every", time.Second, "look again after this `time`")
	cmd.Flags().IntVarP(&number, "number", "n", 0, "end after this `number` of looks")
	return cmd
}

// topLines prints each look.
func (e *env) topLines(ctx context.Context, b backend.Backend, every time.Duration, number int) error {
	var before *look
	for n := 1; ; n++ {
		l, err := takeLook(ctx, b, before)
		if err != nil {
			return err
		}
		lag := int64(0)
		for _, g := range l.Groups {
			lag += g.Lag
		}
		if err := e.say(l, "%s  %s  lag %d  disk %s", moment(l.At), &l.rates, lag, size(l.Disk)); err != nil {
			return err
		}
		before = l
		if n == number {
			return nil
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return nil
		}
	}
}

// takeLook looks at a broker. Rates are since before, which may be nil.
func takeLook(ctx context.Context, b backend.Backend, before *look) (*look, error) {
	l := &look{At: api.At(time.Now()), Disk: -1, Topics: []topRow{}, Groups: []topGroup{}, Slow: []topPlace{}, sums: make(map[string]counters)}
	topics, err := listTopics(ctx, b, api.TopicsRequest{Sizes: before == nil})
	if err != nil {
		return nil, err
	}
	for _, t := range topics {
		row, now := topRow{Topic: t.Name, Records: t.Records, Bytes: t.Bytes}, countersOf(t.TopicSummary)
		if before != nil {
			was, known := before.sums[t.Name]
			if !known {
				was = now.none()
			}
			row.rates = *ratesOf(was, now, l.At.Sub(before.At.Time))
		}
		l.sums[t.Name] = now
		l.RecordsPerS += row.RecordsPerS
		if row.BytesPerS != nil {
			sum := *row.BytesPerS
			if l.BytesPerS != nil {
				sum += *l.BytesPerS
			}
			l.BytesPerS = &sum
		}
		l.Topics = append(l.Topics, row)
	}
	slices.SortStableFunc(l.Topics, func(a, b topRow) int { return cmp.Compare(b.RecordsPerS, a.RecordsPerS) })
	page, err := b.Groups(ctx, api.GroupsRequest{Limit: topGroups})
	if err != nil {
		return nil, err
	}
	for _, g := range page.Groups {
		d, err := b.Group(ctx, g.Name)
		if err != nil { // it may have gone meanwhile
			continue
		}
		l.Groups = append(l.Groups, topGroup{g.Name, d.State, len(d.Members), d.Lag})
		for _, p := range d.Partitions {
			if p.Lag > 0 {
				l.Slow = append(l.Slow, topPlace{g.Name, p.Topic, p.Partition, p.Lag})
			}
		}
	}
	slices.SortStableFunc(l.Groups, func(a, b topGroup) int { return cmp.Compare(b.Lag, a.Lag) })
	slices.SortStableFunc(l.Slow, func(a, b topPlace) int { return cmp.Compare(b.Lag, a.Lag) })
	l.Slow = l.Slow[:min(len(l.Slow), topSlow)]
	if s, err := backend.AsSamsa(b, ""); err == nil {
		if stats, err := s.Stats(ctx); err == nil {
			l.Disk = stats.DiskBytes
		}
	}
	return l, nil
}

// topScreen shows looks on a screen until a key or ctx ends it. The screen is given back then.
func topScreen(ctx context.Context, b backend.Backend, screen tcell.Screen, every time.Duration, number int, of address) error {
	if err := screen.Init(); err != nil {
		return err
	}
	events, quit := make(chan tcell.Event), make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		screen.ChannelEvents(events, quit)
	}()
	defer func() {
		close(quit)
		screen.Fini()
		<-ended
	}()
	var before, now *look
	tick := time.NewTimer(0)
	defer tick.Stop()
	for n := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case event, ok := <-events:
			key, pressed := event.(*tcell.EventKey)
			if !ok || pressed && (key.Rune() == 'q' || key.Key() == tcell.KeyCtrlC || key.Key() == tcell.KeyEscape) {
				return nil
			}
			if _, resized := event.(*tcell.EventResize); resized {
				screen.Sync()
			}
		case <-tick.C:
			l, err := takeLook(ctx, b, before)
			switch {
			case err == nil:
				before, now = l, l
			case now == nil:
				return err
			default: // what was seen stays
				now.Error = &api.Error{Message: err.Error()}
			}
			if n++; n == number {
				return nil
			}
			tick.Reset(every)
		}
		if now != nil {
			draw(screen, now, of)
		}
	}
}

// fit returns text that takes so many cells: cut, or with spaces behind it. Nothing in it controls a terminal.
func fit(text string, cells int) string {
	text = cell(text)
	taken := 0
	for rest := text; rest != ""; {
		_, behind, wide, _ := uniseg.FirstGraphemeClusterInString(rest, -1)
		if taken+wide > cells {
			text = text[:len(text)-len(rest)]
			break
		}
		taken, rest = taken+wide, behind
	}
	return text + strings.Repeat(" ", cells-taken)
}

// draw draws a look: as much of it as the screen has room for.
func draw(screen tcell.Screen, l *look, of address) {
	screen.Clear()
	width, height := screen.Size()
	y := 0
	line := func(style tcell.Style, text string) {
		for x := 0; text != "" && x < width && y < height; {
			cluster, rest, wide, _ := uniseg.FirstGraphemeClusterInString(text, -1)
			runes := []rune(cluster)
			if x+wide <= width {
				screen.SetContent(x, y, runes[0], runes[1:], style)
			}
			x, text = x+wide, rest
		}
		y++
	}
	plain := tcell.StyleDefault
	bold := plain.Bold(true)
	line(bold, fmt.Sprintf("samsa top  %s  %s  %s  disk %s", of, moment(l.At), &l.rates, size(l.Disk)))
	if l.Error != nil {
		line(plain.Foreground(tcell.ColorRed), cell(l.Error.Message))
	}
	rest := max(0, height-y)
	table := func(share int, heading string, rows []string) {
		if y++; y >= height || len(rows) == 0 {
			return
		}
		line(plain.Reverse(true), fmt.Sprintf("%-*s", width, heading))
		for _, row := range rows[:min(len(rows), max(1, share-2))] {
			line(plain, row)
		}
	}
	var topics, groups, slow []string
	for _, t := range l.Topics {
		topics = append(topics, fmt.Sprintf("%s %12.1f %12s %14d %12s", fit(t.Topic, 40), t.RecordsPerS, t.bytesPerS(), t.Records, size(t.Bytes)))
	}
	for _, g := range l.Groups {
		groups = append(groups, fmt.Sprintf("%s %s %7d %14d", fit(g.Group, 40), fit(g.State, 22), g.Members, g.Lag))
	}
	for _, p := range l.Slow {
		slow = append(slow, fmt.Sprintf("%s %s %9s %14d", fit(p.Group, 40), fit(p.Topic, 30), strconv.Itoa(int(p.Partition)), p.Lag))
	}
	table(rest/2, fmt.Sprintf("%-40s %12s %12s %14s %12s", "TOPIC", "RECORDS/S", "BYTES/S", "RECORDS", "BYTES"), topics)
	table(rest/4, fmt.Sprintf("%-40s %-22s %7s %14s", "GROUP", "STATE", "MEMBERS", "LAG"), groups)
	table(rest/4, fmt.Sprintf("%-40s %-30s %9s %14s", "SLOWEST OF GROUP", "TOPIC", "PARTITION", "LAG"), slow)
	screen.Show()
}
