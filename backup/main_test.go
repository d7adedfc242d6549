package backup

import (
	"os"
	"testing"

	"github.com/samsa-go/samsa/internal/lazygc"
)

func TestMain(m *testing.M) {
	lazygc.Use()
	os.Exit(m.Run())
}
