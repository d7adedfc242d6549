package partition

import "testing"

func woken(w *Waiter) bool {
	select {
	case <-w.C():
		return true
	default:
		return false
	}
}

func TestWaiterRemembersOneWakeUp(t *testing.T) {
	w := NewWaiter()
	if woken(w) {
		t.Error("woken at birth")
	}
	w.Wake()
	w.Wake()
	if !woken(w) || woken(w) {
		t.Error("want one wake-up for two")
	}
}
