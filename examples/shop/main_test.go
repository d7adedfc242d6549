package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

// TestMain is the shop itself where supervise starts the test binary again.
func TestMain(m *testing.M) {
	if os.Getenv(child) == "" {
		os.Exit(m.Run())
	}
	c := config{addr: os.Args[1], data: os.Args[2], flaky: 0.25}
	if err := served(context.Background(), c, os.Stdin, os.Stdout); err != nil {
		tell(os.Stderr, err)
		os.Exit(exitFailed)
	}
}

// A shop that fails by itself says why, once, and is not started again.
func TestFailed(t *testing.T) {
	var said bytes.Buffer
	err := supervise(t.Context(), func(addr string) *exec.Cmd {
		cmd := exec.Command(os.Args[0], addr, t.TempDir())
		cmd.Stderr = &said
		return cmd
	}, "nowhere", io.Discard)
	if err == nil {
		t.Fatal("it did not fail")
	}
	tell(&said, err)
	if got := said.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "nowhere") {
		t.Errorf("said %q", got)
	}
}

// inMemory serves a shop, and returns its URL.
func inMemory(t *testing.T) (*shop, string) {
	t.Helper()
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := openShop(t.Context(), b, 0)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s.pages())
	var work sync.WaitGroup
	work.Go(func() {
		if err := s.mail(context.Background()); !errors.Is(err, samsa.ErrClosed) {
			t.Errorf("mails: %v", err)
		}
	})
	t.Cleanup(func() {
		web.Close()
		if err := errors.Join(s.close(), b.Close()); err != nil {
			t.Error(err)
		}
		work.Wait()
	})
	return s, web.URL
}

// post sends a form, and returns the code of the answer and what it says.
func post(ctx context.Context, url string, form url.Values) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultTransport.RoundTrip(req) // which follows no redirect
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

func form(id, product string, n int, to string) url.Values {
	return url.Values{"id": {id}, "product": {product}, "n": {strconv.Itoa(n)}, "to": {to}}
}

// read returns the books that a shop shows.
func read(ctx context.Context, url string) (sum books, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/books", nil)
	if err != nil {
		return sum, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return sum, err
	}
	defer func() { _ = resp.Body.Close() }()
	return sum, json.NewDecoder(resp.Body).Decode(&sum)
}

// mailed waits until every order has its mail, and returns the books then.
func mailsDone(t *testing.T, url string, orders int) books {
	t.Helper()
	for {
		sum, err := read(t.Context(), url)
		if err == nil && sum.Mails >= orders {
			return sum
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("%d mails, want %d: %v", sum.Mails, orders, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestOrders(t *testing.T) {
	s, url := inMemory(t)
	for _, tt := range []struct {
		name string
		id   string
		what string
		n    int
		to   string
		code int
		says string
	}{
		{"an order", "1", "book", 60, "gregor@example.org", http.StatusSeeOther, ""},
		{"the same again", "1", "book", 60, "gregor@example.org", http.StatusSeeOther, ""},
		{"another of that id", "1", "book", 61, "gregor@example.org", http.StatusBadRequest, "another order"},
		{"more than is left", "2", "book", 41, "grete@example.org", http.StatusConflict, "40 of book are left"},
		{"nobody's product", "3", "bug", 1, "grete@example.org", http.StatusBadRequest, `"bug"`},
		{"less than nothing", "4", "book", -1, "grete@example.org", http.StatusBadRequest, "at least one"},
		{"no mail", "5", "book", 1, "grete", http.StatusBadRequest, "bad order"},
		{"no id", "", "book", 1, "grete@example.org", http.StatusBadRequest, "id"},
		{"a mail that is refused", "6", "chair", 2, "grete@nowhere.invalid", http.StatusSeeOther, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, text, err := post(t.Context(), url+"/orders", form(tt.id, tt.what, tt.n, tt.to))
			if code != tt.code || !strings.Contains(text, tt.says) || err != nil {
				t.Errorf("it is %d, %s, %v", code, text, err)
			}
		})
	}
	sum := mailsDone(t, url, 2)
	want := "{[{apple 100 0 100} {book 100 60 40} {chair 100 2 98}] 2 2 true}"
	if got := fmt.Sprint(sum); got != want {
		t.Errorf("the books are %s, want %s", got, want)
	}
	for r, err := range s.b.Backward(t.Context(), samsa.TopicPartition{Topic: dead}, samsa.Latest()) {
		if err != nil || string(r.Key) != "6" {
			t.Errorf("a dead letter %s, %v", r.Key, err)
		}
	}
}

// Of many who want the last ones each gets them or none, and restocking goes on beside.
func TestOrdersAtOnce(t *testing.T) {
	_, url := inMemory(t)
	var all sync.WaitGroup
	var mu sync.Mutex
	codes := make(map[int]int)
	for i := range 150 {
		all.Go(func() {
			code, text, err := post(t.Context(), url+"/orders", form(fmt.Sprint(i), "apple", 1, "a@example.org"))
			if err != nil || code == http.StatusInternalServerError {
				t.Errorf("order: %d %s %v", code, text, err)
			}
			mu.Lock()
			defer mu.Unlock()
			codes[code]++
		})
	}
	all.Wait()
	sum, err := read(t.Context(), url)
	if codes[http.StatusSeeOther] != 100 || codes[http.StatusConflict] != 50 || !sum.Balanced || err != nil {
		t.Errorf("answers %v, books %v, %v", codes, sum, err)
	}
	code, _, err := post(t.Context(), url+"/restock", form("", "apple", 0, ""))
	if sum, e := read(t.Context(), url); code != http.StatusSeeOther || err != nil || e != nil || sum.Products[0] != (account{"apple", 200, 100, 100}) {
		t.Errorf("restocked: %d, %v, %v, %v", code, err, sum, e)
	}
}

func TestPages(t *testing.T) {
	_, url := inMemory(t)
	for path, want := range map[string]string{"/": "The books are balanced", "/console/": "<title>"} {
		resp, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(text), want) || err != nil {
			t.Errorf("%s is %d, %s, %v", path, resp.StatusCode, text, err)
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/kill", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "http://elsewhere.example")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("another site's page kills: %d", resp.StatusCode)
	}
}

// The shop is killed under load, by its button and from outside. In the end each order that was answered is there once, each has one mail,
// and the books are balanced. KILLS says how often.
func TestShopIsKilled(t *testing.T) {
	kills := 3
	if n, err := strconv.Atoi(os.Getenv("KILLS")); err == nil {
		kills = n
	}
	dir := t.TempDir()
	ctx, end := context.WithCancel(context.Background())
	defer end()
	said, out := io.Pipe()
	ended := make(chan error, 1)
	var process atomic.Pointer[exec.Cmd]
	go func() {
		ended <- supervise(ctx, func(addr string) *exec.Cmd {
			cmd := exec.Command(os.Args[0], addr, dir)
			cmd.Stderr = os.Stderr
			process.Store(cmd)
			return cmd
		}, "127.0.0.1:0", out)
		_ = out.Close()
	}()
	opened := make(chan string, kills+1)
	go func() {
		for lines := bufio.NewScanner(said); lines.Scan(); {
			if at, ok := strings.CutPrefix(lines.Text(), greeting); ok {
				opened <- "http://" + at
			} else if !strings.Contains(lines.Text(), "killed") {
				t.Error(lines.Text())
			}
		}
	}()
	shop := open(t, opened, ended)
	load := newLoad(shop)
	for i := range kills {
		before := load.answered()
		for load.answered() < before+5 { // each time something has been done
			time.Sleep(time.Millisecond)
		}
		time.Sleep(rand.N(20 * time.Millisecond)) // at any moment
		if i%2 > 0 {
			_ = process.Load().Process.Kill()
		} else if _, text, err := post(ctx, shop+"/kill", nil); text != killedPage {
			t.Errorf("the button answers %s, %v", text, err)
		}
		if again := open(t, opened, ended); again != shop {
			t.Fatalf("it is at %s now, and was at %s", again, shop)
		}
	}
	accepted := load.end(t)
	sum := mailsDone(t, shop, len(accepted))
	if !sum.Balanced || sum.Orders != len(accepted) || sum.Mails != len(accepted) {
		t.Errorf("%d orders were answered, and the books are %v", len(accepted), sum)
	}
	end()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	b, err := samsa.Open(dir, samsa.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	for r, err := range b.Backward(t.Context(), samsa.TopicPartition{Topic: orders}, samsa.Latest()) {
		if err != nil || !accepted[string(r.Key)] {
			t.Fatalf("order %s is there twice, or nobody's: %v", r.Key, err)
		}
		delete(accepted, string(r.Key))
	}
	if len(accepted) > 0 {
		t.Errorf("orders %v are lost", accepted)
	}
	t.Logf("%d orders: %d kills", sum.Orders, kills)
}

// open waits until the shop is open.
func open(t *testing.T, opened <-chan string, ended <-chan error) string {
	t.Helper()
	select {
	case url := <-opened:
		return url
	case err := <-ended:
		t.Fatalf("the shop has ended: %v", err)
		return ""
	}
}

// load are customers. Each orders again and again; an order that has no answer is sent again.
type load struct {
	mu        sync.Mutex
	accepted  map[string]bool
	mistakes  []string
	stopping  chan struct{}
	customers sync.WaitGroup
}

func newLoad(shop string) *load {
	l := &load{accepted: make(map[string]bool), stopping: make(chan struct{})}
	for c := range 4 {
		l.customers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-l.stopping:
					return
				default:
					l.order(shop, fmt.Sprintf("%d-%d", c, i))
				}
			}
		})
	}
	return l
}

// order orders one thing until that is answered. What is sold out is restocked.
func (l *load) order(shop, id string) {
	product := products[rand.IntN(len(products))]
	for {
		code, text, err := post(context.Background(), shop+"/orders", form(id, product, 1+len(id)%3, "a@example.org"))
		switch {
		case err != nil:
			time.Sleep(time.Millisecond)
			continue // it was killed
		case code == http.StatusConflict:
			_, _, _ = post(context.Background(), shop+"/restock", url.Values{"product": {product}})
			continue
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.accepted[id] = true; code != http.StatusSeeOther {
			l.mistakes = append(l.mistakes, fmt.Sprint(code, text))
		}
		return
	}
}

func (l *load) answered() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.accepted)
}

// end has the customers go, and returns the ids of what they have.
func (l *load) end(t *testing.T) map[string]bool {
	t.Helper()
	close(l.stopping)
	l.customers.Wait()
	for _, m := range l.mistakes {
		t.Error(m)
	}
	return l.accepted
}
