package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster/kafkatest"
)

const (
	bankEnv  = "SAMSA_TEST_BANK"      // directory of the bank
	totalEnv = "SAMSA_TEST_TRANSFERS" // transfers that are ordered
)

// TestMain runs the bank instead of the tests in a child of TestBankIsKilled.
func TestMain(m *testing.M) {
	if dir := os.Getenv(bankEnv); dir != "" {
		total, err := strconv.Atoi(os.Getenv(totalEnv))
		if err == nil {
			err = run(context.Background(), dir, total, io.Discard)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// The bank is killed again and again while it works, 20 times or as often as KILLS says. In the end each transfer has exactly one
// receipt, in order, no money has come or gone, and the group has consumed everything.
func TestBankIsKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bank")
	kills := 20
	if n, err := strconv.Atoi(os.Getenv("KILLS")); err == nil {
		kills = n
	}
	killed, progress, patience := 0, int64(0), time.Millisecond
	total := 50_000
	for killed < kills {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), bankEnv+"="+dir, fmt.Sprint(totalEnv, "=", total))
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(10+rand.IntN(60)) * patience) // anywhere: also while it opens
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			total += 50_000 // it had finished: more work
			continue
		}
		if stderr.Len() > 0 {
			t.Fatalf("kill %d: %s", killed, stderr.String())
		}
		killed++
		if killed%5 == 0 {
			if progress = check(t, dir, progress); progress == 0 {
				patience *= 2 // the machine is slow
			}
		}
	}
	t.Logf("%d receipts by then", progress)
	t.Logf("%d kills", killed) // which .ci/run checks
	if progress == 0 {
		t.Error("it has never got anywhere: this tests too little")
	}
	var out bytes.Buffer
	if err := run(context.Background(), dir, total, &out); err != nil {
		t.Fatal(err)
	}
	if got := check(t, dir, progress); got != int64(total) {
		t.Errorf("%d receipts, want %d", got, total)
	}
	want := fmt.Sprintf("%d in all, %d receipts\n", accounts*opening, total)
	if !strings.HasSuffix(out.String(), want) {
		t.Errorf("the report is %q", out.String())
	}
}

// check compares receipts and the group's offset, and returns how many receipts there are: no
// fewer than before.
func check(t *testing.T, dir string, before int64) (n int64) {
	t.Helper()
	ctx := context.Background()
	b, err := samsa.Open(dir, samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	ends, err := b.ListOffsets(ctx, receipts, samsa.Latest())
	if errors.Is(err, samsa.ErrUnknownTopic) {
		return 0 // killed before it had begun
	}
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{receipts}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for n < ends[0].Offset {
		records, err := c.Poll(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			var receipt transfer
			if err := json.Unmarshal(r.Value, &receipt); err != nil {
				t.Fatal(err)
			}
			if int64(receipt.ID) != n {
				t.Fatalf("receipt %d is for transfer %d", n, receipt.ID)
			}
			n++
		}
	}
	if n < before {
		t.Fatalf("%d receipts, there were %d", n, before)
	}
	committed, err := b.Groups().Committed(ctx, tellers)
	if got := committed[samsa.TopicPartition{Topic: orders}].Offset; err == nil && got != n {
		t.Errorf("%d transfers are consumed, %d have receipts", got, n)
	}
	if errors.Is(err, samsa.ErrUnknownGroup) {
		err = nil // killed before it had begun
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The bank is the same in memory, in a directory and on three brokers of Kafka, also when it goes on.
func TestPlaces(t *testing.T) {
	bank := func(t *testing.T, on string, totals ...int) {
		for _, total := range totals {
			var out bytes.Buffer
			if err := run(t.Context(), on, total, &out); err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("%d in all, %d receipts\n", accounts*opening, total); !strings.HasSuffix(out.String(), want) {
				t.Errorf("the report is %q", out.String())
			}
		}
	}
	t.Run("memory", func(t *testing.T) { bank(t, "memory", 300) })
	t.Run("directory", func(t *testing.T) { bank(t, t.TempDir(), 300, 300, 700) })
	t.Run("cluster", func(t *testing.T) {
		c := kafkatest.New(t, kafkatest.Options{Nodes: 3})
		bank(t, "kafka://"+strings.Join(c.Seeds(), ",")+"/?name=bank", 300, 300, 700)
	})
}
