package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/backup"
	"github.com/samsa-go/samsa/cmd/samsa/internal/escape"
)

// Surroundings is what Run has to do with.
type Surroundings struct {
	Stdout, Stderr io.Writer // what is served is told to Stdout, the log goes to Stderr
	JSON           bool      // Stdout gets JSON, a line each
	NotifySocket   string    // gets READY=1 and STOPPING=1, as systemd wants it; "" for none
}

// Run opens the broker, creates the topics and serves until ctx ends. Then it closes all, within the time of --shutdown-timeout.
func (c *Config) Run(ctx context.Context, s Surroundings) (err error) {
	c.broker.Logger = c.logger(s.Stderr)
	broker, err := c.open(ctx)
	if err != nil {
		return err
	}
	var w *web
	var schemas *schemas
	defer func() { // closes the listeners too, and ends what follows over HTTP
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.drain)
		defer cancel()
		err = errors.Join(err, schemas.end(end), broker.shut(end))
		w.end(end)
		c.registry.close()
	}()
	if schemas, err = c.serveSchemas(ctx, broker); err != nil {
		return err
	}
	if w, err = c.serveHTTP(broker); err != nil {
		return err
	}
	copies := c.copy(broker.b)
	defer copies()
	if err := c.announce(ctx, broker, w.addr(), schemas.addr(), s); err != nil {
		return err
	}
	c.notify(s, "READY=1\nSTATUS=serves Kafka clients at "+strings.Join(broker.at, ", "))
	<-ctx.Done()
	if s.JSON {
		fmt.Fprintln(s.Stdout, `{"ends":true}`)
	} else {
		fmt.Fprintln(s.Stdout, "samsa ends")
	}
	c.notify(s, "STOPPING=1")
	return nil
}

// notify notifies who is at s.NotifySocket. That this fails is no reason to serve nobody: it is often an environment that was inherited.
func (c *Config) notify(s Surroundings, state string) {
	if err := notify(s.NotifySocket, state); err != nil {
		c.broker.Logger.Warn("nobody was notified", zap.String("state", state), zap.Error(err))
	}
}

// copy keeps a copy of b at --backup until what it returns is called, which waits for the end of that.
func (c *Config) copy(b *samsa.Broker) (end func()) {
	if c.backup == "" {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() {
		err := backup.Run(ctx, backup.Of(b, backup.SourceOptions{}), c.target, backup.Options{Keep: c.keep, Logger: c.broker.Logger})
		if err != nil && ctx.Err() == nil {
			c.broker.Logger.Error("backup has ended", zap.String("target", c.backup), zap.Error(err))
		}
	})
	return func() {
		cancel()
		run.Wait()
	}
}

// advertised returns the addresses of --advertise, one for each of --listen, or none.
func (c *Config) advertised() []string {
	if c.kafka.Advertise == "" {
		return nil
	}
	return strings.Split(c.kafka.Advertise, ",")
}

// createTopics creates those that are missing; the others stay as they are.
func createTopics(ctx context.Context, b *samsa.Broker, topics []topicFlag) error {
	for _, t := range topics {
		if _, err := b.Topics().Ensure(ctx, t.name, t.config); err != nil && !errors.Is(err, samsa.ErrTopicExists) {
			return fmt.Errorf("--topic %s: %w", t.text, err)
		}
	}
	return nil
}

// maxAnnounced bounds the topics that announce names.
const maxAnnounced = 50

// announcement is what is served, and where.
type announcement struct {
	Listen    []string `json:"listen"`
	Advertise []string `json:"advertise,omitempty"`
	HTTP      string   `json:"http,omitempty"` // of console and API
	Schemas   string   `json:"schemaRegistry,omitempty"`
	TLS       bool     `json:"tls,omitempty"`  // connections are encrypted
	SASL      []string `json:"sasl,omitempty"` // the mechanisms by which clients log in
	NodeID    int32    `json:"nodeId"`         // of several brokers the first is
	Brokers   int      `json:"brokers"`
	Data      string   `json:"data"` // "" in memory
	Fake      bool     `json:"fake,omitempty"`
	Topics    []string `json:"topics"` // name:partitions, of the first ones
	More      int      `json:"more"`   // topics
}

// announce tells where and what is served.
func (c *Config) announce(ctx context.Context, broker *served, web, schemas string, s Surroundings) error {
	b := broker.b
	a := announcement{Listen: broker.at, Advertise: c.advertised(), HTTP: web, Schemas: schemas, TLS: c.kafka.Security.TLS != nil, SASL: c.security.mechs, NodeID: c.kafka.NodeID, Brokers: c.brokers, Fake: c.fake, Topics: []string{}}
	if !c.broker.InMemory {
		dir, err := filepath.Abs(c.data)
		if err != nil {
			return fmt.Errorf("--data: %w", err)
		}
		a.Data = dir
	}
	names, err := b.Topics().List(ctx)
	if err != nil {
		return err
	}
	for _, name := range names[:min(len(names), maxAnnounced)] {
		info, err := b.Topics().Describe(ctx, name)
		if err != nil {
			return err
		}
		a.Topics = append(a.Topics, fmt.Sprintf("%s:%d", name, len(info.Partitions)))
	}
	a.More = len(names) - len(a.Topics)
	if s.JSON {
		_ = json.NewEncoder(s.Stdout).Encode(a) // as below: a broker does not end because nobody reads what it prints
		return nil
	}
	a.print(s.Stdout)
	return nil
}

// print prints it for people.
func (a announcement) print(out io.Writer) {
	where := "in memory"
	if a.Data != "" {
		where = "in " + a.Data
	}
	if a.Fake {
		where += ", a fake broker"
	}
	nodes := fmt.Sprintf("node %d", a.NodeID)
	if a.Brokers > 1 {
		nodes = fmt.Sprintf("nodes %d to %d", a.NodeID, int(a.NodeID)+a.Brokers-1)
	}
	fmt.Fprintf(out, "samsa serves Kafka clients at %s, %s, data %s\n", strings.Join(a.Listen, " and "), nodes, where)
	if len(a.Advertise) > 0 {
		fmt.Fprintf(out, "clients are told to connect to %s\n", strings.Join(a.Advertise, " and "))
	}
	scheme := "http"
	if a.TLS {
		scheme = "https"
		fmt.Fprintln(out, "connections are encrypted by TLS")
	}
	if len(a.SASL) > 0 {
		fmt.Fprintf(out, "clients log in by %s\n", strings.Join(a.SASL, ", "))
	}
	if a.HTTP != "" {
		fmt.Fprintf(out, "console and API at %s://%s\n", scheme, a.HTTP)
	}
	if a.Schemas != "" {
		fmt.Fprintf(out, "schema registry at %s://%s\n", scheme, a.Schemas)
	}
	topics := a.Topics
	if a.More > 0 {
		topics = append(topics, fmt.Sprintf("and %d more", a.More))
	}
	if len(topics) == 0 {
		topics = []string{"none yet"}
	}
	fmt.Fprintf(out, "topics: %s\n", strings.Join(topics, " "))
	fmt.Fprintln(out, "Ctrl-C ends it")
}

// logger logs what an operator should know, a line each.
func (c *Config) logger(w io.Writer) *zap.Logger {
	var encoder zapcore.Encoder
	if c.logJSON {
		config := zap.NewProductionEncoderConfig()
		config.TimeKey, config.EncodeTime, config.CallerKey = "time", zapcore.RFC3339NanoTimeEncoder, zapcore.OmitKey
		encoder = zapcore.NewJSONEncoder(config)
	} else {
		config := zap.NewDevelopmentEncoderConfig()
		config.CallerKey = zapcore.OmitKey
		encoder = zapcore.NewConsoleEncoder(config)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(escape.Lines{W: w})), c.logLevel))
}
