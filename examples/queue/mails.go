package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/samsa-go/samsa"
)

// mail is the value of a record.
type mail struct{ To, Subject string }

// later is how long a greeting waits.
const later = 3 * time.Second

// feed produces rate mails a second until ctx ends or there are enough.
func feed(ctx context.Context, b *samsa.Broker, c config) error {
	pause := time.NewTicker(time.Second / time.Duration(c.rate))
	defer pause.Stop()
	for n := 1; c.total == 0 || n <= c.total; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
		m := mail{To: fmt.Sprintf("user%d@example.org", n%100), Subject: fmt.Sprint("order ", n)}
		r := samsa.Record{Topic: mails}
		switch {
		case n%20 == 0:
			m.To = fmt.Sprintf("user%d@nowhere.invalid", n)
		case n%10 == 0:
			m.Subject = "how do you like it?"
			r.Headers = []samsa.Header{samsa.NotBefore(time.Now().Add(later))}
		}
		var err error
		if r.Value, err = json.Marshal(m); err != nil {
			return err
		}
		r.Key = []byte(m.To)
		if _, err := b.Produce(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// server is a mail server, as they are.
type server struct {
	flaky        float64
	takes        time.Duration
	sent, failed atomic.Int64
}

var (
	errNoSuchHost = errors.New("no such host")
	errBusy       = errors.New("421 try again later")
)

func (s *server) send(ctx context.Context, r samsa.Record) error {
	var m mail
	if err := json.Unmarshal(r.Value, &m); err != nil {
		return fmt.Errorf("%w: %w", errNoSuchHost, err) // it is no mail
	}
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return ctx.Err()
	}
	switch {
	case len(m.To) > 8 && m.To[len(m.To)-8:] == ".invalid":
		return errNoSuchHost
	case rand.Float64() < s.flaky:
		s.failed.Add(1)
		return errBusy
	}
	s.sent.Add(1)
	return nil
}
