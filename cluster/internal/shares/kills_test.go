package shares_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster"
	"github.com/samsa-go/samsa/cluster/internal/kit"
)

// workerEnv makes a process of the test a worker.
const workerEnv = "SAMSA_TEST_WORKER"

const (
	killedWorkers = 3
	workersAtOnce = 8
)

// killedQueue is the queue of the workers. A worker that is killed is a reason to give up a mail only if it was killed ten times by it.
func killedQueue(ctx context.Context, b *samsa.Broker, topic, group string) (*samsa.Queue, error) {
	return b.NewQueue(ctx, samsa.QueueOptions{Group: group, Topics: []string{topic}, MaxDeliveries: 10, Retry: samsa.Retry{Min: samsa.NoWait}})
}

// workUntilKilled is a worker: it writes a line for each mail, as what is done with it.
func workUntilKilled(seed, topic, group string) error {
	ctx := context.Background()
	b, err := cluster.Open(ctx, cluster.Options{Seeds: []string{seed}})
	if err != nil {
		return err
	}
	q, err := killedQueue(ctx, b, topic, group)
	if err != nil {
		return err
	}
	return q.Work(ctx, workersAtOnce, func(_ context.Context, d samsa.Delivery) error {
		_, err := fmt.Printf("%s\n", d.Record.Value)
		return err
	})
}

// worker is a process that works.
type worker struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// work runs a worker, whose lines go to lines.
func work(t *testing.T, seed, topic, group string, lines chan<- string) *worker {
	t.Helper()
	w := &worker{cmd: exec.Command(os.Args[0], seed, topic, group), ended: make(chan struct{})}
	w.cmd.Env = append(os.Environ(), workerEnv+"=1")
	w.cmd.Stderr = os.Stderr
	out, err := w.cmd.StdoutPipe()
	must(t, err)
	must(t, w.cmd.Start())
	go func() {
		defer close(w.ended)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
		_ = w.cmd.Wait()
	}()
	return w
}

func (w *worker) kill() {
	_ = w.cmd.Process.Kill()
	<-w.ended
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

// Workers are killed while they work: each mail is done once or more, and none is lost or left. MAILS says how many there are, and
// KILLS how often one is killed.
func TestKills(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		mails, kills := number(t, "MAILS", 600), number(t, "KILLS", 6)
		topic, group, b := k.Create("mails", 4), k.Name("mailer"), open(t, k)
		must(t, b.Groups().SetConfigs(k.Ctx, group, map[string]string{"share.session.timeout.ms": "3000", "share.heartbeat.interval.ms": "1000"}))
		var batch []samsa.Record
		for i := range mails {
			batch = append(batch, samsa.Record{Topic: topic, Key: fmt.Append(nil, i), Value: fmt.Appendf(nil, "mail %d", i)})
		}
		_, err := b.Produce(k.Ctx, batch...)
		must(t, err)
		lines := make(chan string)
		all := make([]*worker, killedWorkers)
		for i := range all {
			all[i] = work(t, k.Seeds[0], topic, group, lines)
		}
		defer func() {
			var wg sync.WaitGroup
			for _, w := range all {
				wg.Go(w.kill)
			}
			done := make(chan struct{})
			go func() { wg.Wait(); close(done) }()
			for {
				select {
				case <-lines:
				case <-done:
					return
				}
			}
		}()
		done, told, again := make(map[string]bool), 0, 0
		for len(done) < mails {
			select {
			case line := <-lines:
				if !strings.HasPrefix(line, "mail ") { // a worker that was killed while it wrote
					continue
				}
				if told++; done[line] {
					again++
				}
				done[line] = true
			case <-k.Ctx.Done():
				t.Fatalf("%d of %d mails are done", len(done), mails)
			}
			if kills > 0 && told >= mails/(kills+1) {
				told = 0
				kills--
				i := rand.IntN(len(all))
				go all[i].kill()
				for over := false; !over; { // what it has said is read
					select {
					case line := <-lines:
						done[line] = true
					case <-all[i].ended:
						over = true
					}
				}
				all[i] = work(t, k.Seeds[0], topic, group, lines)
			}
		}
		for i := range mails {
			if !done[fmt.Sprintf("mail %d", i)] {
				t.Errorf("mail %d is lost", i)
			}
		}
		t.Logf("%d mails, %d of them done again", mails, again)
	})
}
