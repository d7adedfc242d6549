package samsa

import (
	"time"

	"github.com/samsa-go/samsa/group/config"
	"github.com/samsa-go/samsa/share"
)

// shareSettings returns what the configs of a group say of its records.
func (b *Broker) shareSettings(name string) share.Settings {
	v := b.configs.Values(name)
	s := share.Settings{
		Lock: v.ShareLock(), MaxDeliveries: v.ShareDeliveries(), MaxInFlight: v.ShareMaxLocks(), Isolation: v.ShareIsolation(),
	}
	s.DeadLetter, s.CopyRecord = v.DeadLetters()
	switch reset := v.ShareReset(); reset.Kind {
	case config.ResetEarliest:
		s.Reset.Kind = share.ResetEarliest
	case config.ResetAgo:
		s.Reset = share.Reset{Kind: share.ResetByDuration, By: reset.Ago}
	}
	s.Backoff.Min, s.Backoff.Max = v.ShareBackoff()
	if s.Backoff.Min > 0 {
		s.Backoff.Factor, s.Backoff.Jitter = 2, retryJitter
	}
	return s
}

// retryJitter is which part of a wait is left to chance.
const retryJitter = 0.2

var _ time.Duration
