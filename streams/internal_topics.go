package streams

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/samsa-go/samsa/log"
)

// create makes internal topics, of which somebody else may make some at the same time. What cannot be made is told in
// the status that says that topics are missing, and so is what may not be made.
func (c *Coordinator) create(ctx context.Context, topics []InternalTopic, statuses []Status, may func(topic string) bool) []Status {
	var failed, denied []string
	for _, t := range topics {
		if may != nil && !may(t.Name) {
			denied = append(denied, t.Name)
			continue
		}
		if err := c.createTopic(ctx, t); err != nil && !errors.Is(err, log.ErrTopicExists) {
			failed = append(failed, t.Name+" ("+err.Error()+")")
		}
	}
	i := slices.IndexFunc(statuses, func(s Status) bool { return s.Code == MissingInternalTopics })
	if i < 0 || len(failed)+len(denied) == 0 {
		return statuses
	}
	statuses = slices.Clone(statuses)
	if len(denied) > 0 {
		statuses[i].Detail += "; Unauthorized to CREATE on topics " + strings.Join(denied, ", ") + "."
	}
	if len(failed) > 0 {
		statuses[i].Detail += "; Creation failed: " + strings.Join(failed, ", ") + "."
	}
	return statuses
}

func (c *Coordinator) createTopic(ctx context.Context, t InternalTopic) error {
	config := c.opts.TopicDefaults
	config.Partitions = int(t.Partitions)
	for _, tc := range t.Configs {
		if err := config.SetConfig(tc.Name, tc.Value); err != nil {
			return err
		}
	}
	_, err := c.topics.Create(ctx, t.Name, config)
	return err
}
