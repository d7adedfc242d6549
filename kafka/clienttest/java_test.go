package clienttest

import (
	"testing"

	"github.com/samsa-go/samsa"
)

// Java's admin takes the answers to what it creates and describes.
func TestJavaAdmin(t *testing.T) {
	java := javaProgram("java", javaClients)
	java.needs(t)
	k := inMemory(t, samsa.Options{})
	var partitions int
	java.call(k, nil, &partitions, "admin", "made", "3")
	info, err := k.Topics().Describe(k.ctx, "made")
	if err != nil {
		t.Fatal(err)
	}
	if partitions != 3 || len(info.Partitions) != 3 {
		t.Errorf("Java says %d partitions, the Go API %d, want 3", partitions, len(info.Partitions))
	}
}
