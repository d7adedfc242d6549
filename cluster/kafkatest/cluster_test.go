package kafkatest

import (
	"os"
	"os/exec"
	"path/filepath"
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

// A node starts with the archive of classes that the first one on this machine has left.
func TestArchive(t *testing.T) {
	c := New(t, Options{})
	if _, err := exec.LookPath("jcmd"); err != nil && !Required() {
		t.Skip("the archive is made with jcmd, which is not here")
	}
	c.Kill(1)
	_ = os.Remove(filepath.Join(c.nodes[0].dir, "no-archive")) // of the first on this machine
	c.opts.Java = append(c.opts.Java, "-Xshare:on")            // an archive that is not there, or of no use, is an error
	if err := c.Restart(1); err != nil {
		t.Fatal(err)
	}
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(c.nodes[0].dir, "no-archive")); err == nil {
		t.Error("there is no archive")
	}
}
