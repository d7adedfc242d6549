// Package kafka runs an Apache Kafka for the benchmark: one broker on loopback, whose jars Maven fetches.
package kafka

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Version of Kafka that pom.xml names.
const Version = "4.4.0"

//go:embed broker.sh pom.xml
var files embed.FS

// Broker is a running one.
type Broker struct {
	Addr  string // host:port
	dir   string
	input io.Closer // when it is closed, the process ends
	ended chan struct{}
	exit  error // once it has ended
	log   *os.File
}

// Start runs a broker with its data in a new directory below dir, and returns when it answers. The
// first time Maven fetches it before. It needs bash, java and mvn. The broker ends with Stop, or with
// this process, however that ends.
func Start(ctx context.Context, dir string) (_ *Broker, err error) {
	b := &Broker{ended: make(chan struct{})}
	if b.dir, err = os.MkdirTemp(dir, "samsa-bench-kafka-"); err != nil {
		return nil, err
	}
	ports, err := freePorts(2)
	if err == nil {
		b.Addr = "127.0.0.1:" + ports[0]
		err = b.run(ports)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start Kafka: %w", err), b.remove())
	}
	if err := b.ready(ctx); err != nil {
		said, _ := os.ReadFile(b.log.Name())
		return nil, errors.Join(fmt.Errorf("start Kafka: %w\n%s", err, said[max(0, len(said)-4<<10):]), b.Stop())
	}
	return b, nil
}

// run starts the process.
func (b *Broker) run(ports []string) (err error) {
	if err := os.CopyFS(b.dir, files); err != nil {
		return err
	}
	if b.log, err = os.Create(filepath.Join(b.dir, "log")); err != nil {
		return err
	}
	cmd := exec.Command("bash", append([]string{filepath.Join(b.dir, "broker.sh"), b.dir}, ports...)...)
	cmd.Stdout, cmd.Stderr = b.log, b.log
	if b.input, err = cmd.StdinPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { // Stop waits for it
		b.exit = cmd.Wait()
		close(b.ended)
	}()
	return nil
}

// errEnded: the process is not there any more.
var errEnded = errors.New("it has ended")

// startWithin is enough for a slow download.
const startWithin = 10 * time.Minute

// ready returns when the broker answers, and has what groups need.
func (b *Broker) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr))
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		asked, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := kadm.NewClient(client).FindGroupCoordinators(asked, "samsa-bench").Error()
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-b.ended:
			return errors.Join(errEnded, b.exit)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Stop ends the broker and removes its data.
func (b *Broker) Stop() error {
	_ = b.input.Close() // a process that has ended has closed it
	<-b.ended
	return b.remove()
}

func (b *Broker) remove() error {
	if b.log != nil {
		_ = b.log.Close() // it goes
	}
	return os.RemoveAll(b.dir)
}

// freePorts returns numbers of ports that nobody listens at now.
func freePorts(n int) (ports []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }() // after the last, so that they differ
		ports = append(ports, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	return ports, nil
}
