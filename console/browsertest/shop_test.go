package browsertest

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The shop of the examples, with its button.
func TestShop(t *testing.T) {
	installed(t)
	program := filepath.Join(t.TempDir(), "shop")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./examples/shop")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	shop := exec.CommandContext(t.Context(), program, "-addr", "127.0.0.1:0", "-data", t.TempDir(), "-flaky", "0")
	shop.Cancel = func() error { return shop.Process.Signal(os.Interrupt) } // it ends the shop that it has started
	stdout, err := shop.StdoutPipe()
	must(t, err)
	must(t, shop.Start())
	defer func() { must(t, shop.Wait()) }()
	defer func() { must(t, shop.Cancel()) }()
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if _, url, ok := strings.Cut(lines.Text(), " open at "); ok {
			go func() {
				for lines.Scan() { // until it ends
				}
			}()
			play(t, url, "shopping")
			return
		}
	}
	t.Fatal("the shop is not open")
}
