package console

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
)

// Limits of what is looked at for dead letters.
const (
	lettersShown  = 100
	lettersLooked = 5000 // records of the topic
)

// queues shows the groups whose members share records.
func (c *console) queues(ctx context.Context, r *http.Request) (view, error) {
	v := view{Page: "queues.html", Title: "Queues", Nav: "Queues"}
	names, err := c.broker().Groups().List(ctx)
	if err != nil {
		return v, err
	}
	var rows []groupRow
	all, looked := c.groupRows(ctx, names)
	for _, row := range all {
		if row.Err == "" && row.Kind == samsa.GroupShare {
			rows = append(rows, row)
		}
	}
	p := pageOf(r, len(rows), groupsPerPage, "queues")
	v.Data = struct {
		Total, Groups, Looked int
		Paging                paging
		Rows                  []groupRow
	}{len(rows), len(names), looked, p, rows[p.From:p.To]}
	return v, nil
}

// letter is a dead letter.
type letter struct {
	recordRow
	From, Reason, Deliveries string
}

// letters are the dead letters of a group, newest first.
type letters struct {
	Topic   string
	Letters []letter
	Looked  int
	More    bool // older records were not looked at
}

// lettersOf returns the dead letters of a group that are in a topic.
func (c *console) lettersOf(ctx context.Context, dec *decoding, topic, group string) (l letters, err error) {
	l.Topic = topic
	parts, err := c.reaches(ctx, topic, -1)
	if err != nil {
		return l, err
	}
	done, err := c.reading(ctx)
	if err != nil {
		return l, err
	}
	defer done()
	for _, p := range parts {
		bytes := 0
		for rec, err := range c.broker().Backward(ctx, p.TopicPartition, samsa.Latest()) {
			if err != nil {
				break // the record browser tells of damage
			}
			if l.More = len(l.Letters) >= lettersShown || l.Looked >= lettersLooked || bytes > pageBytesMax; l.More {
				return l, nil
			}
			l.Looked++
			bytes += weight(rec)
			if found, ok := letterOf(rec); ok && found.group == group {
				found.recordRow = dec.row(rec, nil)
				l.Letters = append(l.Letters, found.letter)
			}
		}
	}
	return l, nil
}

// told is a dead letter and whose it is.
type told struct {
	letter
	group string
}

// letterOf returns what the headers of a record say, if it is a dead letter.
func letterOf(rec samsa.Record) (t told, ok bool) {
	says := make(map[string]string)
	for _, h := range rec.Headers {
		says[h.Key] = string(h.Value)
	}
	t.From = fmt.Sprintf("%s/%s at %s", says[samsa.DeadLetterTopic], says[samsa.DeadLetterPartition], says[samsa.DeadLetterOffset])
	t.Reason, t.Deliveries, t.group = says[samsa.DeadLetterMessage], says[samsa.DeadLetterDeliveries], says[samsa.DeadLetterGroup]
	return t, says[samsa.DeadLetterTopic] != ""
}

// requeue sends dead letters back to where they came from.
func (c *console) requeue(ctx context.Context, r *http.Request) (view, error) {
	v := view{Nav: "Queues"}
	if err := r.ParseForm(); err != nil {
		return v, err
	}
	topic, offsets := r.PostForm.Get("topic"), make(map[int32][]int64)
	n := 0
	for _, text := range r.PostForm["at"] {
		places, err := parsePlaces(text)
		if err != nil {
			return v, err
		}
		for _, p := range places {
			offsets[p.Partition] = append(offsets[p.Partition], p.offset)
			n++
		}
	}
	if n == 0 {
		return v, fmt.Errorf("%w: no dead letter was chosen", samsa.ErrInvalid)
	}
	for partition, of := range offsets {
		if _, err := c.api.Requeue(ctx, topic, api.RequeueRequest{Partition: partition, Offsets: of}); err != nil {
			return v, err
		}
	}
	v.See = link("group", "name", r.FormValue("name"), "sent", strconv.Itoa(n))
	return v, nil
}
