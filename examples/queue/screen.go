package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/samsa-go/samsa"
)

// letters are the dead letters that have come.
type letters struct {
	b *samsa.Broker

	mu   sync.Mutex // guards what follows
	n    int
	last []string // the newest
}

const shownLetters = 5

// read reads the dead letters until ctx ends.
func (l *letters) read(ctx context.Context) error {
	c, err := l.b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{dead}, Start: samsa.Latest()})
	if err != nil {
		return err
	}
	defer c.Close()
	for r, err := range c.Records(ctx) {
		if err != nil {
			return err
		}
		l.add(r)
	}
	return nil
}

// add takes a dead letter: the record as it was, and headers that say what has become of it.
func (l *letters) add(r samsa.Record) {
	headers := make(map[string]string)
	for _, h := range r.Headers {
		headers[h.Key] = string(h.Value)
	}
	to := "?"
	if m := (mail{}); json.Unmarshal(r.Value, &m) == nil {
		to = m.To
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	l.last = append(l.last, fmt.Sprintf("%s/%s@%s  %-28s %s deliveries, %s", headers[samsa.DeadLetterTopic], headers[samsa.DeadLetterPartition],
		headers[samsa.DeadLetterOffset], to, headers[samsa.DeadLetterDeliveries], headers[samsa.DeadLetterMessage]))
	l.last = l.last[max(0, len(l.last)-shownLetters):]
}

func (l *letters) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

// screen shows how far things are. On a terminal it draws in place, elsewhere it writes a table each time.
type screen struct {
	q        *samsa.Queue
	server   *server
	letters  *letters
	out      io.Writer
	terminal bool
}

func (s *screen) draw(stats samsa.QueueStats) error {
	var b strings.Builder
	if s.terminal {
		b.WriteString("\x1b[H\x1b[J")
	}
	age := time.Duration(0)
	if !stats.Oldest.IsZero() {
		age = time.Since(stats.Oldest).Round(100 * time.Millisecond)
	}
	fmt.Fprintf(&b, "to do %d, being sent %d, waiting for their time %d, the oldest is %s old\n", stats.Lag, stats.InFlight, stats.Waiting, age)
	fmt.Fprintf(&b, "sent %d, failed attempts %d, dead letters %d\n", s.server.sent.Load(), s.server.failed.Load(), stats.DeadLetters)
	s.letters.mu.Lock()
	for _, line := range s.letters.last {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	s.letters.mu.Unlock()
	_, err := io.WriteString(s.out, b.String())
	return err
}
