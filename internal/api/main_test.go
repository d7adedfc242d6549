package api

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("SAMSA_API_OWNER"); dir != "" {
		own(dir)
		return
	}
	goleak.VerifyTestMain(m)
}
