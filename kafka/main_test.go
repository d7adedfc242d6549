package kafka

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the package when goroutines are left after its tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
