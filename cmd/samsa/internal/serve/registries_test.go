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
	"testing/synctest"
	"time"

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
	writeAtOnce(t, cluster.Options{Seeds: []string{l.Addr().String()}})
}

// They do where each request takes a while, too: who is fenced leaves the one that fenced it the time to write.
func TestRegistriesOfASlowCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		own := samsatest.New(t)
		samsatest.Requests(own).Delay(40 * time.Millisecond)
		pipe := samsatest.KafkaPipe(t, own)
		writeAtOnce(t, cluster.Options{Seeds: []string{pipe.Addr().String()}, Dial: pipe.DialContext})
	})
}

// direct asks a handler without a network.
type direct struct{ http.Handler }

func (d direct) RoundTrip(q *http.Request) (*http.Response, error) {
	if q.Body == nil {
		q.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, q)
	return w.Result(), nil
}

// writeAtOnce has three registries of a cluster register at once.
func writeAtOnce(t *testing.T, opts cluster.Options) {
	clients := make([]*sr.Client, 3)
	webs := make([]*http.Client, len(clients))
	for i := range clients {
		b, err := cluster.Open(t.Context(), opts)
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
		t.Cleanup(func() {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
		webs[i] = &http.Client{Transport: direct{r}}
		if clients[i], err = sr.NewClient(sr.HTTPClient(webs[i])); err != nil {
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
	for i, web := range webs {
		_ = told(t, web, "DELETE", "/mode") // it reads to the end, and has nothing to write
		is := told(t, web, "GET", "/schemas")
		if i == 0 {
			first = is
		}
		if is != first || strings.Count(is, `"id"`) < len(ids) {
			t.Errorf("registry %d says\n%s\nand the first one\n%s", i, is, first)
		}
	}
}

// told returns what a registry answers.
func told(t *testing.T, web *http.Client, method, path string) string {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, "http://registry"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	is, err := web.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = is.Body.Close() }()
	body, err := io.ReadAll(is.Body)
	if err != nil || is.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d %s, %v", method, path, is.StatusCode, body, err)
	}
	return string(body)
}
