package main

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"os"
	"strconv"

	"github.com/samsa-go/samsa/console"
)

//go:embed shop.html
var shopText string

var shopPage = template.Must(template.New("shop").Parse(shopText))

// killedPage comes back to the shop once it is there again.
const killedPage = `<!doctype html><html lang="en"><title>Killed</title><p>The process was killed. It comes back.</p>
<script>
(async function back() {
  try { if ((await fetch('/books')).ok) { location.replace('/'); return } } catch {}
  setTimeout(back, 100)
})()
</script>`

// pages are what a browser gets: the shop, and the console of its broker at /console/.
func (s *shop) pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.front)
	mux.HandleFunc("GET /books", func(w http.ResponseWriter, r *http.Request) {
		sum, err := s.books(r.Context())
		if err != nil {
			fail(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(sum)
	})
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.ParseInt(r.PostFormValue("n"), 10, 32)
		if err != nil {
			fail(w, fmt.Errorf("%w: %w", errBadOrder, err))
			return
		}
		o := order{r.PostFormValue("id"), r.PostFormValue("product"), n, r.PostFormValue("to")}
		back(w, r, s.order(r.Context(), o))
	})
	mux.HandleFunc("POST /restock", func(w http.ResponseWriter, r *http.Request) {
		for _, product := range products {
			if product == r.PostFormValue("product") {
				back(w, r, s.restock(r.Context(), product))
				return
			}
		}
		fail(w, fmt.Errorf("%w: there is no product %q", errBadOrder, r.PostFormValue("product")))
	})
	mux.HandleFunc("POST /kill", kill)
	mux.Handle("/console/", http.StripPrefix("/console", console.Handler(s.b, console.Options{Write: true})))
	return http.NewCrossOriginProtection().Handler(mux) // no other site's page orders, or kills
}

func (s *shop) front(w http.ResponseWriter, r *http.Request) {
	sum, err := s.books(r.Context())
	if err != nil {
		fail(w, err)
		return
	}
	list, err := s.latest(r.Context(), 10)
	if err != nil {
		fail(w, err)
		return
	}
	var page bytes.Buffer
	err = shopPage.Execute(&page, struct {
		ID     string // of the next order
		PID    int
		Books  books
		Latest []order
	}{rand.Text(), os.Getpid(), sum, list})
	if err != nil {
		fail(w, err)
		return
	}
	_, _ = page.WriteTo(w)
}

// back shows the shop after a change, or what was wrong.
func back(w http.ResponseWriter, r *http.Request, err error) {
	if err != nil {
		fail(w, err)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func fail(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	switch {
	case errors.Is(err, errBadOrder):
		code = http.StatusBadRequest
	case errors.Is(err, errSoldOut):
		code = http.StatusConflict
	}
	http.Error(w, err.Error(), code)
}

// kill answers, and ends the process as a power switch would: nothing is closed, and nothing flushed.
func kill(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(killedPage)))
	_, _ = w.Write([]byte(killedPage))
	_ = http.NewResponseController(w).Flush()
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Kill()
	}
}
