package topic

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/samsa-go/samsa/log"
)

// Ensure has a topic be there as config says: see samsa.Topics.Ensure. One that is created has its zero fields from
// defaults.
func (c *Catalogue) Ensure(ctx context.Context, name string, config, defaults Config) (created bool, err error) {
	if _, err := ready(name, Merge(config, defaults)); err != nil {
		return false, err
	}
	for {
		t, err := c.Get(name)
		if err == nil {
			return false, t.meets(config)
		}
		if !errors.Is(err, log.ErrUnknownTopic) {
			return false, err
		}
		_, err = c.Create(ctx, name, Merge(config, defaults))
		if !errors.Is(err, log.ErrTopicExists) { // else by somebody else, just now
			return err == nil, err
		}
	}
}

// meets reports what the topic has not of that which is set in config.
func (t *Topic) meets(config Config) error {
	has := t.Config()
	lacks := config.beyond(has)
	if config.Partitions > has.Partitions {
		lacks = slices.Insert(lacks, 0, fmt.Sprintf("partitions=%d instead of %d", has.Partitions, config.Partitions))
	}
	if len(lacks) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %q has %s", log.ErrTopicExists, t.name, strings.Join(lacks, ", "))
}

// beyond says which configs that are set in c are others in has, which has every field filled in.
func (c Config) beyond(has Config) (others []string) {
	wanted := Merge(c, has)
	wanted.inert = has.inert
	for name, value := range c.inert.values() {
		wanted.inert = wanted.inert.with(findInert(name), value)
	}
	before := has.Configs()
	for name, value := range wanted.Configs() {
		if value != before[name] {
			others = append(others, fmt.Sprintf("%s=%s instead of %s", name, before[name], value))
		}
	}
	slices.Sort(others)
	return others
}
