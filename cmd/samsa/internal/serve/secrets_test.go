package serve

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// A broker that is told secrets tells none of them again: not in its log of all levels, its output, its settings, its answers to Kafka clients, its
// metrics, its API and its console. And no password is in its files or in its backup.
func TestSecretsStayInside(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert, key := selfSigned(t, public, private)
	good, bad := token(private, "carol"), token(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), "carol")
	const told, registry, jaas = "correct-horse", "registry-staple", "jaas-battery"
	salted := bytes.Repeat([]byte("salted-pass+word"), 4)
	c, settings, err := parseIn(map[string]string{"SAMSA_REGISTRY": "http://me:" + registry + "@127.0.0.1:1"}, []string{
		"--data", filepath.Join(dir, "data"), "--backup", filepath.Join(dir, "copy"), "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--write", "--topic", "t",
		"--sasl", "PLAIN,SCRAM-SHA-256,OAUTHBEARER", "--users-file", file("users", "alice:"+told+"\n"), "--log-level", "debug", "--acls", "--super-users", "User:alice",
		"--tls-cert", file("cert.pem", string(cert)), "--tls-key", file("key.pem", string(key)),
		"--oauth-keys", file("keys.json", fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":%q}]}`, base64.RawURLEncoding.EncodeToString(public))),
	})
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	trust := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	heard := fmt.Sprintf("%+v\n", settings)
	hear := func(what any) { heard += fmt.Sprintf("%+v\n", what) }

	a := begin(t, c, Surroundings{})
	b64 := base64.StdEncoding.EncodeToString
	secrets := []string{told, b64([]byte(told)), registry, jaas, "horse-wrong", good, bad, string(salted), b64(salted), "storedKey", strings.Split(string(key), "\n")[1]}

	for _, login := range []sasl.Mechanism{
		plain.Auth{User: "alice", Pass: told + "horse-wrong"}.AsMechanism(), scram.Auth{User: "alice", Pass: "horse-wrong"}.AsSha256Mechanism(),
		oauth.Auth{Token: bad}.AsMechanism(), oauth.Auth{Token: good}.AsMechanism(),
		scram.Auth{User: "alice", Pass: told}.AsSha256Mechanism(), plain.Auth{User: "alice", Pass: told}.AsMechanism(),
	} {
		cl, err := kgo.NewClient(kgo.SeedBrokers(a.Listen...), kgo.DialTLSConfig(trust), kgo.SASL(login))
		if err != nil {
			t.Fatal(err)
		}
		err = cl.Ping(t.Context())
		hear(err)
		for _, req := range secretive(salted, jaas) {
			if err != nil {
				break
			}
			resp, err := cl.Request(t.Context(), req)
			if err != nil {
				t.Fatalf("%T: %v", req, err)
			}
			text, _ := json.Marshal(resp)
			hear(fmt.Sprintf("%T %s", resp, text))
		}
		cl.Close()
	}
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: trust, DisableKeepAlives: true}}
	pages := crawl(t, web, "https://"+a.HTTP, told)
	for path, text := range pages {
		hear(path + " " + text)
	}
	if len(pages) < 15 || !strings.Contains(pages["/metrics"], "samsa_") {
		t.Errorf("%d pages", len(pages))
	}
	for _, body := range []string{`{"name":"","password":"` + jaas + `"}`, `{"name":"bob","password":"` + jaas + `","what":1}`, `"` + jaas + `"`, jaas} {
		hear(asked(t, web, http.MethodPut, "https://"+a.HTTP+"/api/v1/users", "alice", told, body))
	}
	hear(asked(t, web, http.MethodGet, "https://"+a.HTTP+"/api/v1/users", "alice", "horse-wrong", ""))
	a.end()
	hear(a.out)
	hear(a.log.String())
	for _, secret := range secrets {
		if at := strings.Index(heard, secret); at >= 0 {
			t.Errorf("%q is told: ...%s", secret, heard[max(0, at-200):at+len(secret)])
		}
	}
	for _, want := range []string{"bob", "kafka: a token is refused", "kafka: connection ended", "AlterUserSCRAMCredentialsResponse", "broker opened"} {
		if !strings.Contains(heard, want) {
			t.Errorf("nothing of %q was heard, so this test tries less than it says", want)
		}
	}
	looked := 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Dir(path) == dir { // what it was given
			return err
		}
		looked++
		text, err := os.ReadFile(path)
		for _, secret := range []string{told, jaas, registry, good, bad, "horse-wrong", string(salted)} {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%q is in %s", secret, path)
			}
		}
		return err
	})
	if err != nil || looked < 5 {
		t.Errorf("%d files, %v", looked, err)
	}
}

// secretive returns requests that carry secrets, right and wrong ones, and some that could bring them back.
func secretive(salted []byte, jaas string) []kmsg.Request {
	scrams := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	for i, mechanism := range []int8{1, 2, 7} {
		u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
		u.Name, u.Mechanism, u.Iterations, u.Salt, u.SaltedPassword = "bob", mechanism, int32(4096-4000*(i%2)), []byte("salt"), salted
		scrams.Upsertions = append(scrams.Upsertions, u)
	}
	one := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	one.Upsertions = scrams.Upsertions[:1]
	all := []kmsg.Request{scrams, one, kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()}
	for _, r := range []struct {
		kind kmsg.ConfigResourceType
		name string
	}{{kmsg.ConfigResourceTypeBroker, "1"}, {kmsg.ConfigResourceTypeBroker, ""}, {kmsg.ConfigResourceTypeTopic, "t"}, {kmsg.ConfigResourceTypeGroupConfig, "g"}} {
		for _, name := range []string{"sasl.jaas.config", "listener.name.sasl_ssl.plain.sasl.jaas.config", "ssl.keystore.password", "retention.ms", "cleanup.policy"} {
			c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			c.Name, c.Value = name, &jaas
			rr := kmsg.NewIncrementalAlterConfigsRequestResource()
			rr.ResourceType, rr.ResourceName, rr.Configs = r.kind, r.name, append(rr.Configs, c)
			if name == "retention.ms" || name == "cleanup.policy" { // which is no secret: its error may say it
				continue
			}
			req := kmsg.NewPtrIncrementalAlterConfigsRequest()
			req.Resources = append(req.Resources, rr)
			all = append(all, req)
		}
		d := kmsg.NewDescribeConfigsRequestResource()
		d.ResourceType, d.ResourceName = r.kind, r.name
		req := kmsg.NewPtrDescribeConfigsRequest()
		req.Resources, req.IncludeSynonyms, req.IncludeDocumentation = append(req.Resources, d), true, true
		all = append(all, req)
	}
	return all
}

// token returns one that ends in a minute, signed by a key (RFC 7519, RFC 8037).
func token(key ed25519.PrivateKey, name string) string {
	now := time.Now().Unix()
	part := base64.RawURLEncoding.EncodeToString
	signed := part([]byte(`{"alg":"EdDSA"}`)) + "." + part(fmt.Appendf(nil, `{"sub":%q,"iat":%d,"exp":%d}`, name, now, now+60))
	return signed + "." + part(ed25519.Sign(key, []byte(signed)))
}

// selfSigned returns a certificate of 127.0.0.1 and its key, both PEM.
func selfSigned(t *testing.T, public ed25519.PublicKey, private ed25519.PrivateKey) (cert, key []byte) {
	t.Helper()
	x := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, x, x, public, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
}

// asked asks by a password, and returns what comes.
func asked(t *testing.T, c *http.Client, method, url, user, password, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(user, password)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Samsa-Request", "1")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(resp.Status, resp.Header, string(text))
}

// maxPages bounds a crawl.
const maxPages = 60

var links = regexp.MustCompile(`href="(/[^"#]*)`)

// crawl returns the pages of the console and what the API tells, by their paths.
func crawl(t *testing.T, c *http.Client, base, password string) map[string]string {
	t.Helper()
	pages := make(map[string]string)
	next := []string{"/", "/metrics", "/api/v1/nothing"}
	for _, of := range []string{"broker", "stats", "retention", "topics", "topics/t", "groups", "keys", "users", "acls", "quotas", "transactions", "open-transactions", "snapshot?topic=t"} {
		next = append(next, "/api/v1/"+of)
	}
	for len(next) > 0 && len(pages) < maxPages {
		path := next[0]
		next = next[1:]
		if _, done := pages[path]; done || strings.Contains(path, "follow") || strings.Contains(path, "watch") {
			continue
		}
		pages[path] = asked(t, c, http.MethodGet, base+path, "alice", password, "")
		for _, l := range links.FindAllStringSubmatch(pages[path], -1) {
			next = append(next, strings.ReplaceAll(l[1], "&amp;", "&"))
		}
	}
	return pages
}
