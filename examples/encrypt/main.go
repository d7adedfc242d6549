// Encrypt is a diary that nobody reads on the disk: an interceptor seals the values of records with AES-GCM before they are stored, and opens
// them before the program has them. The rest of the program knows nothing of it.
//
//	go run ./examples/encrypt set monday 'met a beetle'
//	go run ./examples/encrypt get monday
//	go run ./examples/encrypt rotate    # another key, by which all is sealed anew
//	go run ./examples/encrypt list
//
// Each record has the id of its key in a header. So a new key is in use at once, beside programs that run, and what older ones have sealed is still
// opened. The keys are in a file of their own, which a program would have from a vault.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/samsa-go/samsa"
)

const diary = "diary"

func main() {
	dir := flag.String("data", filepath.Join(os.TempDir(), "samsa-encrypt"), "directory of the diary")
	file := flag.String("keys", filepath.Join(os.TempDir(), "samsa-encrypt.keys"), "file of the keys")
	flag.Parse()
	if err := run(context.Background(), *dir, *file, flag.Args(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "encrypt:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, file string, args []string, out io.Writer) (err error) {
	k := &keys{as: map[string]string{diary: diary}}
	if err := load(k, file); err != nil {
		return err
	}
	b, err := samsa.Open(dir, samsa.Options{Hooks: []samsa.Hook{k.hook()}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if _, err := b.Topics().Ensure(ctx, diary, samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact}); err != nil {
		return err
	}
	t, err := b.NewTable(ctx, samsa.TableOptions{Topic: diary, Name: "days"}) // it is kept as the topic is: sealed
	if err != nil {
		return err
	}
	switch {
	case len(args) == 3 && args[0] == "set":
		_, err := b.Produce(ctx, samsa.Record{Topic: diary, Key: []byte(args[1]), Value: []byte(args[2])})
		return err
	case len(args) == 2 && args[0] == "get":
		r, err := t.Get([]byte(args[1]))
		if err == nil {
			fmt.Fprintf(out, "%s\n", r.Value)
		}
		return err
	case len(args) == 1 && args[0] == "list":
		for r, err := range t.Range(samsa.TableRange{}) {
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "%s: %s\n", r.Key, r.Value)
		}
		return nil
	case len(args) == 1 && args[0] == "rotate":
		if err := addKey(k, file); err != nil {
			return err
		}
		return reseal(ctx, b, t)
	}
	return errors.New("usage: encrypt [-data dir] [-keys file] set DAY TEXT | get DAY | list | rotate")
}

// reseal seals all rows anew. What was stored before goes with compaction; then the older keys are of no use. A row that somebody else has
// written meanwhile is sealed by the new key already.
func reseal(ctx context.Context, b *samsa.Broker, t *samsa.Table) error {
	for r, err := range t.Range(samsa.TableRange{}) {
		if err != nil {
			return err
		}
		err = b.Update(ctx, func(tx *samsa.Tx) error { return tx.Put(t, r.Key, r.Value, r.Offset) })
		if err != nil && !errors.Is(err, samsa.ErrConflict) {
			return err
		}
	}
	return nil
}

// load reads keys from a file, of which each line is an id and a key, the newest one last. It makes one if there is none.
func load(k *keys, file string) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return addKey(k, file)
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); err == nil && lines.Scan(); {
		id, encoded, _ := strings.Cut(lines.Text(), " ")
		var key []byte
		if key, err = base64.StdEncoding.DecodeString(encoded); err == nil {
			err = k.add(id, key)
		}
	}
	if err != nil {
		return fmt.Errorf("keys of %s: %w", file, err)
	}
	return nil
}

// addKey makes a key, keeps it, and then has it seal.
func addKey(k *keys, file string) error {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	id := rand.Text()[:8]
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s %s\n", id, base64.StdEncoding.EncodeToString(key))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil { // a record must not outlive its key
		return err
	}
	return k.add(id, key)
}
