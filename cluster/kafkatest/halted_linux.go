package kafkatest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// awaitHalted returns once every thread of a process that was told to halt has. One of them takes the signal, when it next runs, and tells the
// others: until then they go on, on a busy machine for long. Who is not the parent of a process, as here, learns of it from proc(5) alone.
func awaitHalted(pid int) error {
	for seen := 0; seen < 2; { // the second time with the threads that were begun meanwhile: one that has halted begins none
		halted, err := allHalted(filepath.Join("/proc", strconv.Itoa(pid), "task"))
		if err != nil {
			return err
		}
		if halted {
			seen++
			continue
		}
		seen = 0
		time.Sleep(time.Millisecond)
	}
	return nil
}

// allHalted reports whether all threads in a directory of proc(5) are halted, or have ended.
func allHalted(dir string) (bool, error) {
	threads, err := os.ReadDir(dir)
	if err != nil {
		return false, errors.Join(errEnded, err)
	}
	for _, thread := range threads {
		stat, err := os.ReadFile(filepath.Join(dir, thread.Name(), "stat"))
		if err != nil {
			continue // it has ended
		}
		_, state, ok := bytes.Cut(stat[max(0, bytes.LastIndexByte(stat, ')')):], []byte(") ")) // behind the name, which may be anything
		if !ok || len(state) == 0 {
			return false, fmt.Errorf("state of thread %s: %q", thread.Name(), stat)
		}
		switch state[0] {
		case 'T', 't', 'Z', 'X':
		default:
			return false, nil
		}
	}
	return true, nil
}
