// Edge is a site that feeds a central broker: it stores what it measures in a broker of its own, whether the centre is there or not, and a
// mirror brings it over, under the site's name, once each and in order.
//
// Here the centre is a broker in the same process; cluster.OpenURL makes it a Kafka cluster.
package main

import (
	"context"
	"fmt"
	"log"
	"regexp"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/mirror"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	centre, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		return err
	}
	defer centre.Close()
	for _, site := range []string{"prague", "vienna"} {
		if err := visit(ctx, site, centre); err != nil {
			return err
		}
	}
	c, err := centre.NewConsumer(ctx, samsa.ConsumerOptions{TopicPattern: regexp.MustCompile(`\.measured$`)})
	if err != nil {
		return err
	}
	for n := 0; n < 12; {
		records, err := c.Poll(ctx)
		if err != nil {
			return err
		}
		for _, r := range records {
			fmt.Printf("%s: %s\n", r.Topic, r.Value)
		}
		n += len(records)
	}
	return nil
}

// visit is some time at a site.
func visit(ctx context.Context, name string, centre *samsa.Broker) error {
	site, err := samsa.Open("", samsa.Options{InMemory: true}) // a directory, where it is in earnest
	if err != nil {
		return err
	}
	defer site.Close()
	// Records stay until they are copied, but no more than 64 MiB of them.
	err = site.Topics().Create(ctx, "measured", samsa.TopicConfig{CleanupPolicy: samsa.CleanupConsumed | samsa.CleanupDelete, RetentionBytes: 64 << 20})
	if err != nil {
		return err
	}
	for day := range 3 {
		for _, what := range []string{"warm", "cold"} { // the centre is away
			if _, err := site.Produce(ctx, samsa.Record{Topic: "measured", Value: fmt.Appendf(nil, "day %d, %s", day, what)}); err != nil {
				return err
			}
		}
		m, err := mirror.New(site, centre, mirror.Options{Name: name, Prefix: name + ".", Hold: true, UntilNow: true})
		if err != nil {
			return err
		}
		if err := m.Run(ctx); err != nil { // without UntilNow it goes on until ctx ends, and waits for a centre that is away
			return err
		}
	}
	return nil
}
