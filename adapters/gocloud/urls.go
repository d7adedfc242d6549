package gocloud

import (
	"context"
	"fmt"
	"net/url"
	"path"
	"time"

	"gocloud.dev/pubsub"

	"github.com/samsa-go/samsa"
)

// Scheme is the scheme of the URLs that URLOpener opens.
const Scheme = "samsa"

// URLOpener opens topics and subscriptions of a broker. A program registers it, once the broker is open:
//
//	o := &gocloud.URLOpener{Broker: b}
//	pubsub.DefaultURLMux().RegisterTopic(gocloud.Scheme, o)
//	pubsub.DefaultURLMux().RegisterSubscription(gocloud.Scheme, o)
//
// URLs are as those of the Go CDK's kafkapubsub. samsa://orders is a topic; the parameter key_name is TopicOptions.KeyName.
// samsa://billing?topic=orders is a subscription of the group billing; there may be several topics. Further parameters are those of
// samsa.QueueOptions: offset is oldest, the default, or latest; lock is a duration; dead_letter is a topic. Others are errors.
type URLOpener struct {
	// Broker is whose topics these are.
	Broker *samsa.Broker
	// Topic is what topics have that the URL does not say.
	Topic TopicOptions
	// Queue is what subscriptions have that the URL does not say.
	Queue samsa.QueueOptions
}

// OpenTopicURL opens a topic as OpenTopic does.
func (o *URLOpener) OpenTopicURL(_ context.Context, u *url.URL) (*pubsub.Topic, error) {
	opts := o.Topic
	for name, values := range u.Query() {
		switch name {
		case "key_name":
			opts.KeyName = values[0]
		default:
			return nil, unknown("topic", u, name)
		}
	}
	return OpenTopic(o.Broker, path.Join(u.Host, u.Path), &opts), nil
}

// OpenSubscriptionURL opens a subscription as OpenSubscription does.
func (o *URLOpener) OpenSubscriptionURL(ctx context.Context, u *url.URL) (*pubsub.Subscription, error) {
	opts := o.Queue
	opts.Group = path.Join(u.Host, u.Path)
	for name, values := range u.Query() {
		switch value := values[0]; name {
		case "topic":
			opts.Topics = values
		case "offset":
			switch value {
			case "oldest":
				opts.Start = samsa.Earliest()
			case "latest":
				opts.Start = samsa.Latest()
			default:
				return nil, fmt.Errorf("gocloud: open subscription %v: %w: offset is %q, not oldest or latest", u, samsa.ErrInvalidOption, value)
			}
		case "lock":
			lock, err := time.ParseDuration(value)
			if err != nil {
				return nil, fmt.Errorf("gocloud: open subscription %v: %w: lock: %w", u, samsa.ErrInvalidOption, err)
			}
			opts.Lock = lock
		case "dead_letter":
			opts.DeadLetter = value
		default:
			return nil, unknown("subscription", u, name)
		}
	}
	return OpenSubscription(ctx, o.Broker, opts)
}

func unknown(what string, u *url.URL, name string) error {
	return fmt.Errorf("gocloud: open %s %v: %w: no parameter %q", what, u, samsa.ErrInvalidOption, name)
}
