package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/internal/api"
)

// What is sent at once, at most.
const (
	batchRecords = 1000
	batchBytes   = 1 << 20
)

// maxLine bounds a line.
const maxLine = 64 << 20

// producing is a produce that is under way.
type producing struct {
	e       *env
	topic   string // "" when each line says it
	key     string
	headers []string
	part    int32

	ownKey     api.Bytes // of key
	ownHeaders []api.Header
	any        bool // the partitioner chooses, whatever a line says
	lines      lineFormat
	request    api.ProduceRequest // without records
	file       string

	batch []api.NewRecord
	to    string // the topic of the batch
	bytes int
	first int // line of the batch
	sent  int64
	known map[string]int // numbers of partitions of topics that are there
	turns map[string]int // of partitions, by topic: the partitioner roundrobin begins again with each request

	registry registryFlag
	encoding encoding
}

func (e *env) produce() *cobra.Command {
	p := &producing{e: e, known: make(map[string]int), turns: make(map[string]int)}
	cmd := &cobra.Command{
		Use:     "produce [TOPIC]",
		GroupID: groupRecords,
		Short:   "Store lines as records of a topic",
		Long: `produce reads lines from stdin, or from --file, and stores each as a record. A line is the value, or a key and a value with --key-separator; with
--json it is an object as samsa consume --json prints it (samsa help formats), which may say more of the record, its topic too.

It sends what it has as soon as nothing more is there to be read, and ends at the end of its input. When a line is wrong, what was read before it
is stored, and the error says which line it is. With --json it prints where each record was stored.

With --registry and --subject or --schema-id, values are JSON that is stored in Avro, Protobuf or JSON Schema (samsa help schemas).`,
		Example: `  samsa -b localhost:9092 produce web_log < lines.txt
  echo 'gregor:{"status":500}' | samsa -d ./data produce web_log --key-separator :
  samsa -b localhost:9092 consume web_log --until-now --json | samsa -d ./data produce orders --json --any-partition
  samsa -d ./data produce web_log --file lines.txt --header source=file --compression zstd
  echo '{"id":7}' | samsa -d ./data produce orders --registry http://localhost:8081 --subject orders-value`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: e.completeTopics(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				p.topic = args[0]
			} else if !e.json {
				return usageError{errors.New("to which topic?")}
			}
			if err := p.check(cmd.Flags().Changed); err != nil {
				return usageError{err}
			}
			registry, err := p.registry.open(e, cmd.Flags().Changed("registry"))
			if err != nil {
				return err
			}
			if registry != nil {
				defer registry.Close()
			}
			if err := p.encoding.check(cmd.Flags().Changed, registry, e.json); err != nil {
				return err
			}
			return e.with(cmd.Context(), true, func(ctx context.Context, b backend.Backend) error {
				if err := p.encoding.open(ctx, registry); err != nil {
					return err
				}
				return p.run(ctx, b)
			})
		},
	}
	fs := cmd.Flags()
	fs.StringVarP(&p.key, "key", "k", "", "give records without a key this `key`; base64:... for bytes")
	fs.StringArrayVarP(&p.headers, "header", "H", nil, "give records this header too, `name=value`; repeatable")
	fs.Int32VarP(&p.part, "partition", "p", -1, "store all records in the partition of this `number`")
	fs.BoolVar(&p.any, "any-partition", false, "with --json, do not look at the partition of a line: let the partitioner choose")
	fs.StringVar(&p.request.Acks, "acks", "", "wait until records are `stored` or synced; of a cluster all or leader")
	fs.StringVar(&p.request.Compression, "compression", "none", "compress with this `codec`: none, gzip, snappy, lz4 or zstd")
	fs.StringVar(&p.request.Partitioner, "partitioner", "", "choose partitions by this `name`: hash, murmur2, roundrobin or random")
	fs.StringVar(&p.file, "file", "", "read this `file` and not stdin")
	p.lines.define(fs)
	p.registry.define(cmd, "encode values")
	p.encoding.define(cmd)
	return cmd
}

// check reads the flags that say what records get.
func (p *producing) check(given func(string) bool) (err error) {
	if given("partition") && p.part < 0 {
		return fmt.Errorf("--partition is %d, want a number from 0 on", p.part)
	}
	if err := p.lines.check(p.e.json); err != nil {
		return err
	}
	if p.any && p.part >= 0 {
		return errors.New("--any-partition and --partition exclude each other")
	}
	if p.ownKey, err = parseBytes(p.key); err != nil {
		return fmt.Errorf("--key: %w", err)
	}
	for _, h := range p.headers {
		name, value, ok := strings.Cut(h, "=")
		if !ok {
			return fmt.Errorf("--header %s: want name=value", h)
		}
		p.ownHeaders = append(p.ownHeaders, api.Header{Key: api.Text(name), Value: api.Bytes(value)})
	}
	return nil
}

// run produces the lines of the input.
func (p *producing) run(ctx context.Context, b backend.Backend) (err error) {
	in := p.e.Stdin
	if p.file != "" && p.file != "-" {
		f, err := openFile(ctx, p.file)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	read := p.e.progress(p.e.doing, sizeOf(in), true)
	defer read.end()
	if onTerminal(in) { // who types knows
		read.end()
	}
	r := bufio.NewReaderSize(&counter{r: newInput(ctx, in), p: read}, batchBytes)
	for n := 1; ; n++ {
		line, err := readLine(r)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = p.add(ctx, b, line, n)
		}
		if ctx.Err() != nil && len(p.batch) == 0 {
			return fmt.Errorf("line %d: %w, before it %s stored", n, ctx.Err(), plural(p.sent, "record"))
		}
		if err != nil {
			return errors.Join(p.flush(ctx, b), fmt.Errorf("line %d: %w", n, err))
		}
		if !lineBuffered(r) || len(p.batch) == batchRecords || p.bytes >= batchBytes {
			if err := p.flush(ctx, b); err != nil {
				return err
			}
		}
	}
	if err := p.flush(ctx, b); err != nil || p.e.json {
		return err
	}
	_, err = fmt.Fprintf(p.e.Stdout, "stored %s\n", plural(p.sent, "record"))
	return err
}

// openFile opens a file for reading. To open a pipe waits for who writes to it: the end of ctx ends that.
func openFile(ctx context.Context, name string) (*os.File, error) {
	type opened struct {
		f   *os.File
		err error
	}
	done := make(chan opened, 1)
	go func() { // which nobody can wait for: see newInput
		f, err := os.Open(name)
		done <- opened{f, err}
	}()
	select {
	case o := <-done:
		return o.f, o.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", name, ctx.Err())
	}
}

// sizeOf returns how much there is to be read, 0 if that is not known.
func sizeOf(in io.Reader) int64 {
	if f, ok := in.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			return info.Size()
		}
	}
	return 0
}

// lineBuffered reports whether a line is there to be read without waiting for it. A part of one is none.
func lineBuffered(r *bufio.Reader) bool {
	there, _ := r.Peek(r.Buffered())
	return bytes.IndexByte(there, '\n') >= 0
}

// readLine returns the next line without its end. The last one need not have an end.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull) && len(line) < maxLine:
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("it is longer than %d bytes", maxLine)
		case errors.Is(err, io.EOF) && len(line) > 0, err == nil:
			return bytes.TrimSuffix(line, []byte("\n")), nil
		default:
			return nil, err
		}
	}
}

// add adds the record of a line to the batch. Records of another topic send what is there first.
func (p *producing) add(ctx context.Context, b backend.Backend, line []byte, n int) error {
	rec, topic, err := p.record(ctx, line)
	if err != nil {
		return err
	}
	if topic != p.to && len(p.batch) > 0 {
		if err := p.flush(ctx, b); err != nil {
			return err
		}
	}
	if p.to = topic; len(p.batch) == 0 {
		p.first = n
	}
	p.batch = append(p.batch, rec)
	p.bytes += len(line)
	return nil
}

// record returns the record of a line, and its topic.
func (p *producing) record(ctx context.Context, line []byte) (rec api.NewRecord, topic string, err error) {
	topic = p.topic
	var key, value int // schemas
	if p.e.json {
		l, err := parseJSON(line)
		if err != nil {
			return rec, "", err
		}
		if topic == "" {
			topic = l.Topic
		}
		if topic == "" {
			return rec, "", errors.New("it has no topic, and the command line has none")
		}
		rec = api.NewRecord{Partition: l.Partition, Timestamp: l.Timestamp, Key: l.Key, Value: l.Value, Headers: l.Headers}
		if p.any {
			rec.Partition = nil
		}
		key, value = l.KeySchema, l.ValueSchema
	} else if rec, err = p.lines.parse(line); err != nil {
		return rec, "", err
	}
	if rec.Key == nil {
		rec.Key = p.ownKey
	}
	if err := p.encoding.record(ctx, &rec, key, value); err != nil {
		return rec, "", err
	}
	if p.part >= 0 {
		rec.Partition = &p.part
	}
	rec.Headers = append(rec.Headers, p.ownHeaders...)
	return rec, topic, nil
}

const roundRobin = "roundrobin"

// inTurn gives records without a partition the next ones.
func (p *producing) inTurn(records []api.NewRecord) {
	for i := range records {
		if records[i].Partition == nil && p.known[p.to] > 0 {
			next := int32(p.turns[p.to] % p.known[p.to])
			records[i].Partition = &next
			p.turns[p.to]++
		}
	}
}

// flush sends the batch.
func (p *producing) flush(ctx context.Context, b backend.Backend) error {
	if len(p.batch) == 0 {
		return nil
	}
	r := p.request
	r.Records = p.batch
	p.batch, p.bytes = nil, 0
	if p.known[p.to] == 0 { // a broker may create topics that it is asked for: not for a name that was mistyped
		parts, err := b.Offsets(ctx, p.to, api.Latest())
		if err != nil {
			return err
		}
		p.known[p.to] = len(parts)
	}
	if r.Partitioner == roundRobin {
		p.inTurn(r.Records)
	}
	return p.send(ctx, b, r, p.first)
}

// send sends records, of lines from one on. A broker takes all of them or none: where one is wrong, those before it are stored nonetheless.
func (p *producing) send(ctx context.Context, b backend.Backend, r api.ProduceRequest, first int) error {
	places, err := b.Produce(ctx, p.to, r)
	p.sent += int64(len(places))
	if p.e.json {
		for _, place := range places {
			if err := p.e.printJSON(place); err != nil {
				return err
			}
		}
	}
	n := len(r.Records)
	switch {
	case err == nil:
		return nil
	case n == 1:
		return fmt.Errorf("line %d: %w", first, err)
	case places != nil || !ofOne(err): // a cluster may have stored some
		return fmt.Errorf("lines %d to %d: %w", first+len(places), first+n-1, err)
	}
	half, rest := r, r
	half.Records, rest.Records = r.Records[:n/2], r.Records[n/2:]
	if err := p.send(ctx, b, half, first); err != nil {
		return err
	}
	return p.send(ctx, b, rest, first+n/2)
}

// ofOne reports whether an error may be that of one record among others.
func ofOne(err error) bool {
	for _, one := range []error{samsa.ErrInvalidRecord, samsa.ErrRecordTooLarge, samsa.ErrInvalidTimestamp, samsa.ErrUnknownPartition, samsa.ErrInvalid} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}
