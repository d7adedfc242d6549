package quota

import (
	"math"
	"net/netip"
	"sync"
	"time"
)

// How Kafka measures: by samples of a second, of which the last 11 count (quota.window.size.seconds, quota.window.num).
const (
	window  = time.Second
	samples = 11
)

// Window is the time in which a client may have taken all that its limit gives.
const Window = (samples - 1) * window

// meter is what somebody has taken of late (Kafka's Rate over a SampledStat), of ControllerMutation what is left.
type meter struct {
	samples []sample // oldest first
	bucket  bucket
	last    time.Time
}

type sample struct {
	began time.Time
	last  time.Time // something was taken
	sum   float64
}

// take notes that n were taken, at a time that is not before that of the call before.
func (m *meter) take(now time.Time, n float64) {
	m.forget(now)
	if k := len(m.samples); k == 0 || now.Sub(m.samples[k-1].began) >= window {
		m.samples = append(m.samples, sample{began: now})
	}
	s := &m.samples[len(m.samples)-1]
	s.sum += n
	s.last, m.last = now, now
}

// forget drops the samples that are over.
func (m *meter) forget(now time.Time) {
	for len(m.samples) > 0 && (now.Sub(m.samples[0].last) >= samples*window || len(m.samples) > samples) {
		m.samples = m.samples[1:]
	}
}

// rate returns how much a second was taken, and over which time: never less than all full samples but one.
func (m *meter) rate(now time.Time) (rate float64, over time.Duration) {
	m.forget(now)
	if len(m.samples) == 0 {
		return 0, (samples - 1) * window
	}
	over = now.Sub(m.samples[0].began)
	if full := int(over / window); full < samples-1 {
		over += time.Duration(samples-1-full) * window
	}
	sum := 0.0
	for _, s := range m.samples {
		sum += s.sum
	}
	return sum / over.Seconds(), over
}

// wait returns how long whoever takes so much is to be still, so that the limit holds (QuotaUtils.throttleTime).
func (m *meter) wait(now time.Time, limit float64) time.Duration {
	rate, over := m.rate(now)
	if rate <= limit {
		return 0
	}
	ms := math.Round((rate - limit) / limit * float64(over.Milliseconds()))
	return time.Duration(min(ms, math.MaxInt32)) * time.Millisecond
}

// Meters are what clients have taken of late. The zero value is ready. Their methods may be called by anybody at any time.
type Meters struct {
	mu  sync.Mutex // guards what follows
	all map[string]*meter
}

// maxMeters bounds the clients that are known: client ids are the clients' own. With more, those are dropped that have taken
// nothing of late.
const maxMeters = 10_000

// Take notes that a client has taken n of what limit is about, and returns how long it is to be still: 0 without a limit, and
// no longer than a window if it is one of time, which would otherwise keep a client out for what others have made slow.
func (m *Meters) Take(t *Table, limit, user, client string, now time.Time, n float64) time.Duration {
	value, together, ok := t.Of(limit, user, client)
	if !ok {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	one := m.meter(together, now)
	one.take(now, n)
	wait := one.wait(now, value)
	if limit == RequestPercent {
		wait = min(wait, window)
	}
	return wait
}

// Connect notes that an address connects, and returns 0; or, where that is more than its limit, how long its client is to wait, and does not count
// it. That is a window at most (KIP-612).
func (m *Meters) Connect(t *Table, address netip.Addr, now time.Time) time.Duration {
	value, ok := t.ofAddress(address)
	if !ok {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	one := m.meter(Connections+" "+address.String(), now)
	one.take(now, 1)
	wait := min(one.wait(now, value), window)
	if wait > 0 {
		one.take(now, -1)
	}
	return wait
}

// Return takes back what Take has noted at that time and was not given after all.
func (m *Meters) Return(t *Table, limit, user, client string, now time.Time, n float64) {
	if _, together, ok := t.Of(limit, user, client); ok {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.meter(together, now).take(now, -n)
	}
}

func (m *Meters) meter(together string, now time.Time) *meter {
	if m.all == nil {
		m.all = make(map[string]*meter)
	}
	one := m.all[together]
	if one != nil {
		return one
	}
	if len(m.all) >= maxMeters {
		for key, old := range m.all {
			if now.Sub(old.last) >= samples*window || len(m.all) >= maxMeters {
				delete(m.all, key)
			}
		}
	}
	one = new(meter)
	m.all[together] = one
	return one
}
