package writer

import (
	"testing"
)

// What a Check adds is stored with the rest, and is counted before it is known.
func TestCheckAddsToWrites(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		tx := writes("k")
		tx.Reserve = Reserve{Entries: 1, Bytes: 3}
		tx.Check = func() error {
			tx.Writes.Set([]byte("alate"), []byte("1"))
			tx.Synced = true
			return nil
		}
		s.submit("late", tx)
		s.hears("late")
		if !s.has("k") || !s.has("late") || s.desk.syncs != 1 {
			t.Errorf("stored: %v and %v, after %d syncs", s.has("k"), s.has("late"), s.desk.syncs)
		}
		tx.Reset()
		if tx.Reserve != (Reserve{}) {
			t.Error("Reset forgot something")
		}
		large := &Tx{Reserve: Reserve{Entries: s.desk.Limits().Entries + 1}}
		s.submit("large", large)
		s.hears("large: too large")
	})
}
