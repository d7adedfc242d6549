package samsa

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the package when goroutines are left after its tests. Most of those are in internal/e2e.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
