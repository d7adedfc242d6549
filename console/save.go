package console

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
)

const (
	saveMax     = 5000             // records of one file
	saveSilence = 30 * time.Second // for who saves to take a record
)

var errSavers = fmt.Errorf("%w: %d files are being saved already", samsa.ErrUnavailable, saversMax)

// save answers with records as JSON lines, whole ones: those of a topic that a page names, or a search has found. It is
// posted, as they may be many, and writes nothing.
func (c *console) save(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 6*pageTimeout)
	defer cancel()
	topic := r.FormValue("topic")
	places, err := parsePlaces(r.FormValue("at"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if _, err := c.broker().Topics().Describe(ctx, topic); err != nil {
		c.fail(w, r, err)
		return
	}
	select { // not one of the places of pages: how long this takes, who asks has in his hands
	case c.savers <- struct{}{}:
		defer func() { <-c.savers }()
	default:
		c.fail(w, r, errSavers)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", topic+".jsonl"))
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	for _, p := range places {
		p.Topic = topic
		rec, err := c.one(ctx, p.TopicPartition, p.offset)
		if ctx.Err() != nil {
			panic(http.ErrAbortHandler) // a file that is cut off must not pass for a whole one
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(saveSilence))
		if err != nil { // it is gone, or damaged: the line says so in its place
			_ = lines.Encode(map[string]any{"topic": topic, "partition": p.Partition, "offset": p.offset, "error": err.Error()})
			continue
		}
		if lines.Encode(lineOf(rec)) != nil {
			return
		}
	}
}

// at is where a record is.
type at struct {
	samsa.TopicPartition
	offset int64
}

// parsePlaces reads places of one topic, as 0:12,1:7.
func parsePlaces(text string) ([]at, error) {
	var places []at
	for field := range strings.SplitSeq(text, ",") {
		if field = strings.TrimSpace(field); field == "" {
			continue
		}
		partition, offset, _ := strings.Cut(field, ":")
		p, err := strconv.ParseInt(partition, 10, 32)
		o, err2 := strconv.ParseInt(offset, 10, 64)
		if err != nil || err2 != nil || p < 0 || o < 0 {
			return nil, fmt.Errorf("%w: %q is no place of a record, want PARTITION:OFFSET", samsa.ErrInvalid, field)
		}
		places = append(places, at{samsa.TopicPartition{Partition: int32(p)}, o})
	}
	if len(places) == 0 || len(places) > saveMax {
		return nil, fmt.Errorf("%w: %d records, want 1 to %d", samsa.ErrInvalid, len(places), saveMax)
	}
	return places, nil
}

// lineOf returns a record as the API and the command have it.
func lineOf(r samsa.Record) api.Record {
	line := api.Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: api.At(r.Timestamp), Key: r.Key, Value: r.Value}
	for _, h := range r.Headers {
		line.Headers = append(line.Headers, api.Header{Key: api.Text(h.Key), Value: h.Value})
	}
	return line
}
