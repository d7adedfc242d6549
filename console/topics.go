package console

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/samsa-go/samsa"
)

const (
	topicsPerPage     = 50
	partitionsPerPage = 100
)

// topicRow is a topic in a list.
type topicRow struct {
	Name       string
	Partitions int
	Records    int64 // offsets from the log starts to the high watermarks
	Bytes      int64 // of live batches, as of a few seconds ago
	Rate       *float64
	Config     samsa.TopicConfig
	Err        string // why nothing else is known
}

// paging is where a list is, of which pages are counted from 1.
type paging struct {
	Page, Pages, From, To, Of int
	Link                      func(page int) string // the address of another page
}

// pageOf returns the part of a list of n that a request asks for, and its bounds.
func pageOf(r *http.Request, n, perPage int, path string, keep ...any) paging {
	pages := max(1, (n+perPage-1)/perPage)
	page, _ := strconv.Atoi(r.FormValue("page"))
	page = min(max(page, 1), pages)
	return paging{
		Page: page, Pages: pages, From: (page - 1) * perPage, To: min(page*perPage, n), Of: n,
		Link: func(page int) string { return link(path, append(keep, "page", page)...) },
	}
}

// internal reports whether a topic is one that people do not make.
func internal(name string) bool { return strings.HasPrefix(name, "__") }

// topics shows the names of all topics, and more of those that are on the page.
func (c *console) topics(ctx context.Context, r *http.Request) (view, error) {
	v := view{Page: "topics.html", Title: "Topics", Nav: "Topics"}
	filter, all := strings.TrimSpace(r.FormValue("q")), r.FormValue("internal") != ""
	names, err := c.broker().Topics().List(ctx)
	if err != nil {
		return v, err
	}
	total, hidden := len(names), 0
	names = slices.DeleteFunc(names, func(name string) bool {
		if !strings.Contains(strings.ToLower(name), strings.ToLower(filter)) {
			return true
		}
		if internal(name) && !all {
			hidden++
			return true
		}
		return false
	})
	sizes, err := c.sizes.now(ctx, c.broker())
	if err != nil {
		v.Notes = append(v.Notes, err.Error())
	}
	per, err := c.growth.note(ctx, c.broker(), sizes.topic)
	if err != nil {
		return v, err
	}
	p := pageOf(r, len(names), topicsPerPage, "topics", "q", filter, "internal", r.FormValue("internal"))
	v.Data = struct {
		Filter        string
		Internal      bool
		Total, Hidden int
		Paging        paging
		Rows          []topicRow
	}{filter, all, total, hidden, p, c.topicRows(ctx, names[p.From:p.To], sizes, per)}
	return v, nil
}

// topicRows describes topics. One that cannot be described has the reason in its row; one that was deleted meanwhile
// has no row.
func (c *console) topicRows(ctx context.Context, names []string, sizes known, per map[string]*float64) (rows []topicRow) {
	for _, name := range names {
		row := topicRow{Name: name, Bytes: sizes.topic[name], Rate: per[name]}
		info, err := c.broker().Topics().Describe(ctx, name)
		if err != nil {
			row.Err = err.Error()
		}
		row.Config, row.Partitions = info.Config, len(info.Partitions)
		for _, p := range info.Partitions {
			row.Records += p.HighWatermark - p.LogStart
		}
		rows = append(rows, row)
	}
	return rows
}

// partitionRow is a partition on the page of its topic.
type partitionRow struct {
	samsa.PartitionInfo
	samsa.PartitionRetention
}

// Index is its number, which both of what it is made of have.
func (p partitionRow) Index() int32 { return p.PartitionInfo.Partition }

// Count is how many offsets there are.
func (p partitionRow) Count() int64 { return p.HighWatermark - p.LogStart }

// config is a config of a topic.
type config struct {
	Name, Value string
	Set         bool // to something else than the default
}

// topic shows one topic.
func (c *console) topic(ctx context.Context, r *http.Request) (view, error) {
	name := r.FormValue("name")
	v := view{Page: "topic.html", Title: name, Nav: "Topics"}
	info, err := c.broker().Topics().Describe(ctx, name)
	if err != nil {
		return v, err
	}
	sizes, err := c.sizes.now(ctx, c.broker())
	if err != nil {
		v.Notes = append(v.Notes, err.Error())
	}
	per, err := c.growth.note(ctx, c.broker(), sizes.topic)
	if err != nil {
		return v, err
	}
	p := pageOf(r, len(info.Partitions), partitionsPerPage, "topic", "name", name)
	row := topicRow{Name: name, Partitions: len(info.Partitions), Bytes: sizes.topic[name], Rate: per[name], Config: info.Config}
	var removed samsa.Removed
	var parts []partitionRow
	for i, pi := range info.Partitions {
		row.Records += pi.HighWatermark - pi.LogStart
		pr := sizes.part[samsa.TopicPartition{Topic: name, Partition: pi.Partition}]
		removed.Records, removed.Bytes = removed.Records+pr.Removed.Records, removed.Bytes+pr.Removed.Bytes
		if i >= p.From && i < p.To {
			parts = append(parts, partitionRow{pi, pr})
		}
	}
	table, err := c.grownOf(ctx, info, c.growth.of(name, sizes.topic))
	if err != nil { // what is damaged is no reason to show nothing
		v.Notes = append(v.Notes, err.Error())
	}
	groups, err := c.readersOf(ctx, name)
	if err != nil {
		return v, err
	}
	v.Data = struct {
		topicRow
		ID      string
		Removed samsa.Removed
		Grown   []grown
		Paging  paging
		Parts   []partitionRow
		Configs []config
		Readers readers
	}{row, fmt.Sprint(info.ID), removed, table, p, parts, configsOf(info.Config), groups}
	return v, nil
}

// configsOf returns the configs of a topic by name, those first that are not as they are by default.
func configsOf(c samsa.TopicConfig) []config {
	defaults := (samsa.TopicConfig{}).Configs()
	values := c.Configs()
	var set, others []config
	for _, name := range slices.Sorted(maps.Keys(values)) {
		cfg := config{name, values[name], values[name] != defaults[name]}
		if cfg.Set {
			set = append(set, cfg)
		} else {
			others = append(others, cfg)
		}
	}
	return append(set, others...)
}
