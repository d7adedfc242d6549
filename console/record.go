package console

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/samsa-go/samsa"
)

const headersMax = 200 // on a page

// headerShown is a header of a record on its page.
type headerShown struct {
	Index int
	Key   shown
	Value shown
}

// recordShown is what the page of a record shows.
type recordShown struct {
	samsa.Record
	As                       string // how the value is wanted
	KeyShown                 shown
	ValueShown               shown
	KeyDecoded, ValueDecoded *decodedShown // nil for what is not encoded
	Shown                    []headerShown
	HeadersMore              int // that are not shown
	Prev, Next               int64
}

// place returns the record that an address names.
func recordOf(r *http.Request) (tp samsa.TopicPartition, offset int64, err error) {
	tp.Topic = r.FormValue("topic")
	if tp.Partition, err = partitionOf(r); err != nil {
		return tp, 0, err
	}
	if offset, err = strconv.ParseInt(r.FormValue("offset"), 10, 64); err != nil || offset < 0 || tp.Partition < 0 {
		return tp, 0, fmt.Errorf("%w: it needs a topic, a partition and an offset", errAsked)
	}
	return tp, offset, nil
}

// record shows one record, all of it.
func (c *console) record(ctx context.Context, r *http.Request) (view, error) {
	tp, offset, err := recordOf(r)
	v := view{Page: "record.html", Title: fmt.Sprintf("%s at %d", tp, offset), Nav: "Topics"}
	if err != nil {
		return v, err
	}
	done, err := c.reading(ctx)
	if err != nil {
		return v, err
	}
	defer done()
	rec, err := c.one(ctx, tp, offset)
	if err != nil {
		return v, err
	}
	dec, end := c.decoding(ctx)
	defer end()
	key, value := dec.of(rec)
	as := r.FormValue("as")
	d := recordShown{
		Record: rec, As: as, KeyShown: show(rec.Key, key.as(as)), ValueShown: show(rec.Value, value.as(as)), KeyDecoded: key.whole(), ValueDecoded: value.whole(),
		Prev: offset - 1, Next: offset + 1,
		HeadersMore: max(0, len(rec.Headers)-headersMax),
	}
	for i, h := range rec.Headers[:min(len(rec.Headers), headersMax)] {
		d.Shown = append(d.Shown, headerShown{i, preview([]byte(h.Key)), preview(h.Value)})
	}
	v.Data, v.Notes = d, dec.notes()
	return v, nil
}

// rawBytes answers with the bytes of a key, a value or a header, all of them, to be saved.
func (c *console) rawBytes(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), pageTimeout)
	defer cancel()
	tp, offset, err := recordOf(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	select {
	case c.savers <- struct{}{}:
		defer func() { <-c.savers }()
	case <-ctx.Done():
		c.fail(w, r, errSavers)
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(2 * saveSilence))
	rec, err := c.one(ctx, tp, offset)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	part := r.FormValue("part")
	var b []byte
	switch header, err := strconv.Atoi(part); {
	case part == "key":
		b = rec.Key
	case part == "value":
		b = rec.Value
	case err == nil && header >= 0 && header < len(rec.Headers):
		b = rec.Headers[header].Value
	default:
		c.fail(w, r, fmt.Errorf("%w: part is %q, want key, value or the number of a header", errAsked, part))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", fmt.Sprintf("%s-%d-%d-%s.bin", tp.Topic, tp.Partition, offset, part)))
	_, _ = w.Write(b)
}
