package samsa

import (
	"fmt"
	"log/slog"
	"net"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/option"
	"github.com/samsa-go/samsa/internal/slogzap"
)

// Options says how Open opens a broker. The zero value is right for most.
type Options struct {
	// InMemory keeps everything in memory; the directory given to Open must be empty.
	InMemory bool
	// MustExist has Open fail with ErrNotExist, and create nothing, when dir is missing or empty: a wrong path is
	// an error then, and not a new broker.
	MustExist bool
	// ReadOnly opens what is in dir for reading, and changes nothing there, no modification time either. dir must
	// exist, as with MustExist. It may be on a file system that cannot be written, and its owner may have been killed:
	// what an owner would mend on the disk is mended in memory. Any number may read dir at once, while nobody has it
	// open to write.
	//
	// What would write is ErrReadOnly: to produce, Update, Sweep, to create, alter and delete. So are NewProducer, and
	// consumers with a group, which could not commit. AutoCreateTopics does nothing. Retention stands still: what is
	// due to go can be read. On Windows a file LOCK is there as long as dir is open.
	ReadOnly bool
	// AutoCreateTopics creates a topic, as TopicDefaults says, when records are produced
	// to one or consumed from one that does not exist. Else that is ErrUnknownTopic.
	AutoCreateTopics bool
	// TopicDefaults fills in the zero fields of configs given to Topics().Create.
	TopicDefaults TopicConfig
	// Groups are the limits on consumer groups.
	Groups GroupOptions
	// Transactions are the limits on transactions of Kafka clients.
	Transactions TransactionOptions
	// ProducerIDExpiry is how long a partition remembers an idempotent producer without a name, and so knows what it
	// sends again, after its last batch there (producer.id.expiration.ms). 0 means 24 h. One with a ProducerOptions.ID
	// is remembered for 7 days, and one with an open transaction until that has ended.
	ProducerIDExpiry time.Duration
	// Produce says how Broker.Produce and Tx.Produce work. Producers have options of their own.
	Produce ProduceOptions
	// MinFreeBytes is how many bytes of the disk appends leave to others: while fewer are free they get
	// ErrDiskFull. 0 means 64 MiB, or a sixteenth of a smaller file system. What makes room, as to delete a
	// topic, and offset commits do not ask: the broker has space of its own for them.
	MinFreeBytes int64
	// RebuildIndex has Open make the index anew from the value files, whatever is left of it, when errors
	// say that it is not whole: a file of the directory index is missing or damaged, or both
	// MANIFEST.0 and MANIFEST.1 are. All that is stored is there as it was, then. Open reads all value files for it,
	// once, and the beginning of each batch again. What is damaged of the value files themselves it cannot
	// mend: it fails with ErrCorruptValue and leaves them and the index as they are, as it does when it is
	// interrupted or the disk is full.
	RebuildIndex bool
	// RetentionInterval is how often the broker looks for records that may go; 0 means
	// 5 min. Partitions with a limit in bytes are looked at besides while they are written.
	RetentionInterval time.Duration
	// MaxUpdateRetries is how often Update calls its function again after a conflict; 0 means
	// 10, and -1 never.
	MaxUpdateRetries int
	// Control, if set, serves those who look at the directory from other processes while the broker has it: the command samsa, say.
	// console.Control is such a function. Open makes a unix socket for it, which nobody but the user of the process may
	// connect to (mode 0600), and calls it in a goroutine of its own. The file control in the directory says where the socket is: in
	// the directory, or where its path is too long for a socket in os.TempDir. What an owner that was killed has left of one
	// is removed.
	//
	// It serves until l is closed, which Close does first of all, and returns when nothing of it runs any more: Close
	// waits for that as for other functions of the program's. If it panics the log says so, and the broker goes on without a socket. A broker in memory has no socket, nor has one
	// with ReadOnly: others can open the directory too. When the socket cannot be made, Open is ErrStorage.
	Control func(b *Broker, l net.Listener) error
	// Logger gets what an operator should know: at info what was opened, created, changed and
	// closed, and rebalances; at warn and error damage, what was cut, failures of the store. nil
	// is silent.
	Logger *zap.Logger
	// Slog is for programs that do not use zap, instead of Logger.
	Slog *slog.Logger
	// Hooks observe what is produced, delivered, committed, and asked by Kafka clients, and change records, to encrypt them say: see Hook. They
	// are called in this order, on deliver those that change in the opposite one. Module github.com/samsa-go/samsa/otel has one that makes spans and metrics of OpenTelemetry.
	Hooks []Hook
}

func (o Options) withDefaults() Options {
	o.AutoCreateTopics = o.AutoCreateTopics && !o.ReadOnly
	if o.RetentionInterval == 0 {
		o.RetentionInterval = defaultRetentionInterval
	}
	switch o.MaxUpdateRetries {
	case 0:
		o.MaxUpdateRetries = defaultUpdateRetries
	case -1:
		o.MaxUpdateRetries = 0
	}
	switch {
	case o.Slog != nil:
		o.Logger = zap.New(slogzap.New(o.Slog.Handler()), zap.AddCaller())
	case o.Logger == nil:
		o.Logger = zap.NewNop()
	}
	return o
}

// validate reports all wrong fields at once.
func (o Options) validate(dir string) error {
	var w option.Mistakes
	w.Check(dir != "" || o.InMemory, "dir", `""`, "a directory, or Options.InMemory")
	w.Check(dir == "" || !o.InMemory, "dir", fmt.Sprintf("%q", dir), "no directory with Options.InMemory")
	w.Check(!o.MustExist || !o.InMemory, "Options.MustExist", true, "false, with Options.InMemory")
	w.Check(!o.ReadOnly || !o.InMemory, "Options.ReadOnly", true, "false, with Options.InMemory")
	w.Check(!o.ReadOnly || !o.RebuildIndex, "Options.ReadOnly", true, "false, with Options.RebuildIndex")
	w.Check(o.MinFreeBytes >= 0, "Options.MinFreeBytes", o.MinFreeBytes, "0 or more")
	w.Check(o.RetentionInterval >= 0, "Options.RetentionInterval", o.RetentionInterval, "0 or more")
	w.Check(o.MaxUpdateRetries >= -1, "Options.MaxUpdateRetries", o.MaxUpdateRetries, "-1 or more")
	if err := o.TopicDefaults.Validate(); err != nil {
		w = append(w, fmt.Errorf("%w: Options.TopicDefaults: %s", ErrInvalidOption, err.Error()))
	}
	o.Groups.check(&w)
	o.Transactions.check(&w)
	checkExpiry(&w, "Options.ProducerIDExpiry", o.ProducerIDExpiry)
	w.Check(o.Logger == nil || o.Slog == nil, "Options.Slog", "set", "nil, with Options.Logger")
	for i := range o.Hooks {
		w.Check(o.Hooks[i].Observes(), fmt.Sprintf("Options.Hooks[%d]", i), "without a function", "one with a function")
	}
	engine.ProduceOptions(o.Produce).Check(&w, "Options.Produce")
	return w.Err()
}

const (
	defaultUpdateRetries     = 10
	defaultRetentionInterval = 5 * time.Minute // Kafka's log.retention.check.interval.ms
)
