package cli

import (
	"encoding/json"
	"net"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
)

// ACLs are added, listed and deleted, in a directory and over the wire alike.
func TestACLs(t *testing.T) {
	dir := t.TempDir()
	b, err := samsa.Open(dir, samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	serve := func() (string, func()) {
		b, err := samsa.Open("", samsa.Options{InMemory: true})
		if err != nil {
			t.Fatal(err)
		}
		srv, err := kafka.Listen(b, "127.0.0.1:0", kafka.Options{ACLs: &kafka.ACLs{SuperUsers: []kafka.Principal{kafka.Anonymous}}})
		if err != nil {
			t.Fatal(err)
		}
		return srv.Addr().(*net.TCPAddr).String(), func() { _ = b.Close() }
	}
	addr, end := serve()
	defer end()
	for _, where := range [][]string{{"-d", dir}, {"-b", addr}} {
		run := func(args ...string) (string, int) {
			var out, errs strings.Builder
			code := Run(t.Context(), append(append([]string{}, where...), args...), Surroundings{
				Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" },
			})
			return out.String() + errs.String(), code
		}
		for _, args := range []string{"acls add User:alice read topic orders --prefix", "acls add User:* ALTER CLUSTER --deny --host 10.0.0.0/8"} {
			if out, code := run(strings.Fields(args)...); code != 0 {
				t.Fatalf("%s: %d, %s", args, code, out)
			}
		}
		out, _ := run("acls", "list", "--json")
		var first aclRow
		if err := json.Unmarshal([]byte(strings.SplitN(out, "\n", 2)[0]), &first); err != nil || first.Resource == "" || !strings.Contains(out, "alice") || !strings.Contains(out, "10.0.0.0/8") {
			t.Errorf("%v: %s", err, out)
		}
		for i, want := range []bool{true, false} {
			if out, code := run(strings.Fields("acls delete User:alice READ TOPIC orders --prefix --yes")...); (code == 0) != want {
				t.Errorf("delete %d: %d, %s", i, code, out)
			}
		}
		if out, code := run(strings.Fields("acls add alice READ TOPIC orders")...); code == 0 {
			t.Errorf("no principal: %s", out)
		}
	}
}
