package e2e

import (
	"bytes"
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/console"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
)

// The console shows a kept table that is damaged with its error, on the page of all tables which lists it beside the others.
func TestDamagedTableInTheConsole(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("stock", 1)
	if _, err := k.Produce(k.ctx, samsa.Record{Topic: "stock", Key: []byte("bolt"), Value: []byte("in the box")}); err != nil {
		t.Fatal(err)
	}
	keep := func(name string) {
		table, err := k.NewTable(k.ctx, samsa.TableOptions{Topic: "stock", Name: name})
		if err == nil {
			err = table.WaitFor(k.ctx)
		}
		if err == nil {
			err = table.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	keep("torn")
	in := inside.Of(k.Broker)
	of, err := in.Catalogue.Get("stock")
	if err != nil {
		t.Fatal(err)
	}
	damage := new(writer.Tx)
	first := store.TablePrefix(of.Partitions()[0].ID().Topic, 0)
	if err := in.Store.Scan(store.Range{From: first, To: store.Behind(first[:len(first)-4]), KeysOnly: true}, func(e store.Entry) (bool, error) {
		if e.Key[store.TablePrefixSize] == 'p' { // where the table is
			damage.Writes.Set(bytes.Clone(e.Key), []byte("damaged"))
		}
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := in.Committer.Do(damage); err != nil {
		t.Fatal(err)
	}
	keep("whole")
	w := httptest.NewRecorder()
	console.Handler(k.Broker, console.Options{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost/tables", nil))
	page := html.UnescapeString(w.Body.String())
	if w.Code != http.StatusOK || strings.Count(page, `<p class="note"`) != 1 || !strings.Contains(page, `<p class="note" role="status">table stock/torn: corrupt value: `) {
		t.Errorf("status %d, one note is to be of the damaged table:\n%s", w.Code, page)
	}
	for _, name := range []string{"torn", "whole"} {
		if !strings.Contains(page, `<a href="table?name=`+name+`&topic=stock"><bdi>`+name+`</bdi></a>`) {
			t.Errorf("table %s is not in the list:\n%s", name, page)
		}
	}
}
