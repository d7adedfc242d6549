package conform_test

import (
	"context"
	"flag"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/lazygc"
	"github.com/samsa-go/samsa/samsatest/conform"
)

var update = flag.Bool("update", false, "write the columns of these places into the page")

const page = "../../docs/promises.md"

// TestMain fails the package when goroutines are left after its tests.
func TestMain(m *testing.M) {
	lazygc.Use()
	goleak.VerifyTestMain(m)
}

// options are those of a broker that is tried.
func options(o conform.Options) samsa.Options {
	return samsa.Options{
		AutoCreateTopics: o.AutoCreateTopics, Hooks: o.Hooks,
		Groups: samsa.GroupOptions{
			InitialRebalanceDelay: -1, MinSessionTimeout: time.Second,
			Configs: map[string]string{"group.share.min.record.lock.duration.ms": "1000"},
		},
	}
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	conform.CheckPage(t, page, *update, conform.Run(t, conform.Place{
		Name: "directory", Session: time.Second,
		Open: func(_ context.Context, o conform.Options) (*samsa.Broker, error) {
			return samsa.Open(filepath.Join(dir, o.Data), options(o))
		},
	}))
}

func TestMemory(t *testing.T) {
	t.Parallel()
	conform.CheckPage(t, page, *update, conform.Run(t, conform.Place{
		Name: "memory", Session: time.Second,
		Open: func(_ context.Context, o conform.Options) (*samsa.Broker, error) {
			opts := options(o)
			opts.InMemory = true
			return samsa.Open("", opts)
		},
		Differences: []conform.Difference{{Promises: "reopen/*", Why: "it is gone with Close"}},
	}))
}
