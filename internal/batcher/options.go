package batcher

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/samsa-go/samsa/internal/option"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition/choose"
	"github.com/samsa-go/samsa/partition/producers"
)

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
	w.Check(o.Compression.Valid(), where+".Compression", o.Compression, "one of the Compression constants")
	w.Check(o.Partitioner == nil || choose.Usable(o.Partitioner), where+".Partitioner", "PartitionerFunc(nil)", "a function")
	w.Check(o.Linger >= 0 && o.Linger <= maxLinger, where+".Linger", o.Linger, "0 to 1 minute")
	w.Check(o.BatchBytes >= 0 && o.BatchBytes <= maxBatchBytes, where+".BatchBytes", o.BatchBytes, "0 to 16 MiB")
	w.Check(o.BufferedBytes >= 0, where+".BufferedBytes", o.BufferedBytes, "0 or more")
	w.Check(utf8.ValidString(o.ClientID), where+".ClientID", fmt.Sprintf("%q", o.ClientID), "UTF-8")
	w.Check(len(o.ID) <= producers.MaxName, where+".ID", fmt.Sprintf("%d bytes long", len(o.ID)), "at most 512")
	w.Check(o.ID != "" || !o.Replay, where+".Replay", o.Replay, "false without an ID")
}
