package topic

import (
	"context"

	"go.uber.org/zap"
)

// lock has the caller alone change the catalogue, unless ctx ends before.
func (c *Catalogue) lock(ctx context.Context) error { return c.change.TakeUntil(ctx) }

func (c *Catalogue) unlock() {
	told := c.told
	c.told = nil
	c.change.Give()
	for _, tell := range told {
		tell()
	}
}

// tell logs what has changed, once the catalogue is unlocked.
func (c *Catalogue) tell(message string, fields ...zap.Field) {
	c.told = append(c.told, func() { c.logger.Info(message, fields...) })
}
