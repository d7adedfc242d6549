package users

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/samsa-go/samsa/internal/sasl"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type kit struct {
	*Store
	t    *testing.T
	st   store.Store
	c    *writer.Committer
	logs *observer.ObservedLogs
}

func start(t *testing.T) *kit {
	k := &kit{t: t, st: store.OpenMemory()}
	k.open()
	t.Cleanup(func() { k.c.Close() })
	return k
}

func (k *kit) open() {
	k.t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	k.logs, k.c = logs, writer.NewCommitter(k.st, zap.NewNop())
	var err error
	if k.Store, err = Open(k.st, k.c, zap.New(core)); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kit) reopen() {
	k.t.Helper()
	k.c.Close()
	k.open()
}

func (k *kit) set(name, password string) {
	k.t.Helper()
	changes, err := Set(name, password)
	if err := errors.Join(append(k.Alter(context.Background(), changes), err)...); err != nil {
		k.t.Fatal(err)
	}
}

// Password reports whether a password is that of a user.
func (k *kit) Password(name, password string) bool {
	return k.Store.Password(k.t.Context(), "", name, password)
}

func (k *kit) names() (names []string) {
	for _, u := range k.List() {
		names = append(names, u.Name)
	}
	return names
}

// A user who was given a password has it, by each mechanism and after a restart, until he is given another, or deleted.
func TestUsers(t *testing.T) {
	k := start(t)
	if k.Password("alice", "right") || k.Password("alice", "") || len(k.List()) > 0 {
		t.Error("somebody is there at first")
	}
	k.set("alice", "right")
	k.set("bob", "hop")
	for range 2 {
		if !k.Password("alice", "right") || k.Password("alice", "hop") || k.Password("bob", "right") || k.Password("alice", "") {
			t.Error("passwords of others, or not one's own")
		}
		if got := k.names(); !slices.Equal(got, []string{"alice", "bob"}) {
			t.Errorf("users %q", got)
		}
		for _, mechanism := range []string{sasl.ScramSHA256, sasl.ScramSHA512} {
			if c, ok := k.Credential(mechanism, "alice"); !ok || !c.Fits(mechanism, "right") || c.Fits(mechanism, "wrong") {
				t.Errorf("%s: %t", mechanism, ok)
			}
		}
		k.reopen()
	}
	k.set("alice", "new")
	if k.Password("alice", "right") || !k.Password("alice", "new") {
		t.Error("the old password counts")
	}
	gone, err := k.Delete("bob")
	if err := errors.Join(append(k.Alter(context.Background(), gone), err)...); err != nil {
		t.Fatal(err)
	}
	k.reopen()
	if got := k.names(); !slices.Equal(got, []string{"alice"}) || k.Password("bob", "hop") {
		t.Errorf("users %q", got)
	}
	if _, err := k.Delete("bob"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
}

// One mechanism of a user can go, and his password counts by the other, in plain words too.
func TestOneMechanism(t *testing.T) {
	k := start(t)
	k.set("alice", "right")
	if err := k.Alter(context.Background(), []Change{{Name: "alice", Mechanism: sasl.ScramSHA256, Delete: true}})[0]; err != nil {
		t.Fatal(err)
	}
	if _, ok := k.Credential(sasl.ScramSHA256, "alice"); ok || !k.Password("alice", "right") || k.Password("alice", "wrong") {
		t.Error("the mechanism that has gone, or the other")
	}
	if u, err := k.Find("alice"); err != nil || len(u.Iterations) != 1 || u.Iterations[sasl.ScramSHA512] != sasl.Iterations {
		t.Errorf("%v, %v", u, err)
	}
}

// What is wrong with a change is told at its place, and the others are made.
func TestWrongChanges(t *testing.T) {
	k := start(t)
	good, err := Set("alice", "right")
	if err != nil {
		t.Fatal(err)
	}
	long := Change{Name: strings.Repeat("a", MaxName+1), Mechanism: sasl.ScramSHA256}
	salty := Change{Name: "bob", Mechanism: sasl.ScramSHA256, Credential: sasl.Credential{Salt: make([]byte, maxSalt+1)}}
	errs := k.Alter(context.Background(), []Change{{Mechanism: sasl.ScramSHA256}, good[0], long, salty, {Name: "bob", Mechanism: sasl.ScramSHA256, Delete: true}})
	for i, want := range []error{ErrName, nil, ErrName, ErrSalt, ErrUnknown} {
		if !errors.Is(errs[i], want) {
			t.Errorf("change %d: %v, want %v", i, errs[i], want)
		}
	}
	if got := k.names(); !slices.Equal(got, []string{"alice"}) {
		t.Errorf("users %q", got)
	}
	if _, err := Set("alice", ""); !errors.Is(err, ErrPassword) {
		t.Error(err)
	}
}

// Who does not exist is answered like somebody: always the same, also after a restart, and by each mechanism differently.
func TestNobody(t *testing.T) {
	k := start(t)
	salt := func(mechanism, name string) []byte {
		c, ok := k.Credential(mechanism, name)
		if ok || len(c.Salt) != SaltSize || c.Iterations != sasl.Iterations {
			t.Errorf("%s exists: %d, %d", name, len(c.Salt), c.Iterations)
		}
		return c.Salt
	}
	before := salt(sasl.ScramSHA256, "nobody")
	if bytes.Equal(before, salt(sasl.ScramSHA512, "nobody")) || bytes.Equal(before, salt(sasl.ScramSHA256, "nobodz")) {
		t.Error("everybody who does not exist has the same salt")
	}
	k.set("alice", "right")
	k.reopen()
	if !bytes.Equal(before, salt(sasl.ScramSHA256, "nobody")) {
		t.Error("after a restart who does not exist has another salt")
	}
}

// A damaged user cannot log in, others can, and a new password mends him. Nothing of what was stored is logged.
func TestDamagedUser(t *testing.T) {
	k := start(t)
	k.set("alice", "right")
	k.set("bob", "hop")
	whole, err := k.st.Get(key("alice"))
	if err != nil {
		t.Fatal(err)
	}
	for _, damaged := range [][]byte{whole[:len(whole)-3], []byte("{}"), bytes.Replace(whole, []byte("4096"), []byte("4095"), 1), bytes.Replace(whole, []byte(`"storedKey":"`), []byte(`"storedKey":"\u00ff`), 1)} {
		var b store.Batch
		b.Set(key("alice"), damaged)
		if err := k.st.Commit(&b); err != nil {
			t.Fatal(err)
		}
		k.reopen()
		if k.Password("alice", "right") || !k.Password("bob", "hop") {
			t.Errorf("%q: alice is let in, or bob is not", damaged)
		}
		if k.logs.Len() != 1 || strings.Contains(fmt.Sprint(k.logs.All()[0].ContextMap()), "Key") {
			t.Errorf("%q: logged %v", damaged, k.logs.All())
		}
	}
	k.set("alice", "new")
	k.reopen()
	if !k.Password("alice", "new") || k.logs.Len() > 0 {
		t.Error("a new password has not mended what was damaged")
	}
}

// What the store refuses is not in force.
func TestStoreFails(t *testing.T) {
	k := start(t)
	k.set("alice", "right")
	k.c.Refuse(log.ErrReadOnly)
	changes, err := Set("alice", "new")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range k.Alter(context.Background(), changes) {
		if !errors.Is(err, log.ErrReadOnly) {
			t.Error(err)
		}
	}
	if !k.Password("alice", "right") || k.Password("alice", "new") {
		t.Error("a password is in force that is not stored")
	}
}
