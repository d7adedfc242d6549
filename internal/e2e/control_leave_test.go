package e2e

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/samsa-go/samsa"
)

// An Options.Control that panics, or ends its goroutine, ends nothing else: the broker goes on, its socket goes, and the log says it.
func TestControlThatLeaves(t *testing.T) {
	for name, leave := range map[string]func(){"panics": func() { panic("a fault") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			core, logs := observer.New(zap.WarnLevel)
			dir := t.TempDir()
			k := open(t, dir, samsa.Options{Logger: zap.New(core), Control: func(_ *samsa.Broker, l net.Listener) error {
				if c, err := l.Accept(); err == nil {
					_ = c.Close()
				}
				leave()
				return nil
			}})
			note, err := os.ReadFile(filepath.Join(dir, "control"))
			if err != nil {
				t.Fatal(err)
			}
			path := string(note[:len(note)-1])
			if !filepath.IsAbs(path) {
				path = filepath.Join(dir, path)
			}
			c, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
			k.create("orders", 1)
			k.write("orders", "tea")
			if err := k.Close(); err != nil {
				t.Error(err)
			}
			if logs.FilterMessage("nobody serves the control socket any more").Len() != 1 {
				t.Errorf("the log has %v", logs.All())
			}
			if left, err := filepath.Glob(filepath.Join(dir, "control*")); err != nil || len(left) > 0 {
				t.Errorf("%q are left, %v", left, err)
			}
		})
	}
}
