package api

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/samsa-go/samsa/internal/lazygc"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("SAMSA_API_OWNER"); dir != "" {
		own(dir)
		return
	}
	lazygc.Use()
	goleak.VerifyTestMain(m)
}
