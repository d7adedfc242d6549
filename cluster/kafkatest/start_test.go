//go:build unix

package kafkatest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// programs puts scripts in the place of mvn and java.
func programs(t *testing.T, mvn, java string) {
	t.Helper()
	bin := t.TempDir()
	for name, script := range map[string]string{"mvn": mvn, "java": java} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("SAMSA_KAFKA_DIR", t.TempDir())
}

func nothingIsLeft(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// What goes wrong is said, and ends the start at once.
func TestStartFails(t *testing.T) {
	for what, run := range map[string][2]string{
		"no jars":           {"echo no network; exit 1", ""},
		"no storage":        {"", "echo no network; exit 1"},
		"the node has died": {"", `case "$*" in *StorageTool*) ;; *) echo no network; exit 1; esac`},
	} {
		t.Run(what, func(t *testing.T) {
			programs(t, run[0], run[1])
			dir := t.TempDir()
			_, err := Start(t.Context(), Options{Dir: dir})
			if !errors.Is(err, errEnded) || !strings.Contains(err.Error(), "no network") {
				t.Errorf("got %v", err)
			}
			nothingIsLeft(t, dir)
		})
	}
}

// A node that never answers is killed when the caller gives up.
func TestStartIsGivenUp(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	programs(t, "", `case "$*" in *StorageTool*) ;; *) echo $$ >`+pidFile+`.new; mv `+pidFile+`.new `+pidFile+`; exec sleep 1000; esac`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(pidFile); err == nil {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	dir := t.TempDir()
	if _, err := Start(ctx, Options{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is there: %v", pid, err)
	}
	nothingIsLeft(t, dir)
}
