package backup_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/backup"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func Example() {
	dir, err := os.MkdirTemp("", "samsa")
	must(err)
	defer os.RemoveAll(dir)
	ctx := context.Background()
	b, err := samsa.Open(filepath.Join(dir, "data"), samsa.Options{AutoCreateTopics: true})
	must(err)
	target := backup.Folder(filepath.Join(dir, "backup"))
	// Without UntilNow it goes on until ctx ends.
	once := backup.Options{Keep: 30 * 24 * time.Hour, UntilNow: true}
	must(backup.Run(ctx, backup.Of(b, backup.SourceOptions{}), target, once))
	_, err = b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("tea")})
	must(err)
	must(backup.Run(ctx, backup.Of(b, backup.SourceOptions{}), target, once))
	noon := time.Now()
	time.Sleep(2 * time.Millisecond)
	_, err = b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("a mistake")})
	must(err)
	must(backup.Run(ctx, backup.Of(b, backup.SourceOptions{}), target, once))
	must(b.Close())

	again, _, err := backup.Restore(ctx, filepath.Join(dir, "again"), target, backup.Moment{Time: noon}, samsa.Options{})
	must(err)
	ends, err := again.ListOffsets(ctx, "orders", samsa.Latest())
	must(err)
	fmt.Println(ends)
	must(again.Close())
	// Output: [{0 1}]
}
