package batcher

import (
	"cmp"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/samsa-go/samsa/internal/option"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition/choose"
	"github.com/samsa-go/samsa/partition/producers"
)

// ProduceOptions is samsa.ProduceOptions.
type ProduceOptions struct {
	Acks        log.Acks
	Compression log.Compression
	Partitioner choose.Partitioner
}

// over returns o, and what is zero of it from defaults.
func (o ProduceOptions) over(defaults ProduceOptions) ProduceOptions {
	o.Acks = max(o.Acks, defaults.Acks) // AckSynced is the greater
	o.Compression = cmp.Or(o.Compression, defaults.Compression)
	if o.Partitioner == nil {
		o.Partitioner = defaults.Partitioner
	}
	return o
}

// Check notes what is wrong with the options of that name.
func (o ProduceOptions) Check(w *option.Mistakes, where string) {
	w.Check(o.Acks == log.AckStored || o.Acks == log.AckSynced, where+".Acks", o.Acks, "AckStored or AckSynced, as there are offsets to be returned")
	checkBatches(w, where, o.Compression, o.Partitioner)
}

// checkBatches notes what is wrong with how batches are made.
func checkBatches(w *option.Mistakes, where string, c log.Compression, p choose.Partitioner) {
	w.Check(log.KnownCompression(c), where+".Compression", c, "one of the Compression constants")
	w.Check(p == nil || choose.Usable(p), where+".Partitioner", "one that cannot choose", "neither PartitionerFunc(nil) nor nil for a topic")
}

// Options is samsa.ProducerOptions.
type Options struct {
	Acks          log.Acks
	Compression   log.Compression
	Partitioner   choose.Partitioner
	Linger        time.Duration
	BatchBytes    int
	BufferedBytes int
	ClientID      string
	ID            string
	Replay        bool
}

const (
	defaultBatchBytes    = 64 << 10
	defaultBufferedBytes = 32 << 20
	maxBatchBytes        = 16 << 20
	maxLinger            = time.Minute
)

func (o Options) withDefaults() Options {
	if o.Partitioner == nil {
		o.Partitioner = choose.Hash()
	}
	if o.BatchBytes == 0 {
		o.BatchBytes = defaultBatchBytes
	}
	if o.BufferedBytes == 0 {
		o.BufferedBytes = defaultBufferedBytes
	}
	return o
}

// Check notes what is wrong with the options of that name.
func (o Options) Check(w *option.Mistakes, where string) {
	w.Check(o.Acks >= log.AckStored && o.Acks <= log.AckNone, where+".Acks", o.Acks, "AckStored, AckSynced or AckNone")
	checkBatches(w, where, o.Compression, o.Partitioner)
	w.Check(o.Linger >= 0 && o.Linger <= maxLinger, where+".Linger", o.Linger, "0 to 1 minute")
	w.Check(o.BatchBytes >= 0 && o.BatchBytes <= maxBatchBytes, where+".BatchBytes", o.BatchBytes, "0 to 16 MiB")
	w.Check(o.BufferedBytes >= 0, where+".BufferedBytes", o.BufferedBytes, "0 or more")
	w.Check(utf8.ValidString(o.ClientID), where+".ClientID", fmt.Sprintf("%q", o.ClientID), "UTF-8")
	w.Check(len(o.ID) <= producers.MaxName, where+".ID", fmt.Sprintf("%d bytes long", len(o.ID)), "at most 512")
	w.Check(o.ID != "" || !o.Replay, where+".Replay", o.Replay, "false without an ID")
}
