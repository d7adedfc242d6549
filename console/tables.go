package console

import (
	"context"
	"fmt"
	"net/http"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
)

const (
	tablesPerPage = 50
	tableRowsMax  = 100 // rows on a page
)

// tables shows the tables that are open in the process, and those that the broker keeps.
func (c *console) tables(ctx context.Context, r *http.Request) (view, error) {
	v := view{Page: "tables.html", Title: "Tables", Nav: "Tables"}
	all, err := c.api.Tables(ctx)
	if err != nil {
		return v, err
	}
	p := pageOf(r, len(all), tablesPerPage, "tables")
	for _, t := range all[p.From:p.To] {
		if t.Error != nil {
			v.Notes = append(v.Notes, fmt.Sprintf("table %s: %v", t, t.Error))
		}
	}
	v.Data = struct {
		Total  int
		Paging paging
		Rows   []api.Table
	}{len(all), p, all[p.From:p.To]}
	return v, nil
}

// table shows rows of a table in the order of their keys.
func (c *console) table(ctx context.Context, r *http.Request) (view, error) {
	id := api.TableID{Topic: r.FormValue("topic"), Name: r.FormValue("name"), Group: r.FormValue("group")}
	v := view{Page: "table.html", Title: "Table " + id.String(), Nav: "Tables"}
	done, err := c.reading(ctx)
	if err != nil {
		return v, err
	}
	defer done()
	prefix := r.FormValue("prefix")
	page, err := c.api.TableRows(ctx, api.RowsRequest{TableID: id, Prefix: api.Bytes(prefix), From: api.Bytes(r.FormValue("from")), Limit: tableRowsMax})
	if err != nil {
		return v, err
	}
	records := make([]samsa.Record, len(page.Rows))
	for i, row := range page.Rows {
		records[i] = samsa.Record{Topic: row.Topic, Partition: row.Partition, Offset: row.Offset, Timestamp: row.Timestamp.Time, Key: row.Key, Value: row.Value}
		for _, h := range row.Headers {
			records[i].Headers = append(records[i].Headers, samsa.Header{Key: string(h.Key), Value: h.Value})
		}
	}
	dec, end := c.decoding(ctx)
	defer end()
	d := struct {
		api.TableID
		Prefix, First, Next string // addresses, "" where there is none
		Rows                []recordRow
	}{TableID: id, Prefix: prefix, Rows: dec.rows(records)}
	at := []any{"topic", id.Topic, "name", id.Name, "group", id.Group, "prefix", prefix}
	if r.FormValue("from") != "" {
		d.First = link("table", at...)
	}
	if page.Next != nil {
		d.Next = link("table", append(at, "from", string(page.Next))...)
	}
	v.Notes = dec.notes()
	for i := range page.Replaced {
		v.Notes = append(v.Notes, page.Replaced[i].Error())
	}
	v.Data = d
	return v, nil
}
