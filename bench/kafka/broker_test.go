//go:build unix

package kafka

import (
	"os"
	"testing"
)

func nothingIsLeft(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// The real one, where the programs for tests with foreign clients are there. It answers as we do.
func TestKafkaRuns(t *testing.T) {
	if os.Getenv("SAMSA_CLIENTS") != "required" {
		t.Skip("it is fetched only with SAMSA_CLIENTS=required")
	}
	dir := t.TempDir()
	b, err := Start(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("transactions", func(t *testing.T) { transactionsAsIn(t, b.Addr) })
	t.Run("groups", func(t *testing.T) { groupsAsIn(t, b.Addr) })
	t.Run("shares", func(t *testing.T) { sharesAsIn(t, b.Addr) })
	t.Run("streams", func(t *testing.T) { streamsAsIn(t, b.Addr) })
	if err := b.Stop(); err != nil {
		t.Error(err)
	}
	nothingIsLeft(t, dir)
}
