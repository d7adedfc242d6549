package samsa_test

import (
	"bytes"
	"context"
	"fmt"

	"github.com/samsa-go/samsa"
)

func ExampleBroker_Import() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	_, err := b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("tea")})
	must(err)
	var file bytes.Buffer
	must(b.Snapshot(ctx, &file, "orders"))

	must(b.Import(ctx, &file, samsa.ImportOptions{As: map[string]string{"orders": "orders-of-yesterday"}}))
	names, err := b.Topics().List(ctx)
	must(err)
	fmt.Println(names)
	// Output: [orders orders-of-yesterday]
}
