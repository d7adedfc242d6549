package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// progress shows how far something is that may take long: on a terminal, from a second on, and then five times a second at most. Its methods
// may be called by anybody. A nil progress shows nothing.
type progress struct {
	w     io.Writer
	what  string
	total int64 // 0 when it is not known
	bytes bool  // it counts bytes
	now   func() time.Time

	mu    sync.Mutex
	n     int64
	began time.Time
	shown time.Time
	width int // of what is shown
}

const (
	progressAfter = time.Second
	progressEvery = 200 * time.Millisecond
	barWidth      = 24
)

// progress returns a progress of total things, on stderr if that is a terminal.
func (e *env) progress(what string, total int64, bytes bool) *progress {
	if !onTerminal(e.Stderr) {
		return nil
	}
	return newProgress(e.Stderr, what, total, bytes, time.Now)
}

func newProgress(w io.Writer, what string, total int64, bytes bool, now func() time.Time) *progress {
	return &progress{w: w, what: what, total: total, bytes: bytes, now: now, began: now()}
}

// add adds n to what is done.
func (p *progress) add(n int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n += n
	if now := p.now(); now.Sub(p.began) >= progressAfter && now.Sub(p.shown) >= progressEvery {
		p.shown = now
		p.show(p.line(now))
	}
}

// end takes away what is shown.
func (p *progress) end() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.shown.IsZero() {
		p.show("")
		fmt.Fprintf(p.w, "\r")
	}
}

// show writes text over what is shown.
func (p *progress) show(text string) {
	fmt.Fprintf(p.w, "\r%s%s", text, strings.Repeat(" ", max(0, p.width-len(text))))
	p.width = len(text)
}

// line returns what is to be shown: what, a bar, a number, a rate, and how long it takes yet.
func (p *progress) line(now time.Time) string {
	amount := func(n int64) string {
		if p.bytes {
			return size(n)
		}
		return count(n)
	}
	seconds := now.Sub(p.began).Seconds()
	rate := float64(p.n) / seconds
	if p.total <= 0 {
		return fmt.Sprintf("%s  %s  %s/s", p.what, amount(p.n), amount(int64(rate)))
	}
	done := min(1, float64(p.n)/float64(p.total))
	full := int(done * barWidth)
	text := fmt.Sprintf("%s  [%s%s] %3.0f%%  %s of %s  %s/s", p.what, strings.Repeat("#", full), strings.Repeat(".", barWidth-full),
		done*100, amount(p.n), amount(p.total), amount(int64(rate)))
	if rate > 0 && p.n < p.total {
		left := time.Duration(float64(p.total-p.n) / rate * float64(time.Second))
		text += "  " + left.Round(time.Second).String()
	}
	return text
}

// Write counts bytes, so that a progress may be beside an io.Writer.
func (p *progress) Write(b []byte) (int, error) {
	p.add(int64(len(b)))
	return len(b), nil
}
