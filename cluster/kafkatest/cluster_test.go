package kafkatest

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestVersion(t *testing.T) {
	pom, err := os.ReadFile("pom.xml")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(pom), "<version>"+Version+"</version>"); n != 2 {
		t.Errorf("pom.xml names version %s %d times, want 2", Version, n)
	}
}

// Three nodes are one cluster, which goes on with two of them.
func TestThreeNodes(t *testing.T) {
	began := time.Now()
	c := New(t, Options{Nodes: 3})
	t.Logf("ready after %v", time.Since(began))
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Seeds()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopic(t.Context(), 3, 3, nil, "orders"); err != nil {
		t.Fatal(err)
	}
	for id := 1; id <= 3; id++ {
		c.Kill(id)
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("a")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := c.Restart(id); err != nil {
			t.Fatal(err)
		}
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
