package registry_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/adapters/registry"
)

// BenchmarkRegister registers one more version of a subject that has some. Each is compared with the last one. heap/text is what all of them are in memory, for
// each byte of theirs.
func BenchmarkRegister(b *testing.B) {
	doc := strings.Repeat("A schema mostly says what it is for. ", 50)
	for _, versions := range []int{100, 1000, 10_000} {
		b.Run(fmt.Sprint("versions=", versions), func(b *testing.B) {
			broker, err := samsa.Open(b.TempDir(), samsa.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = broker.Close() }()
			r, err := registry.New(b.Context(), broker, registry.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = r.Close() }()
			next := 0
			add := func() int {
				next++
				text := fmt.Sprintf(`{"type":"record","name":"r","doc":"%s%d","fields":[{"name":"a","type":"int"}]}`, doc, next)
				q := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/subjects/s/versions", strings.NewReader(fmt.Sprintf(`{"schema":%q}`, text)))
				w := httptest.NewRecorder()
				if r.ServeHTTP(w, q); w.Code != http.StatusOK {
					b.Fatalf("%d %s", w.Code, w.Body)
				}
				return len(text)
			}
			add()
			before, size := heap(), 0
			for range versions {
				size += add()
			}
			held := heap() - before
			for b.Loop() {
				add()
			}
			b.ReportMetric(float64(held)/float64(size), "heap/text")
		})
	}
}

// heap returns how many bytes are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
