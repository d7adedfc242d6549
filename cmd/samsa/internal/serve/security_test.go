package serve

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
	"github.com/samsa-go/samsa/internal/api"
)

// Users of a file log in to the door and to the console alike, and nobody else does; their passwords are in no log.
func TestServeAsks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(file, []byte("# people\nalice:correct:horse\n\nbob:hop\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := begin(t, parsed(t, "--memory", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--sasl", "SCRAM-SHA-256,PLAIN", "--users-file", file, "--topic", "web_log", "--log-level", "debug"), Surroundings{})
	if len(a.SASL) != 2 {
		t.Errorf("it announces %v", a.SASL)
	}
	for password, want := range map[string]error{"correct:horse": nil, "battery": kerr.SaslAuthenticationFailed} {
		cl, err := kgo.NewClient(kgo.SeedBrokers(a.Listen...), kgo.SASL(scram.Auth{User: "alice", Pass: password}.AsSha256Mechanism()))
		if err != nil {
			t.Fatal(err)
		}
		if err := cl.Ping(t.Context()); !errors.Is(err, want) {
			t.Errorf("%s: %v", password, err)
		}
		cl.Close()
	}
	t.Setenv("SAMSA_KAFKA_PASSWORD", "hop")
	k, err := backend.OpenKafkaURL("kafka://bob@" + a.Listen[0] + "/?sasl=PLAIN")
	if err != nil {
		t.Fatal(err)
	}
	if users, err := k.Users(t.Context()); err != nil || len(users) != 2 || users[0].Name != "alice" {
		t.Errorf("%v, %v", users, err)
	}
	k.Close()
	for _, address := range []string{"kafka://" + a.Listen[0] + "/", "kafka://" + a.Listen[0] + "/?tls=true", "kafka://bob@" + a.Listen[0] + "/?sasl=SCRAM-SHA-512"} {
		k, err := backend.OpenKafkaURL(address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Users(t.Context()); err == nil || !strings.Contains(err.Error(), "samsa help addresses") {
			t.Errorf("%s: %v", address, err)
		}
		k.Close()
	}
	for user, want := range map[string]string{"": "https://NAME:PASSWORD@HOST:PORT", "bob:battery@": "the right password", "bob:hop@": ""} {
		remote, err := api.NewClient("http://" + user + a.HTTP)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := remote.Users(t.Context()); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", user, err, want)
		}
		remote.Close()
	}
	for _, ask := range []struct {
		path, user, password string
		status               int
	}{
		{"/", "", "", 401}, {"/", "alice", "battery", 401}, {"/", "carol", "hop", 401}, {"/", "alice", "correct:horse", 200}, {"/api/v1/topics", "", "", 401},
		{"/api/v1/topics", "bob", "hop", 200}, {"/metrics", "", "", 401}, {"/healthz", "", "", 200}, {"/readyz", "", "", 200},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.HTTP+ask.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if ask.user != "" {
			req.SetBasicAuth(ask.user, ask.password)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != ask.status {
			t.Errorf("%+v: %d", ask, resp.StatusCode)
		}
	}
	a.end()
	for _, secret := range []string{"correct", "battery", "hop"} {
		if strings.Contains(a.log.String(), secret) {
			t.Errorf("%s is in the log:\n%s", secret, a.log.String())
		}
	}
}

// What does not go together is said before anything begins.
func TestSecurityFlags(t *testing.T) {
	for args, want := range map[string]string{
		"--listen 0.0.0.0:9092 --allow-remote": "--allow-anyone",
		"--tls-cert a":                         "--tls-key",
		"--tls-client-auth always":             "none, requested or required",
		"--sasl OAUTHBEARER":                   "--oauth-keys",
		"--oauth-keys a":                       "--sasl OAUTHBEARER",
		"--users-file a":                       "--sasl",
		"--sasl OAUTHBEARER --oauth-keys /nowhere/keys.json":        "/nowhere/keys.json",
		"--http 0.0.0.0:0 --allow-remote --listen 127.0.0.1:0":      "--http 0.0.0.0:0",
		"--sasl-max-reauth 1h":                                      "--sasl",
		"--super-users User:admin":                                  "--acls",
		"--acls-allow-if-none":                                      "--acls",
		"--acls --super-users admin":                                "want TYPE:NAME",
		"--tls-cert a --tls-key b --tls-client-auth nonsense":       "none, requested or required",
		"--tls-client-ca a --sasl PLAIN --tls-client-auth required": "--tls-cert",
	} {
		if _, err := parse(strings.Fields("--memory " + args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", args, err)
		}
	}
	for _, args := range []string{"--listen 0.0.0.0:9092 --allow-remote --allow-anyone", "--listen 0.0.0.0:9092 --allow-remote --sasl PLAIN", "--listen 0.0.0.0:9092 --allow-remote --tls-cert a --tls-key b", "--acls --super-users User:a;User:CN=b,O=Shop --acls-allow-if-none"} {
		if _, err := parse(strings.Fields("--memory " + args)); err != nil {
			t.Errorf("%s: %v", args, err)
		}
	}
}
