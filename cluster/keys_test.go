package cluster_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster"
	"github.com/samsa-go/samsa/cluster/internal/kit"
)

// keyed opens the cluster with keys.
func keyed(t testing.TB, k *kit.Kit, topic, dir string) *samsa.Broker {
	t.Helper()
	b, err := cluster.Open(k.Ctx, cluster.Options{Seeds: k.Seeds, Keys: topic, KeysDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// set sets a key.
func set(k *kit.Kit, b *samsa.Broker, key, value string) error {
	return b.Update(k.Ctx, func(tx *samsa.Tx) error { return tx.Set([]byte(key), []byte(value)) })
}

// has compares all keys.
func has(t testing.TB, k *kit.Kit, b *samsa.Broker, want string) {
	t.Helper()
	var all []string
	err := b.View(k.Ctx, func(tx *samsa.ReadTx) error {
		for kv, err := range tx.Scan(nil) {
			if err != nil {
				return err
			}
			all = append(all, fmt.Sprintf("%s=%s", kv.Key, kv.Value))
		}
		return nil
	})
	if got := strings.Join(all, " "); err != nil || got != want {
		t.Fatalf("keys are %q (%v), want %q", got, err, want)
	}
}

// Who opens the keys takes them over: the older one sees what there was, and stores nothing more.
func TestKeysTakeOver(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		topic := k.Name("keys")
		older := keyed(t, k, topic, "")
		k.Want(set(k, older, "a", "1"), nil)
		k.Want(set(k, older, "b", "2"), nil)
		newer := keyed(t, k, topic, "")
		has(t, k, newer, "a=1 b=2")
		k.Want(newer.Update(k.Ctx, func(tx *samsa.Tx) error { return errors.Join(tx.Delete([]byte("a")), tx.Set([]byte("c"), nil)) }), nil)
		has(t, k, newer, "b=2 c=")
		has(t, k, older, "a=1 b=2")
		k.WantError(set(k, older, "b", "old"), samsa.ErrProducerFenced)
		has(t, k, older, "a=1 b=2")
		k.Want(newer.Close(), nil)
		has(t, k, keyed(t, k, topic, ""), "b=2 c=")
	})
}

// A copy of the keys is brought up to date by what came since, one of another topic of the name is read anew.
func TestKeysDir(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		topic, dir := k.Name("keys"), t.TempDir()
		b := keyed(t, k, topic, dir)
		k.Want(set(k, b, "a", "1"), nil)
		k.Want(set(k, b, "b", "1"), nil)
		k.Want(b.Close(), nil)
		b = keyed(t, k, topic, "") // elsewhere
		k.Want(b.Update(k.Ctx, func(tx *samsa.Tx) error { return errors.Join(tx.Delete([]byte("a")), tx.Set([]byte("c"), []byte("2"))) }), nil)
		k.Want(b.Close(), nil)
		mark(t, k, dir)
		b = keyed(t, k, topic, dir)
		has(t, k, b, "b=1 c=2 mark=") // what only the copy has is still there: the rest was not read again
		k.Want(b.Topics().Delete(k.Ctx, topic), nil)
		k.Want(b.Close(), nil)
		has(t, k, keyed(t, k, topic, dir), "")
	})
}

// mark puts a key into a copy that the topic does not have.
func mark(t testing.TB, k *kit.Kit, dir string) {
	t.Helper()
	s, err := samsa.Open(dir, samsa.Options{})
	if err == nil {
		err = errors.Join(set(k, s, "mark", ""), s.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A topic that is no place for keys is refused, and without the option it is said which one it takes.
func TestKeysRefused(t *testing.T) {
	k := kit.Door(t)
	for _, partitions := range []int32{1, 2} {
		if _, err := cluster.Open(k.Ctx, cluster.Options{Seeds: k.Seeds, Keys: k.Create("keys", partitions)}); err == nil {
			t.Errorf("a topic of %d partitions that is not compacted is taken", partitions)
		}
	}
	_, err := cluster.Open(k.Ctx, cluster.Options{Seeds: k.Seeds, KeysDir: t.TempDir()})
	k.WantError(err, samsa.ErrInvalidOption)
	err = set(k, open(t, k), "a", "")
	if !errors.Is(err, samsa.ErrUnsupported) || !strings.Contains(err.Error(), "Options.Keys") {
		t.Errorf("without the option: %v", err)
	}
}

const keysKilledEnv = "SAMSA_TEST_KEYS_KILLED" // seeds, topic of keys, directory and topic of records of a program that is to be killed

// A program counts in a key, and produces each count with it. However often it is killed, each count is there once.
func TestKeysKilled(t *testing.T) {
	if args := os.Getenv(keysKilledEnv); args != "" {
		count(t, strings.Fields(args))
		return
	}
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		keys, out, dir := k.Name("keys"), k.Create("counts", 1), filepath.Join(t.TempDir(), "copy")
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		kills := rounds(3)
		for round := range kills {
			cmd := exec.Command(self, "-test.run=^TestKeysKilled$", "-test.short")
			cmd.Env = append(os.Environ(), keysKilledEnv+"="+strings.Join([]string{strings.Join(k.Seeds, ","), keys, dir, out}, " "))
			told, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(told)
			for n := 0; lines.Scan(); {
				if strings.HasPrefix(lines.Text(), "counted") {
					n++
				}
				if n == 5+round*3%7 { // the next ones are on their way
					_ = cmd.Process.Kill()
				}
			}
			_ = cmd.Wait()
		}
		b := keyed(t, k, keys, dir)
		c, err := b.NewConsumer(k.Ctx, samsa.ConsumerOptions{Topics: []string{out}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		want := 0
		for r, err := range c.RecordsUntil(k.Ctx) {
			if err != nil {
				t.Fatal(err)
			}
			if want++; string(r.Value) != strconv.Itoa(want) {
				t.Fatalf("count %s comes where %d should", r.Value, want)
			}
		}
		if want < 5*kills {
			t.Errorf("only %d were counted", want)
		}
		has(t, k, b, fmt.Sprintf("n=%d", want))
		t.Logf("%d kills", kills)
	})
}

// count is the program, which ends when it is killed.
func count(t *testing.T, args []string) {
	k := kit.At(t, strings.Split(args[0], ","))
	b := keyed(t, k, args[1], args[2])
	for {
		if err := countOnce(k.Ctx, b, args[3]); err != nil {
			t.Fatal(err)
		}
		fmt.Println("counted")
	}
}

// countOnce counts in a key, and stores the count.
func countOnce(ctx context.Context, b *samsa.Broker, topic string) error {
	return b.Update(ctx, func(tx *samsa.Tx) error {
		v, err := tx.Get([]byte("n"))
		if err != nil && !errors.Is(err, samsa.ErrKeyNotFound) {
			return err
		}
		n, _ := strconv.Atoi(string(v))
		v = strconv.AppendInt(nil, int64(n+1), 10)
		return errors.Join(tx.Set([]byte("n"), v), tx.Produce(samsa.Record{Topic: topic, Value: v}))
	})
}
