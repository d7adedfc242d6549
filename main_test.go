package samsa

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the package when goroutines are left after its tests. Most tests of the package are in internal/e2e;
// those here look inside.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
