package clienttest

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
)

// librdkafka fetches its tokens from a server (OIDC), as its test 0126 does: who is given a good one is who it says, and one that has ended, one that
// somebody else has signed, and none at all, are authentication that has failed.
func TestLibrdkafkaOIDC(t *testing.T) {
	newConfluentProgram().needs(t)
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, stranger, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		id, secret, _ := r.BasicAuth()
		if r.FormValue("grant_type") != "client_credentials" || id != "app" || secret != "secret" {
			http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
			return
		}
		key, life := private, time.Hour
		switch r.URL.Path {
		case "/stranger":
			key = stranger
		case "/ended":
			life = -time.Hour
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"token_type": "bearer", "expires_in": life.Seconds(), "access_token": signed(t, key, map[string]any{
			"sub": "alice", "aud": r.FormValue("scope"), "iat": time.Now().Add(-2 * time.Hour).Unix(), "exp": time.Now().Add(life).Unix(),
		})})
	}))
	t.Cleanup(tokens.Close)
	asked := make(chan kafka.Principal, 100)
	k := inMemory(t, samsa.Options{Hooks: []samsa.Hook{{Request: func(ctx context.Context, e samsa.RequestEvent) {
		if e.Name == "Metadata" {
			select {
			case asked <- kafka.PrincipalOf(ctx):
			default:
			}
		}
	}}}})
	keys := filepath.Join(t.TempDir(), "keys.json")
	set, err := json.Marshal(map[string]any{"keys": []map[string]string{{"kty": "OKP", "crv": "Ed25519", "kid": "1", "x": base64.RawURLEncoding.EncodeToString(public)}}})
	if err == nil {
		err = os.WriteFile(keys, set, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	check, err := kafka.JWKS(keys, kafka.TokenOptions{Audience: "samsa"})
	if err != nil {
		t.Fatal(err)
	}
	srv, err := kafka.Listen(k.Broker, "127.0.0.1:0", kafka.Options{Security: kafka.Security{SASL: &kafka.SASL{Mechanisms: []string{"OAUTHBEARER"}, Token: check}}})
	if err != nil {
		t.Fatal(err)
	}
	config := func(path, secret, scope string) map[string]string {
		return map[string]string{
			"patience": "30000", "bootstrap.servers": srv.Addr().String(), "security.protocol": "SASL_PLAINTEXT", "sasl.mechanisms": "OAUTHBEARER",
			"sasl.oauthbearer.method": "oidc", "sasl.oauthbearer.client.id": "app", "sasl.oauthbearer.client.secret": secret, "sasl.oauthbearer.scope": scope,
			"sasl.oauthbearer.token.endpoint.url": tokens.URL + path,
		}
	}
	in, err := json.Marshal([]map[string]string{
		config("/token", "secret", "samsa"), config("/ended", "secret", "samsa"), config("/stranger", "secret", "samsa"), config("/token", "guess", "samsa"),
		config("/token", "secret", "another"),
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(k.ctx, installed("librdkafka", "bin", "python"), filepath.Join("testdata", "confluent_secure.py"))
	cmd.Stdin = strings.NewReader(string(in))
	var got []string
	if err := json.Unmarshal([]byte(k.run(cmd)), &got); err != nil {
		t.Fatal(err)
	}
	const failed = "_AUTHENTICATION"
	if n := srv.Stats().FailedLogins; n < 3 {
		t.Errorf("%d logins have failed here, want those with a token that is none of ours", n)
	}
	if want := []string{"ok", failed, failed, failed, failed}; !slices.Equal(got, want) {
		t.Errorf("good, ended, of a stranger, none, for others: %v, want %v", got, want)
	}
	select {
	case who := <-asked:
		if who.String() != "User:alice" {
			t.Errorf("the good token is %v's", who)
		}
	default:
		t.Error("nobody has asked")
	}
}

// signed is a token (JWS) with these claims.
func signed(t *testing.T, key ed25519.PrivateKey, claims map[string]any) string {
	text, err := json.Marshal(claims)
	if err != nil {
		t.Error(err)
	}
	parts := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","kid":"1"}`)) + "." + base64.RawURLEncoding.EncodeToString(text)
	return parts + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(parts)))
}
