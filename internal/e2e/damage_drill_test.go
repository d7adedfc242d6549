package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/topic"
)

// childBodies gets the child of this test.
var _ = func() bool { childBodies["read"] = readDirectories; return true }()

// dirContent is all that a broker finds in a directory.
type dirContent struct {
	Refused   string // by Open: the name of the sentinel, and the error
	Cut       bool   // the log says that an unfinished end was cut
	Told      []string
	Unnamed   []string         // errors without a public sentinel
	Start     map[string]int64 // by partition
	End       map[string]int64
	Records   map[string]map[int64]uint64 // hashes by partition and offset
	Latest    map[string]map[string]int64 // offsets by partition and key
	Keys      map[string]string
	Committed map[string]int64 // by group and partition
}

// damageSentinels are those that what is damaged may have.
var damageSentinels = map[string]error{
	"ErrCorruptValue": samsa.ErrCorruptValue, "ErrCorruptRecord": samsa.ErrCorruptRecord, "ErrNotDirectory": samsa.ErrNotDirectory,
	"ErrNewerFormat": samsa.ErrNewerFormat, "ErrOldFormat": samsa.ErrOldFormat,
}

// tell enters an error.
func (d *dirContent) tell(what string, err error) {
	text := fmt.Sprintf("%s: %v", what, err)
	if name := damageSentinel(err); name != "" {
		if text = name + ": " + text; !slices.Contains(d.Told, text) {
			d.Told = append(d.Told, text)
		}
	} else {
		d.Unnamed = append(d.Unnamed, text)
	}
}

func damageSentinel(err error) string {
	for name, sentinel := range damageSentinels {
		if errors.Is(err, sentinel) {
			return name
		}
	}
	return ""
}

// readDirectories is a child that reads the names of directories, and writes what is in each.
func readDirectories([]string) error {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		line, err := json.Marshal(contentOfDir(in.Text()))
		if err != nil {
			return err
		}
		if _, err := fmt.Printf("%s\n", line); err != nil {
			return err
		}
	}
	return in.Err()
}

// contentOfDir reads everything.
func contentOfDir(dir string) *dirContent {
	d := &dirContent{
		Start: map[string]int64{}, End: map[string]int64{}, Records: map[string]map[int64]uint64{}, Latest: map[string]map[string]int64{},
		Keys: map[string]string{}, Committed: map[string]int64{},
	}
	core, logs := observer.New(zap.WarnLevel)
	opts := drillOptions
	opts.Logger = zap.New(core)
	b, err := samsa.Open(dir, opts)
	if err != nil {
		d.tell("open", err)
		d.Refused = err.Error()
		return d
	}
	d.Cut = logs.FilterMessageSnippet("cut what").Len() > 0
	ctx := context.Background()
	names, err := b.Topics().List(ctx)
	if err != nil {
		d.tell("topics", err)
	}
	for _, name := range names {
		d.readTopic(ctx, b, name)
	}
	d.readKeys(ctx, b)
	groups, err := b.Groups().List(ctx)
	if err != nil {
		d.tell("groups", err)
	}
	for _, g := range groups {
		offsets, err := b.Groups().Committed(ctx, g)
		if err != nil {
			d.tell("group "+g, err)
		}
		for tp, o := range offsets {
			d.Committed[g+" "+tp.String()] = o.Offset
		}
	}
	if err := b.Close(); err != nil {
		d.tell("close", err)
	}
	return d
}

func (d *dirContent) readKeys(ctx context.Context, b *samsa.Broker) {
	err := b.View(ctx, func(tx *samsa.ReadTx) error {
		for kv, err := range tx.Scan(nil) {
			if err != nil {
				d.tell("scan", err)
				break
			}
			d.Keys[string(kv.Key)] = string(kv.Value)
		}
		for i := -1; i < 8; i++ {
			key := string(planCounter)
			if i >= 0 {
				key = fmt.Sprintf("key/%d", i)
			}
			value, err := tx.Get([]byte(key))
			was, known := d.Keys[key]
			switch {
			case err != nil && !errors.Is(err, samsa.ErrKeyNotFound):
				d.tell("get "+key, err)
			case err == nil && known && was != string(value), err != nil && known:
				d.Unnamed = append(d.Unnamed, fmt.Sprintf("get and scan differ in %s, %v", key, err))
			case err == nil:
				d.Keys[key] = string(value)
			}
		}
		return nil
	})
	if err != nil {
		d.tell("view", err)
	}
}

func (d *dirContent) readTopic(ctx context.Context, b *samsa.Broker, name string) {
	first, err := b.ListOffsets(ctx, name, samsa.Earliest())
	if err != nil {
		d.tell(name, err)
		return
	}
	last, err := b.ListOffsets(ctx, name, samsa.Latest())
	if err != nil {
		d.tell(name, err)
		return
	}
	for i, o := range first {
		d.readPartition(ctx, b, samsa.TopicPartition{Topic: name, Partition: o.Partition}, o.Offset, last[i].Offset)
	}
}

func (d *dirContent) readPartition(ctx context.Context, b *samsa.Broker, tp samsa.TopicPartition, from, to int64) {
	name := tp.String()
	d.Start[name], d.End[name] = from, to
	d.Records[name], d.Latest[name] = map[int64]uint64{}, map[string]int64{}
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Partitions: map[string][]int32{tp.Topic: {tp.Partition}}})
	if err == nil {
		defer func() { _ = c.Close() }()
		err = c.Seek(ctx, tp, from)
	}
	for wasted := 0; err == nil && wasted < 20; {
		at, posErr := c.Position(tp)
		if posErr != nil {
			d.tell(name, posErr)
		}
		if at >= to {
			return
		}
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		records, pollErr := c.Poll(ctx)
		late := ctx.Err() != nil
		cancel()
		if late {
			d.Unnamed = append(d.Unnamed, fmt.Sprintf("%s: nothing comes at offset %d of %d", name, at, to))
			return
		}
		if pollErr != nil {
			d.tell(name, pollErr)
		}
		if now, _ := c.Position(tp); now == at {
			wasted++ // it is told again and again
		}
		for _, r := range records {
			d.Records[name][r.Offset] = entryHash(fmt.Appendf(nil, "%q %v", r.Key, r.Headers), r.Value)
			d.Latest[name][string(r.Key)] = r.Offset
		}
	}
	if err != nil {
		d.tell(name, err)
	}
}

// dirReader is a child that reads directories.
type dirReader struct {
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	in     io.WriteCloser
	out    *bufio.Reader
}

func startReader(t *testing.T) *dirReader {
	t.Helper()
	cmd, in, out, stderr := startChild(t, "read")
	return &dirReader{cmd: cmd, stderr: stderr, in: in, out: out}
}

// read returns what is in dir; an error is the death of the child, or its end after a hang.
func (r *dirReader) read(dir string) (*dirContent, error) {
	hang := time.AfterFunc(patience, func() { _ = r.cmd.Process.Kill() })
	defer hang.Stop()
	if _, err := fmt.Fprintln(r.in, dir); err != nil {
		return nil, err
	}
	line, err := r.out.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("%w: %.3000s", errors.Join(err, r.cmd.Wait()), r.stderr)
	}
	var d dirContent
	return &d, json.Unmarshal(line, &d)
}

func (r *dirReader) close() { _ = errors.Join(r.in.Close(), r.cmd.Wait()) }

// victim is a directory that is damaged, in copies.
type victim struct {
	name  string
	dir   string
	seed  uint64
	right *dirContent // what is in it
	kept  *dirContent // what of that cannot have been cut: nil when nothing can be cut
	plans int         // so many were synced
	files map[string][]byte
	last  string // the value file that was begun last
}

// newVictim returns a directory of a broker that was used in all ways, and was closed or killed.
func newVictim(t *testing.T, r *dirReader, clean bool) *victim {
	t.Helper()
	v := &victim{name: "killed", dir: t.TempDir(), seed: rand.Uint64(), files: map[string][]byte{}}
	told := killWhen(t, "drill", after(1500), v.dir, fmt.Sprint(v.seed), "a")
	if clean {
		v.name = "clean"
		b, err := openDrill(v.dir)
		if err != nil {
			t.Fatal(err)
		}
		mustClose(t, b)
	}
	copied := t.TempDir()
	copyDir(t, copied, v.dir)
	var err error
	if v.right, err = r.read(copied); err != nil || len(v.right.Told)+len(v.right.Unnamed) > 0 {
		t.Fatalf("%s: %v, %v", v.name, err, v.right)
	}
	v.right.Start = unsweptStarts(t, v.dir)
	t.Logf("%s: %d lines told, cut %t", v.name, len(told), v.right.Cut)
	if !clean {
		v.keep(t, told)
	}
	err = filepath.WalkDir(v.dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(v.dir, path)
		if err == nil {
			v.files[filepath.ToSlash(name)], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range v.files {
		if filepath.Ext(name) == ".log" && rankOf(data) > rankOf(v.files[v.last]) {
			v.last = name
		}
	}
	return v
}

// rankOf returns the rank that a value file's header names; 0 when it has not begun. See docs/format.md.
func rankOf(data []byte) uint64 {
	if len(data) < 16 {
		return 0
	}
	return binary.BigEndian.Uint64(data[8:])
}

// unsweptStarts returns where the partitions of dir begin before a broker sweeps it, which it does as it opens: how much
// of that is over when somebody reads differs from one time to the next.
func unsweptStarts(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	copied := t.TempDir()
	copyDir(t, copied, dir)
	st, err := store.Open(copied, smallStore.Options(store.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	committer := writer.NewCommitter(st, zap.NewNop())
	catalogue, _, err := topic.Open(st, committer, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	starts := map[string]int64{}
	for _, tp := range catalogue.List() {
		for i, p := range tp.Partitions() {
			starts[samsa.TopicPartition{Topic: tp.Name(), Partition: int32(i)}.String()] = p.LogStart()
		}
	}
	committer.Close()
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	return starts
}

// keep notes what was synced.
func (v *victim) keep(t *testing.T, told []string) {
	t.Helper()
	v.kept = &dirContent{End: map[string]int64{}, Committed: map[string]int64{}}
	_, kept := promised(t, told, true)
	for _, l := range kept {
		switch l.what {
		case "rec", "syn":
			v.kept.End[l.String()] = max(v.kept.End[l.String()], l.offset+1)
		case "ack":
			name := drillGroup + " " + l.String()
			v.kept.Committed[name] = max(v.kept.Committed[name], l.offset)
		case "plan":
			if n, err := strconv.Atoi(l.word); err == nil {
				v.plans = max(v.plans, n)
			}
		}
	}
}

// hurt is something that is done to a file.
type hurt struct {
	what string
	file string
	at   int
	bit  int
}

func (h hurt) String() string {
	return fmt.Sprintf("%s of %s at %d, bit %d", h.what, h.file, h.at, h.bit)
}

// draw chooses what is done to a file.
func (v *victim) draw(rng *rand.Rand, file string) hurt {
	data := v.files[file]
	used := len(bytes.TrimRight(data, "\x00"))
	h := hurt{what: []string{"flip", "flip", "flip", "zero", "zero", "truncate", "missing"}[rng.IntN(7)], file: file, bit: rng.IntN(8)}
	if used > 0 && rng.IntN(8) > 0 {
		h.at = rng.IntN(used) // else in what is only allocated
	} else if len(data) > 0 {
		h.at = rng.IntN(len(data))
	}
	if rng.IntN(8) == 0 {
		h.at = min(h.at, rng.IntN(128)) // headers are short
	}
	return h
}

const damagedPage = 4096

// apply does it in dir, and reports whether nothing is left of the file.
func (h hurt) apply(t *testing.T, dir string) (gone bool) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(h.file))
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	switch h.what {
	case "missing":
		data, err = nil, os.Remove(path)
	case "truncate":
		data, err = data[:h.at], os.Truncate(path, int64(h.at))
	case "zero":
		at := h.at / damagedPage * damagedPage
		clear(data[at:min(len(data), at+damagedPage)])
		err = os.WriteFile(path, data, 0o644)
	case "flip":
		if len(data) > 0 {
			data[h.at] ^= 1 << h.bit
			err = os.WriteFile(path, data, 0o644)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return len(bytes.TrimRight(data, "\x00")) == 0
}

// spare takes out of what must be kept of v what nothing could tell of: what was synced last, where h damaged the file that
// was begun last and no later frame is left. Damage costs no more there than what lies behind it.
func (v *victim) spare(t *testing.T, r *dirReader, h hurt) (*victim, error) {
	dir := filepath.Join(t.TempDir(), "shortened")
	copyDir(t, dir, v.dir)
	if h.what == "zero" {
		h.at = h.at / damagedPage * damagedPage
	}
	h.what = "truncate"
	h.apply(t, dir)
	d, err := r.read(dir)
	if err != nil || d.Refused != "" {
		return v, err
	}
	short := *v
	short.kept = &dirContent{End: map[string]int64{}, Committed: map[string]int64{}}
	for name, end := range v.kept.End {
		short.kept.End[name] = min(end, d.End[name])
	}
	for name, offset := range v.kept.Committed {
		short.kept.Committed[name] = min(offset, d.Committed[name])
	}
	n, _ := strconv.Atoi(d.Keys[string(planCounter)])
	short.plans = min(v.plans, n)
	return &short, nil
}

// judge says how the damage was met, and what is wrong with that.
func (v *victim) judge(d *dirContent) (outcome string, wrong []string) {
	for _, text := range d.Unnamed {
		wrong = append(wrong, "without a sentinel: "+text)
	}
	if d.Refused != "" {
		return "refused", wrong
	}
	told := func(words ...string) bool {
		return slices.ContainsFunc(d.Told, func(text string) bool {
			return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) })
		})
	}
	cut := d.Cut && v.kept != nil
	for name, end := range v.right.End {
		topic := topicOf(name)
		got, there := d.End[name]
		switch {
		case !there && cut && v.kept.End[name] == 0: // its topic may be younger than what was synced
		case !there && !told(": "+topic, "topics"):
			wrong = append(wrong, name+" is missing")
		case !there:
		case got > end || !cut && got < end || cut && got < v.kept.End[name]:
			wrong = append(wrong, fmt.Sprintf("%s ends at %d, it ended at %d", name, got, end))
		default:
			wrong = append(wrong, v.compare(name, topic, d, told(name))...)
		}
	}
	for name := range d.End {
		if _, there := v.right.End[name]; !there && (!cut || !strings.HasPrefix(name, "churn")) {
			wrong = append(wrong, name+" is there")
		}
	}
	if cut {
		wrong = append(wrong, v.judgeCut(d, told)...)
	} else {
		wrong = append(wrong, differences("key", d.Keys, v.right.Keys, func(string) bool { return told("scan", "view", "get ") })...)
		wrong = append(wrong, differences("offset", d.Committed, v.right.Committed, func(place string) bool {
			_, tp, _ := strings.Cut(place, " ") // of a topic that is damaged none is shown
			return told("group", ": "+topicOf(tp)+":")
		})...)
	}
	switch {
	case len(d.Told) > 0:
		return "told", wrong
	case cut && !v.right.Cut: // the kill has not torn it already
		return "cut", wrong
	}
	return "right", wrong
}

// topicOf returns the topic of "topic/partition".
func topicOf(partition string) string { return partition[:strings.LastIndexByte(partition, '/')] }

// differences compares what is stored under keys; what is told may be missing.
func differences[V comparable](what string, got, want map[string]V, told func(key string) bool) (wrong []string) {
	for key, value := range got {
		if was, ok := want[key]; !ok || was != value {
			wrong = append(wrong, fmt.Sprintf("%s %s is %.40v, it was %.40v", what, key, value, was))
		}
	}
	for key := range want {
		if _, ok := got[key]; !ok && !told(key) {
			wrong = append(wrong, fmt.Sprintf("%s %s is missing", what, key))
		}
	}
	return wrong
}

// compare compares a partition.
func (v *victim) compare(name, topic string, d *dirContent, told bool) (wrong []string) {
	for offset, hash := range v.right.Records[name] {
		if offset < d.Start[name] || offset >= d.End[name] {
			continue
		}
		got, there := d.Records[name][offset]
		switch {
		case there && got != hash:
			wrong = append(wrong, fmt.Sprintf("%s: offset %d has another record", name, offset))
		case !there && !told && topic != drillLatest:
			wrong = append(wrong, fmt.Sprintf("%s: offset %d is missing", name, offset))
		}
	}
	cut := d.Cut && v.kept != nil
	if d.Start[name] > v.right.Start[name] && topic != drillSize && topic != drillQueue || !cut && d.Start[name] < v.right.Start[name] {
		wrong = append(wrong, fmt.Sprintf("%s begins at %d, it began at %d", name, d.Start[name], v.right.Start[name]))
	}
	for key, offset := range v.right.Latest[name] {
		if d.Latest[name][key] != offset && !told && topic == drillLatest && !cut {
			wrong = append(wrong, fmt.Sprintf("%s: key %s is last at %d, it was at %d", name, key, d.Latest[name][key], offset))
		}
	}
	return wrong
}

// judgeCut compares what is left after the end was cut: a state that there was, with all that was synced.
func (v *victim) judgeCut(d *dirContent, told func(...string) bool) (wrong []string) {
	n, _ := strconv.Atoi(d.Keys[string(planCounter)])
	if told("scan", "view", "get ", "group", planTopic) {
		return nil
	}
	if n < v.plans {
		wrong = append(wrong, fmt.Sprintf("%d transactions are there, %d were synced", n, v.plans))
	}
	want := plansUpTo(v.seed, n)
	wrong = append(wrong, differences("key", d.Keys, want.keys, func(string) bool { return false })...)
	for p, records := range want.records {
		if name := (samsa.TopicPartition{Topic: planTopic, Partition: int32(p)}).String(); d.End[name] != int64(len(records)) {
			wrong = append(wrong, fmt.Sprintf("%s ends at %d after %d transactions, want %d", name, d.End[name], n, len(records)))
		}
	}
	if got := d.Committed[planGroup+" "+planInput.String()]; got != want.commit {
		wrong = append(wrong, fmt.Sprintf("offset %d is committed after %d transactions, want %d", got, n, want.commit))
	}
	for name, offset := range v.kept.Committed {
		if d.Committed[name] < offset {
			wrong = append(wrong, fmt.Sprintf("offset %d of %s is committed, %d was synced", d.Committed[name], name, offset))
		}
	}
	return wrong
}

// damageTable counts how damage was met, by kind of victim and file.
type damageTable map[string]map[string]int

func (o damageTable) add(kind, outcome string) {
	if o[kind] == nil {
		o[kind] = map[string]int{}
	}
	o[kind][outcome]++
}

// check wants places outcomes, and of each kind of file those that it can have.
func (o damageTable) check(t *testing.T, places int) {
	t.Helper()
	all := 0
	for _, kind := range slices.Sorted(maps.Keys(o)) {
		t.Logf("%-16s %v", kind, o[kind])
		n := 0
		for outcome, count := range o[kind] {
			n += count
			if !slices.Contains([]string{"refused", "told", "right", "cut"}, outcome) {
				t.Errorf("%s: %d times the outcome is %s", kind, count, outcome)
			}
		}
		all += n
		_, class, _ := strings.Cut(kind, " ")
		spared := class == "MANIFEST" || class == ".spare" // there is another, or nothing in it
		met := o[kind]["refused"] + o[kind]["told"] + o[kind]["cut"]
		switch {
		case class == "FORMAT" && o[kind]["refused"] != n,
			spared && o[kind]["right"] != n,
			n > 20 && !spared && met < n/8:
			t.Errorf("%s: of %d places %v", kind, n, o[kind])
		}
	}
	if all != places {
		t.Errorf("%d outcomes of %d places", all, places)
	}
}

// classes returns the files of v by what they are.
func (v *victim) classes() map[string][]string {
	classes := map[string][]string{}
	for _, file := range slices.Sorted(maps.Keys(v.files)) {
		class := filepath.Ext(file)
		if !strings.Contains(file, "/") {
			class, _, _ = strings.Cut(file, ".")
		}
		classes[class] = append(classes[class], file)
	}
	return classes
}

// place draws the i-th of many places, and what is done there. Half of them are in the value files, and none of the other
// classes is left out.
func (v *victim) place(rng *rand.Rand, i int) (class string, h hurt) {
	classes := v.classes()
	names := slices.Sorted(maps.Keys(classes))
	class = ".log"
	if i%2 == 0 {
		class = names[i/2%len(names)]
	}
	return class, v.draw(rng, classes[class][rng.IntN(len(classes[class]))])
}

// Whatever is damaged in whatever file, Open says so, or who reads is told, or all is right. Never is something wrong,
// or missing silently, and nothing hangs or dies.
func TestDamagedPlaces(t *testing.T) {
	t.Parallel()
	places := long(t, "DAMAGE", 20)
	r := startReader(t)
	defer func() { r.close() }()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 3))
	o := damageTable{}
	for _, clean := range []bool{true, false} {
		v := newVictim(t, r, clean)
		for i := range places / 2 {
			class, h := v.place(rng, i)
			dir := filepath.Join(t.TempDir(), "damaged")
			copyDir(t, dir, v.dir)
			gone := h.apply(t, dir)
			d, err := r.read(dir)
			if err != nil {
				o.add(v.name+" "+class, "death")
				t.Errorf("%s: %s: the process died: %v", v.name, h, err)
				r = startReader(t)
				continue
			}
			// Of a value file that was never synced nothing tells.
			d.Cut = d.Cut || v.kept != nil && gone && class == ".log" && len(d.Told) == 0
			judge := v
			if d.Cut && v.kept != nil && h.file == v.last {
				if judge, err = v.spare(t, r, h); err != nil {
					t.Fatal(err)
				}
			}
			outcome, wrong := judge.judge(d)
			for _, text := range wrong[:min(len(wrong), 5)] {
				t.Errorf("%s: %s: %s: %s (refused %q, told %.800s)", v.name, h, outcome, text, d.Refused, strings.Join(d.Told, "; "))
			}
			if len(wrong) > 0 {
				outcome = "wrong"
			}
			o.add(v.name+" "+class, outcome)
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	o.check(t, places/2*2)
}
