package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// service is the other service: it answers what the test says, and keeps what it has taken. It is asked without a network.
type service struct {
	answer func(id string, times int) (status int) // 0 is no answer

	mu    sync.Mutex
	asked map[string]int
	taken []string
}

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	id := r.Header.Get("Idempotency-Key")
	s.mu.Lock()
	s.asked[id]++
	status := s.answer(id, s.asked[id])
	if status == 0 || status == http.StatusOK {
		if text := id + "=" + string(body); !slices.Contains(s.taken, text) {
			s.taken = append(s.taken, text)
		}
	}
	s.mu.Unlock()
	if status == 0 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	w := httptest.NewRecorder()
	w.WriteHeader(status)
	return w.Result(), nil
}

// Without another service it tells itself of the order that it says how to make.
func TestRun(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	said, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, t.TempDir(), "127.0.0.1:0", "", out)
		ended <- errors.Join(err, out.Close())
	}()
	lines := bufio.NewScanner(said)
	lines.Scan()
	_, url, _ := strings.Cut(lines.Text(), "' ")
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, url, strings.NewReader("three books"))
	if err != nil {
		t.Fatalf("%q: %v", lines.Text(), err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Error(resp.Status)
	}
	lines.Scan()
	if lines.Text() != "told of order 7: three books" {
		t.Errorf("%q", lines.Text())
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func newBroker(t *testing.T) *samsa.Broker {
	return samsatest.New(t, samsatest.Topic(outbox, 1), samsatest.Topic(dead, 1))
}

// start sends what is in the outbox of b until stop is called.
func start(t *testing.T, b *samsa.Broker, s *service) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		err := send(ctx, b, &http.Client{Transport: s}, "http://service/orders")
		if !errors.Is(err, context.Canceled) && !errors.Is(err, samsa.ErrClosed) {
			t.Errorf("it ends by %v", err)
		}
	})
	return func() { cancel(); wg.Wait() }
}

func put(t *testing.T, h http.Handler, id, order string, want int) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPut, "/orders/"+id, strings.NewReader(order)))
	if w.Code != want {
		t.Errorf("order %.20s: %d %s, want %d", id, w.Code, w.Body, want)
	}
}

// An order is one message, however often it comes. The service is down for a while, and refuses one.
func TestOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		s := &service{asked: make(map[string]int), answer: func(id string, times int) int {
			switch {
			case id == "9":
				return http.StatusUnprocessableEntity
			case times < 4:
				return http.StatusServiceUnavailable
			}
			return http.StatusOK
		}}
		stop := start(t, b, s)
		h := shop(b)
		put(t, h, "7", "tea", http.StatusCreated)
		put(t, h, "7", "tea", http.StatusOK)
		put(t, h, "7", "coffee", http.StatusConflict)
		put(t, h, "8", "milk", http.StatusCreated)
		put(t, h, "9", "gold", http.StatusCreated)
		put(t, h, strings.Repeat("x", 2000), "tea", http.StatusBadRequest)
		samsatest.WaitDone(t, b, group, outbox, 3)
		stop()
		samsatest.SameRecords(t, b, outbox, []string{"7=tea", "8=milk", "9=gold"})
		samsatest.Equal(t, b, dead, []string{"9=gold"})
		slices.Sort(s.taken)
		if !slices.Equal(s.taken, []string{"7=tea", "8=milk"}) || s.asked["9"] != 1 {
			t.Errorf("taken are %q, asked %v", s.taken, s.asked)
		}
	})
}

// The program is killed when the service has taken a message and not answered: the message is sent again, with the same key.
func TestKilledWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t)
		s := &service{asked: make(map[string]int), answer: func(_ string, times int) int {
			if times == 1 {
				return 0
			}
			return http.StatusOK
		}}
		stop := start(t, b, s)
		put(t, shop(b), "7", "tea", http.StatusCreated)
		synctest.Wait() // the service has it
		samsatest.Crash(t, b)
		stop()
		b = samsatest.Restart(t, b)
		put(t, shop(b), "7", "tea", http.StatusOK) // the client does not know either
		stop = start(t, b, s)
		samsatest.WaitDone(t, b, group, outbox, 1)
		stop()
		if !slices.Equal(s.taken, []string{"7=tea"}) || s.asked["7"] != 2 {
			t.Errorf("taken are %q, asked %v", s.taken, s.asked)
		}
	})
}

// The service is told of each order, whatever is in its id, and tells it from all others.
func TestOddIDs(t *testing.T) {
	b := newBroker(t)
	var mu sync.Mutex
	var told []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, r.Header.Get("Idempotency-Key"))
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = send(ctx, b, server.Client(), server.URL) })
	for _, id := range []string{"7", "%207", "7%0A", "%C3%A9", "%FF"} {
		put(t, shop(b), id, "tea", http.StatusCreated)
	}
	samsatest.WaitDone(t, b, group, outbox, 5)
	cancel()
	wg.Wait()
	slices.Sort(told)
	if want := []string{"%207", "%C3%A9", "%FF", "7", "7%0A"}; !slices.Equal(told, want) {
		t.Errorf("told of %q, want %q", told, want)
	}
}
