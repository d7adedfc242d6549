package clienttest

import (
	"os"
	"os/exec"
	"regexp"
	"testing"

	"github.com/samsa-go/samsa"
)

// The notes' producer and consumer do what they did with a Kafka of three machines.
func TestNotes(t *testing.T) {
	for _, age := range []string{"", "old "} {
		t.Run(age+"sarama", func(t *testing.T) {
			k := inMemory(t, samsa.Options{})
			k.create("web_log", 3)
			if got := k.child(age + "notes consumer"); got != "[0 1 2]\n" {
				t.Errorf("the consumer printed %q", got)
			}
			if got := k.child(age + "notes producer"); !regexp.MustCompile(`^pid:[012] offset:0\n$`).MatchString(got) {
				t.Errorf("the producer printed %q", got)
			}
			if got := string(k.read("web_log", 1)[0].Value); got != "this is a test log" {
				t.Errorf("%q is in the topic", got)
			}
		})
	}
	// And so they do with three brokers in one process, whichever of them they are given.
	for _, age := range []string{"", "old "} {
		t.Run(age+"sarama, three brokers", func(t *testing.T) {
			u := newUpheaval(t, "web_log")
			for i, addr := range u.c.Addrs() {
				u.addr = addr
				if got := u.child(age + "notes consumer"); got != "[0 1 2 3 4 5]\n" {
					t.Errorf("the consumer printed %q", got)
				}
				if got := u.child(age + "notes producer"); !regexp.MustCompile(`^pid:[0-5] offset:\d\n$`).MatchString(got) {
					t.Errorf("the producer printed %q", got)
				}
				u.read("web_log", i+1)
			}
		})
	}
	// The topic may also come into being with its first record.
	t.Run("no topic", func(t *testing.T) {
		k := inMemory(t, samsa.Options{AutoCreateTopics: true})
		if got := k.child("notes producer"); got != "pid:0 offset:0\n" {
			t.Errorf("the producer printed %q", got)
		}
		k.read("web_log", 1)
	})
}

// child runs one of the children to its end and returns what it printed.
func (k *kit) child(name string) string {
	k.t.Helper()
	cmd := exec.CommandContext(k.ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childName+"="+name, childAddr+"="+k.addr)
	return k.run(cmd)
}
