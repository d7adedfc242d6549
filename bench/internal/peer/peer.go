// Package peer gives the logs that are compared one small interface: Samsa, what else a Go
// program can embed, what a developer would write by hand on a store, and brokers that speak
// Kafka's protocol.
package peer

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Log is an open log of Options.Partitions partitions, each numbered from record 0.
type Log interface {
	// Append stores batch at the end of partition, as one unit where the peer has such.
	// When it returns, readers see the records and they are as safe as Options.Synced says.
	// Appends may overlap, those to one partition too. The bytes may be reused when
	// Append returns.
	Append(ctx context.Context, partition int, batch [][]byte) error

	// Sync returns when everything that was appended before the call is fsynced.
	Sync(ctx context.Context) error

	// Read returns a reader of partition that begins at the record with that number.
	Read(ctx context.Context, partition int, from int64) (Reader, error)

	// Close closes the log. All appends have ended, all readers are closed.
	Close() error
}

// Reader reads the records of a partition in their order. One goroutine uses it.
type Reader interface {
	// Next calls visit with the values that come next, and returns how many those were: at
	// least one, for which it waits until ctx ends. A value is valid during the call only.
	Next(ctx context.Context, visit func(value []byte)) (int, error)
	Close() error
}

// Pipeliner is a Log that takes the next batch while it still stores earlier ones.
type Pipeliner interface {
	Log
	// Submit is Append that need not wait: done is called once the batch's fate is known,
	// possibly before Submit returns. Calls of done may overlap. Submit blocks while much
	// is under way. The bytes must stay as they are until done is called. One goroutine
	// submits to a partition.
	Submit(ctx context.Context, partition int, batch [][]byte, done func(error))
	// Flush returns when done was called for everything that was submitted.
	Flush(ctx context.Context) error
}

// Grouper is a Log whose readers can share progress under a name.
type Grouper interface {
	Log
	// Group returns a reader of partition 0 that begins where the group has committed, or
	// at record 0.
	Group(ctx context.Context, name string) (GroupReader, error)
}

// GroupReader is a Reader with a memory.
type GroupReader interface {
	Reader
	// Commit stores, as safely as Options.Synced says, that what Next returned is done.
	Commit(ctx context.Context) error
}

// Trimmer is a Log whose oldest records are removed by whoever uses it.
type Trimmer interface {
	Log
	// Trim removes the records of partition before the one with that number, or as many
	// of them as can go, and lets the peer give space back.
	Trim(ctx context.Context, partition int, before int64) error
}

// Transactor is a Log that appends in transactions of its producer, if it was opened with Options.Transactions: all that
// is submitted between Begin and Commit is committed at once.
type Transactor interface {
	Pipeliner
	// Begin begins a transaction. None is open.
	Begin() error
	// Commit waits for what was submitted, and commits it, as safely as Options.Synced says.
	Commit(ctx context.Context) error
}

// Queuer is a Log whose records workers can share one by one, if it was opened with Options.Queue.
type Queuer interface {
	Log
	// Queue returns a queue of the records of partition 0 of which none was acknowledged yet.
	Queue(ctx context.Context) (Queue, error)
}

// Queue hands out records, each to one worker at a time. Any number of goroutines may use it.
type Queue interface {
	// Receive returns up to max records that no other worker has, at least one, for which it waits until ctx
	// ends.
	Receive(ctx context.Context, max int) (Received, error)
	Close() error
}

// Received is what a worker has.
type Received interface {
	// Values are those of the records. They are valid until Ack.
	Values() [][]byte
	// Ack acknowledges the records, each of which could as well be given back on its own. When it returns, it is
	// as safe as Options.Synced says that no worker gets them again.
	Ack(ctx context.Context) error
}

// Options says how a log is opened. The same values have the same meaning for all peers.
type Options struct {
	Partitions int
	// Synced makes records survive power loss once acknowledged. Else they are in the
	// hands of the operating system, and survive the death of the process.
	Synced bool
	// Codec is none, gzip, snappy, lz4 or zstd; a peer without it compresses as Peer.Codec says.
	Codec string
	// BatchBytes is the size of the largest batch that will be appended.
	BatchBytes int
	// Writers is how many goroutines will append at the same time.
	Writers int
	// Queue is for workers: the log is a Queuer, and nobody reads it otherwise.
	Queue bool
	// Transactions is for a log that is a Transactor: nothing is appended outside of a transaction.
	Transactions bool
	// KeepBytes is how much of a partition a peer with Peer.Retains keeps; 0 is everything.
	KeepBytes int64
}

// Peer is a kind of log.
type Peer struct {
	Name  string // on the command line
	Title string // in tables
	// About tells in a sentence how records are stored, and what stored and synced mean.
	About string
	// Module is the path of the Go module whose version counts; "" for none.
	Module string
	// Version is that of what is no Go module; "" otherwise.
	Version string
	// Volatile peers keep their records in memory only.
	Volatile bool
	// NoSync says why the peer cannot acknowledge what is fsynced; "" when it can.
	NoSync string
	// Retains tells that the peer obeys Options.KeepBytes by itself.
	Retains bool
	// Outside tells that the log lives in another process, whose memory and disk are not seen.
	Outside bool
	// QueueOnly peers are Queuers that nobody can read otherwise.
	QueueOnly bool
	// Codecs that the peer knows beside none, under the names of Options.Codec.
	Codecs []string
	// Open opens the log in dir, which exists, or creates it there.
	Open func(ctx context.Context, dir string, o Options) (Log, error)
}

// Codec returns how a peer that was asked for codec compresses.
func (p *Peer) Codec(codec string) string {
	if slices.Contains(p.Codecs, codec) {
		return codec
	}
	return "none"
}

// Settings are for peers that need more than a directory.
type Settings struct {
	Kafka        string // host:port of a broker; "" for none
	KafkaVersion string // of a broker that was started for the run; "" for one that was there
}

// All returns the peers in the order of reports.
func All(s Settings) []*Peer {
	peers := []*Peer{
		samsaDisk(), samsaMemory(), plainFile(), tidwallWAL(), natsJetStream(), badgerRows(), bboltRows(), sqliteRows(), goqiteQueue(),
	}
	return append(peers, kafkaPeers(s)...)
}

// The two peers that all others are compared with.
const (
	Samsa = "samsa"
	File  = "file"
)

// Ours reports whether the peer with that name is Samsa, in one of its forms.
func Ours(name string) bool { return strings.HasPrefix(name, Samsa) }

// Select returns the peers of that names, in the order of All; all of them for none.
func Select(s Settings, names []string) ([]*Peer, error) {
	all := All(s)
	if len(names) == 0 {
		return all, nil
	}
	known := make([]string, len(all))
	for i, p := range all {
		known[i] = p.Name
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("no peer %q; there are %s", name, strings.Join(known, ", "))
		}
	}
	return slices.DeleteFunc(all, func(p *Peer) bool { return !slices.Contains(names, p.Name) }), nil
}
