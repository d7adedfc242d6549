package serve

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/samsa-go/samsa/adapters/registry"
	"github.com/samsa-go/samsa/cluster"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/samsatest"
)

// Registries of several processes on a cluster, which fence each other, give no id to two schemas, no schema of a subject two ids, and say the same in the end.
func TestRegistriesOfACluster(t *testing.T) {
	own := samsatest.New(t)
	l, err := kafka.Listen(own, "127.0.0.1:0", kafka.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	writeAtOnce(t, l.Addr().String())
}

// writeAtOnce has three registries of the cluster at an address register at once.
func writeAtOnce(t *testing.T, seed string) {
	defer http.DefaultClient.CloseIdleConnections()
	clients := make([]*sr.Client, 3)
	urls := make([]string, len(clients))
	for i := range clients {
		b, err := cluster.Open(t.Context(), cluster.Options{Seeds: []string{seed}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		})
		r, err := registry.New(t.Context(), b, registry.Options{Failed: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewServer(r)
		t.Cleanup(func() {
			s.Close()
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
		urls[i] = s.URL
		if clients[i], err = sr.NewClient(sr.URLs(s.URL)); err != nil {
			t.Fatal(err)
		}
	}
	clients[0].SetCompatibility(t.Context(), sr.SetCompatibility{Level: sr.CompatNone})
	var mu sync.Mutex
	ids := map[string]int{}
	texts := map[int]string{}
	var wg sync.WaitGroup
	for g, c := range clients {
		dice := rand.New(rand.NewPCG(2, uint64(g)))
		wg.Go(func() {
			for range 6 {
				text := fmt.Sprintf(`{"type":"enum","name":"E","symbols":["A%d"]}`, dice.IntN(6))
				id, err := c.RegisterSchema(t.Context(), fmt.Sprint("s", dice.IntN(2)), sr.Schema{Schema: text}, -1, -1)
				if err != nil {
					t.Error(err)
					continue
				}
				mu.Lock()
				if was, ok := ids[text]; ok && was != id || texts[id] != "" && texts[id] != text {
					t.Errorf("%s has id %d, and before %d; that id is %s", text, id, was, texts[id])
				}
				ids[text], texts[id] = id, text
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	var first string
	for i, url := range urls {
		_ = told(t, "DELETE", url+"/mode") // it reads to the end, and has nothing to write
		is := told(t, "GET", url+"/schemas")
		if i == 0 {
			first = is
		}
		if is != first || strings.Count(is, `"id"`) < len(ids) {
			t.Errorf("registry %d says\n%s\nand the first one\n%s", i, is, first)
		}
	}
}

// told returns what a registry answers.
func told(t *testing.T, method, url string) string {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	is, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = is.Body.Close() }()
	body, err := io.ReadAll(is.Body)
	if err != nil || is.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d %s, %v", method, url, is.StatusCode, body, err)
	}
	return string(body)
}
