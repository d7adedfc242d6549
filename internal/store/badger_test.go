package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func closeStore(t testing.TB, s Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

func syncStore(t testing.TB, s Store) {
	t.Helper()
	if err := s.Sync(); err != nil {
		t.Fatalf("Sync: %v", err)
	}
}

// newestVersion returns the version of the newest entry in s.
func newestVersion(t testing.TB, s Store) uint64 {
	t.Helper()
	var newest uint64
	err := s.Scan(Range{KeysOnly: true}, func(e Entry) (bool, error) {
		newest = max(newest, e.Version)
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return newest
}

func TestReopenKeepsEverything(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "yet", "there")
	s := openTemp(t, dir, Options{})
	set(t, s, "a", "1", "b", strings.Repeat("2", 5000), "c", "3")
	remove(t, s, "c")
	closeStore(t, s)
	for round := range 3 {
		s = openTemp(t, dir, Options{})
		if r := s.Recovery(); !r.Clean {
			t.Errorf("round %d: Recovery() = %+v after a clean close", round, r)
		}
		before := newestVersion(t, s)
		expectGet(t, s, "a", "1")
		expectGet(t, s, "b", strings.Repeat("2", 5000))
		expectGone(t, s, "c")
		set(t, s, "d", fmt.Sprint(round))
		expectGet(t, s, "d", fmt.Sprint(round))
		if now := newestVersion(t, s); now <= before {
			t.Errorf("round %d: version %d was given after %d", round, now, before)
		}
		closeStore(t, s)
	}
}

// A store that is opened and closed many times does not collect files.
func TestReopeningAddsNoFiles(t *testing.T) {
	dir := t.TempDir()
	s := openTemp(t, dir, Options{})
	set(t, s, "a", strings.Repeat("1", 5000))
	closeStore(t, s)
	for range 5 {
		closeStore(t, openTemp(t, dir, Options{}))
	}
	for _, sub := range []string{indexName, valuesName} {
		names, err := listDir(filepath.Join(dir, sub))
		if err != nil || len(names) > 6 {
			t.Errorf("%s: %q, %v", sub, names, err)
		}
	}
}

func TestRecoveryPoint(t *testing.T) {
	dir := t.TempDir()
	reopened := func(s *badgerStore) Recovery {
		t.Helper()
		left := openTemp(t, copyStore(t, s.dir), Options{})
		defer closeStore(t, left)
		return left.Recovery()
	}
	s := openTemp(t, dir, Options{})
	expectRecovery := func(what string, want Recovery) {
		t.Helper()
		if got := reopened(s); got != want {
			t.Errorf("%s: %+v, want %+v", what, got, want)
		}
	}
	expectRecovery("new", Recovery{Clean: true})
	set(t, s, "a", "1") // version 1
	expectRecovery("killed without a Sync", Recovery{})
	syncStore(t, s)
	expectRecovery("killed after a Sync that no commit recorded", Recovery{})
	set(t, s, "b", "2")
	set(t, s, "c", "3")
	expectRecovery("killed after a Sync and two commits", Recovery{Durable: 1})
	syncStore(t, s)
	syncStore(t, s)
	set(t, s, "d", "4")
	expectRecovery("killed after another Sync", Recovery{Durable: 3})
	if keys := dump(t, s, Range{KeysOnly: true}); keys != "a b c d" {
		t.Errorf("a scan of everything found %q", keys)
	}
	if keys := dump(t, s, Range{KeysOnly: true, Reverse: true}); keys != "d c b a" {
		t.Errorf("a scan of everything in reverse found %q", keys)
	}
	if keys := dump(t, s, Range{From: []byte("!"), To: []byte("a"), KeysOnly: true}); keys != "!recovery" {
		t.Errorf("a scan of the store's own keys found %q", keys)
	}

	closeStore(t, s)
	expectRecovery("closed", Recovery{Clean: true, Durable: 5})
	s = openTemp(t, dir, Options{})
	expectRecovery("closed, opened and killed", Recovery{Clean: true, Durable: 5})
	set(t, s, "e", "5")
	expectRecovery("the same after a commit", Recovery{Durable: 5})
	closeStore(t, s)
}

// The recovery point after an unclean end stands until a Sync, also over many ends.
func TestRecoveryPointOfKilledStore(t *testing.T) {
	s := openTemp(t, t.TempDir(), Options{})
	set(t, s, "a", "1")
	syncStore(t, s)
	set(t, s, "b", strings.Repeat("2", 2000))
	for range 3 {
		left := openTemp(t, copyStore(t, s.dir), Options{})
		closeKilled(t, s)
		s = left
		if got := s.Recovery(); got.Clean || got.Durable != 1 {
			t.Errorf("Recovery() = %+v, want durable up to 1", got)
		}
		set(t, s, "c", "3")
	}
	syncStore(t, s)
	set(t, s, "d", "4")
	left := openTemp(t, copyStore(t, s.dir), Options{})
	if got := left.Recovery(); got.Clean || got.Durable != 5 {
		t.Errorf("Recovery() = %+v, want durable up to 5", got)
	}
	closeStore(t, left)
	closeStore(t, s)
}

// closeKilled ends a store whose directory plays no part any more.
func closeKilled(t testing.TB, s Store) {
	t.Helper()
	closeStore(t, s)
}

// After a failed commit nothing gets through, and Close does not claim that all is well.
func TestFailStop(t *testing.T) {
	running := goleak.IgnoreCurrent()
	dir := t.TempDir()
	s := openTemp(t, dir, Options{})
	set(t, s, "a", "1")
	syncStore(t, s)
	set(t, s, "b", "2") // records that version 1 is durable
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	var b Batch
	b.Set([]byte("c"), []byte("3"))
	for range 2 {
		if err := tryCommit(s, &b); err == nil || errors.Is(err, ErrClosed) || errors.Is(err, ErrTooLarge) {
			t.Errorf("Commit without Badger: %v", err)
		}
	}
	if err := s.Sync(); err == nil {
		t.Error("Sync after a failed commit succeeded")
	}
	closeFailed(t, s, "Writes are blocked")
	goleak.VerifyNone(t, running)

	s = openTemp(t, dir, Options{})
	defer closeStore(t, s)
	if got := s.Recovery(); got != (Recovery{Durable: 1}) {
		t.Errorf("Recovery() = %+v, want durable up to 1", got)
	}
	expectGet(t, s, "b", "2")
	expectGone(t, s, "c")
}

// A failure takes with it the commits that were in flight behind it, whatever Badger
// says of them, and what was visible stays so.
func TestFailureOfOneOfSeveralInFlight(t *testing.T) {
	s := openTemp(t, t.TempDir(), Options{})
	defer closeFailed(t, s, "the disk is gone")
	set(t, s, "a", "1")
	cause := errors.New("the disk is gone")
	outcomes := make(chan error, 3) // whoever has delivered a may still be at it, and deliver these
	note := func(err error) { outcomes <- err }
	var flights [3]*flight
	for i := range flights {
		flights[i], _ = s.depart(note, nil)
	}
	flights[2].land(nil)
	flights[1].land(cause)
	if len(outcomes) > 0 {
		t.Fatal("commits ended before the one in front of them")
	}
	flights[0].land(nil)
	first, second, third := <-outcomes, <-outcomes, <-outcomes
	if first != nil || !errors.Is(second, cause) || !errors.Is(third, cause) {
		t.Errorf("outcomes %v, %v, %v", first, second, third)
	}
	if v := s.pipeline.visible(); v != 2 {
		t.Errorf("version %d is visible, want 2", v)
	}
	expectGet(t, s, "a", "1")
}

func TestCloseIsUncleanAfterFailedSync(t *testing.T) {
	dir := t.TempDir()
	s := openTemp(t, dir, Options{})
	set(t, s, "a", "1")
	broken := errors.New("broken")
	s.files.file = func(string) error { return broken }
	if err := s.Sync(); !errors.Is(err, broken) {
		t.Errorf("Sync: %v", err)
	}
	s.files.file = syncFile
	if err := s.Sync(); !errors.Is(err, broken) {
		t.Errorf("a later Sync: %v, want the first failure", err)
	}
	var b Batch
	b.Set([]byte("c"), []byte("3"))
	if err := tryCommit(s, &b); !errors.Is(err, broken) {
		t.Errorf("Commit: %v, want the failure", err)
	}
	closeFailed(t, s, "broken")
	s = openTemp(t, dir, Options{})
	defer closeStore(t, s)
	if got := s.Recovery(); got != (Recovery{}) {
		t.Errorf("Recovery() = %+v, want nothing durable", got)
	}
}

// Retire memtables between commits and a Sync, and look at what Sync syncs.
func TestSyncCoversRetiredMemtables(t *testing.T) {
	s := openTemp(t, t.TempDir(), Options{})
	defer closeStore(t, s)
	synced := map[string]int{}
	syncedDirs := map[string]int{}
	s.files.file = func(path string) error { synced[filepath.Base(path)]++; return syncFile(path) }
	s.files.dir = func(path string) error { syncedDirs[filepath.Base(path)]++; return syncDir(path) }

	set(t, s, "a", "1")
	syncStore(t, s)
	if synced["00001.mem"] != 1 || len(synced) != 1 {
		t.Errorf("synced %v, want the log only: nothing went to the value file", synced)
	}
	if syncedDirs[indexName] != 1 {
		t.Errorf("directories synced: %v, want the index", syncedDirs)
	}
	set(t, s, "a", "2")
	syncStore(t, s)
	if synced["00001.mem"] != 2 || syncedDirs[indexName] != 1 {
		t.Errorf("second Sync: files %v, directories %v", synced, syncedDirs)
	}
	syncStore(t, s)
	if synced["00001.mem"] != 2 {
		t.Error("a Sync with nothing to do went to the disk")
	}
	set(t, s, "large", strings.Repeat("1", 5000))
	syncStore(t, s)
	if synced["000001.vlog"] != 1 || syncedDirs[valuesName] != 1 {
		t.Errorf("after a large value: files %v, directories %v", synced, syncedDirs)
	}

	// Stop Badger from flushing by keeping retired logs in sight: list the directory
	// as it was just after the rotation, flushed files being gone by then or not.
	clear(synced)
	seen := map[string]bool{}
	key := 0
	for len(seen) < 3 {
		var b Batch
		for range 1000 {
			key++
			b.Set(fmt.Appendf(nil, "k%d", key), make([]byte, 900))
		}
		commit(t, s, &b)
		names, err := listDir(s.files.index)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range memtableLogs(names) {
			seen[name] = true
		}
	}
	names, err := listDir(s.files.index)
	if err != nil {
		t.Fatal(err)
	}
	syncStore(t, s)
	left, err := listDir(s.files.index)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range memtableLogs(names) {
		if synced[name] == 0 && memtableIn(left, name) {
			t.Errorf("%s was there before and after Sync but not synced; synced %v", name, synced)
		}
	}
	if syncedDirs[indexName] < 2 {
		t.Errorf("new files in the index, but its entries were not synced")
	}
}

func memtableIn(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// The same on a directory of our making, where nothing moves by itself.
func TestFileSyncOfRetiredLogs(t *testing.T) {
	dir := t.TempDir()
	touch := func(name string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(name string) {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	var synced []string
	f := newFileSync(dir, dir, func() error { return nil })
	f.last = 1
	f.file = func(path string) error {
		synced = append(synced, filepath.Base(path))
		_, err := os.Stat(path)
		return err
	}
	f.dir = func(string) error { synced = append(synced, "dir"); return nil }
	step := func(what string, large bool, want string) {
		t.Helper()
		synced = nil
		if err := f.sync(large); err != nil {
			t.Fatal(err)
		}
		expect(t, what, strings.Join(synced, " "), want)
	}
	touch("00009.mem")
	touch("000001.vlog")
	step("first", false, "00009.mem dir")
	step("no change", false, "00009.mem")
	touch("00010.mem")
	// What was current is synced before it is known to be retired, and again then.
	step("one retired", false, "00009.mem 00009.mem 00010.mem dir")
	step("retired logs are synced once", false, "00010.mem")
	touch("00011.mem")
	touch("00012.mem")
	touch("100000.mem")
	step("in order of number", false, "00010.mem 00010.mem 00011.mem 00012.mem 100000.mem dir")
	remove("00012.mem")
	step("one flushed", false, "100000.mem 100000.mem dir")
	step("values", true, "000001.vlog dir 100000.mem")
	step("values again", true, "000001.vlog 100000.mem")
	touch("000002.vlog")
	touch("000003.vlog")
	step("new value files", true, "000003.vlog dir 100000.mem 100000.mem dir")

	// A log that is flushed while it is being synced: the table took its place.
	synced = nil
	f.current = ""
	touch("100001.mem")
	plain := f.file
	f.file = func(path string) error {
		remove("100000.mem")
		touch("000001.sst")
		return plain(path)
	}
	if err := f.sync(false); err != nil {
		t.Fatal(err)
	}
	expect(t, "flushed meanwhile", strings.Join(synced, " "), "100000.mem 100001.mem dir")

	// A log that is retired between being synced and the end of the Sync may have grown.
	f.file = plain
	step("once more, to be sure of the log", false, "100001.mem dir")
	step("at rest", false, "100001.mem")
	touch("100002.mem")
	f.file = func(path string) error {
		if filepath.Base(path) == "100002.mem" {
			touch("100003.mem")
		}
		return plain(path)
	}
	step("retired meanwhile", false, "100001.mem 100001.mem 100002.mem dir")
	f.file = plain
	step("after that", false, "100002.mem 100003.mem dir")
	step("at rest again", false, "100003.mem")
}

func TestOptionsLogger(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	s := openTemp(t, t.TempDir(), Options{Logger: zap.New(core)})
	set(t, s, "a", "1")
	closeStore(t, s)
	for _, entry := range logs.TakeAll() {
		t.Errorf("in an ordinary life: %v %q", entry.Level, entry.Message)
	}
	badgerLog{s}.Warningf("something is %s\n", "wrong")
	if e := logs.All(); len(e) != 1 || e[0].Level != zapcore.WarnLevel || e[0].Message != "badger: something is wrong" {
		t.Errorf("a warning: %v", e)
	}
}

func TestSize(t *testing.T) {
	s := openTemp(t, t.TempDir(), Options{})
	defer closeStore(t, s)
	empty, err := s.Size()
	if err != nil {
		t.Fatal(err)
	}
	fillStore(t, s, 100, 64<<10)
	full, err := s.Size()
	if err != nil {
		t.Fatal(err)
	}
	if grown := full - empty; grown < 100*64<<10 || grown > 120*64<<10 {
		t.Errorf("grew by %d bytes for %d", grown, 100*64<<10)
	}
}

func TestRoomWithHugeReserve(t *testing.T) {
	s := openTemp(t, t.TempDir(), Options{MinFreeBytes: 1 << 60})
	defer closeStore(t, s)
	for _, essential := range []bool{false, true} {
		err := s.Room(1, essential)
		if !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), s.dir) {
			t.Errorf("Room(1, %v) = %v", essential, err)
		}
	}
}

// A file system with x bytes free and a reserve of r: room for x-r bytes, essential
// writes get another 3/4 r, but the last 16 MiB are nobody's.
func TestRoomUsesReserve(t *testing.T) {
	s := openTemp(t, t.TempDir(), Options{})
	defer closeStore(t, s)
	const r = 64 << 20
	for _, c := range []struct {
		reserve   int64
		free      int64
		n         int
		essential bool
		full      bool
	}{
		{r, r, 0, false, false},
		{r, r - 1, 0, false, true},
		{r, r + 10, 10, false, false},
		{r, r + 10, 11, false, true},
		{r, r, 3 * r / 4, true, false},
		{r, r, 3*r/4 + 1, true, true},
		{2 * r, 2 * r, 3 * r / 2, true, false},
		{2 * r, 2 * r, 3*r/2 + 1, true, true},
		{r / 2, r / 2, r / 4, true, false},
		{r / 2, r / 2, r/4 + 1, true, true},
		{1000, 1010, 10, true, false},
		{1000, 1010, 11, true, true},
	} {
		s.opts.MinFreeBytes = c.reserve
		err := roomIn(s.dir, s.opts.MinFreeBytes, c.free, c.n, c.essential)
		if errors.Is(err, ErrDiskFull) != c.full {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Who fails to check what a killed owner left must not leave it as checked.
func TestCloseWithoutSyncLeavesAnUncleanStoreUnclean(t *testing.T) {
	dir := t.TempDir()
	s := openTemp(t, dir, Options{})
	set(t, s, "k", "v")
	killed := copyStore(t, dir)
	closeStore(t, s)

	for _, vouch := range []bool{false, false, true} {
		s := openTemp(t, killed, Options{})
		if s.Recovery().Clean {
			t.Fatal("a store that nobody has checked is clean")
		}
		if vouch {
			if err := s.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		closeStore(t, s)
	}
	s = openTemp(t, killed, Options{})
	defer closeStore(t, s)
	if !s.Recovery().Clean {
		t.Error("after a Sync and a Close the store is not clean")
	}
}
