package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// progress is a bar on a terminal, and elsewhere a line every tenth.
type progress struct {
	out      *os.File
	terminal bool
	began    time.Time
	tenth    int // of the last line
}

func newProgress(out *os.File) *progress {
	info, err := out.Stat()
	return &progress{out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0, began: time.Now(), tenth: -1}
}

const barWidth = 30

// show tells that the step after done of all begins.
func (p *progress) show(done, all int, step string) {
	took := time.Since(p.began)
	left := "?"
	if done > 0 {
		left = (took / time.Duration(done) * time.Duration(all-done)).Round(time.Second).String()
	}
	line := fmt.Sprintf("%d/%d, %s left, %s", done, all, left, step)
	if p.terminal {
		full := barWidth * done / all
		fmt.Fprintf(p.out, "\r[%s%s] %s\x1b[K", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), line)
		return
	}
	if tenth := 10 * done / all; tenth > p.tenth {
		p.tenth = tenth
		fmt.Fprintln(p.out, line)
	}
}

// end leaves the terminal clean.
func (p *progress) end() {
	if p.terminal {
		fmt.Fprintf(p.out, "\r\x1b[K")
	}
	fmt.Fprintf(p.out, "measured for %s\n", time.Since(p.began).Round(time.Second))
}
