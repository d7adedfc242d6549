package mirror_test

import (
	"context"
	"fmt"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/mirror"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func Example() {
	ctx := context.Background()
	site, err := samsa.Open("", samsa.Options{InMemory: true, AutoCreateTopics: true})
	must(err)
	defer site.Close()
	centre, err := samsa.Open("", samsa.Options{InMemory: true})
	must(err)
	defer centre.Close()
	_, err = site.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("tea")})
	must(err)

	m, err := mirror.New(site, centre, mirror.Options{Name: "site-7", Prefix: "site-7.", UntilNow: true})
	must(err)
	must(m.Run(ctx))
	for r, err := range centre.Backward(ctx, samsa.TopicPartition{Topic: "site-7.orders"}, samsa.Latest()) {
		must(err)
		fmt.Println(r.Topic, r.Offset, string(r.Value))
	}
	// Output: site-7.orders 0 tea
}
