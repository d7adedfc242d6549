package clienttest

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	kafkago "github.com/segmentio/kafka-go"
	kafkagosasl "github.com/segmentio/kafka-go/sasl"
	kafkagoplain "github.com/segmentio/kafka-go/sasl/plain"
	kafkagoscram "github.com/segmentio/kafka-go/sasl/scram"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	franzplain "github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	xdgscram "github.com/xdg-go/scram"

	"github.com/samsa-go/samsa/cluster/kafkatest"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/samsatest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// door is a broker that asks, of Samsa or of Apache Kafka: both give the same things to its clients.
type door struct {
	addr  string
	tls   func() *tls.Config // that trusts it
	alice func() *tls.Config // with a certificate of alice besides
	ca    []byte
	other []byte // an authority that has not signed it
	dir   string // for files
}

// entry is a way in that a client tries.
type entry struct {
	name      string
	tls       string // "" for none, or "trusted", "untrusted", "alice": with a certificate
	mechanism string // "" for none
	user      string
	password  string
	token     string
	silent    bool // the client is not told what is wrong: it gives up by itself
}

// patience is after how long a client that has heard nothing gives up.
func (e entry) patience() time.Duration {
	if e.silent {
		return 4 * time.Second
	}
	return patience
}

// millis is patience in milliseconds, for programs.
func (e entry) millis() string { return fmt.Sprint(e.patience().Milliseconds()) }

// config returns what a client has of TLS.
func (e entry) config(d door) *tls.Config {
	switch e.tls {
	case "":
		return nil
	case "alice":
		return d.alice()
	}
	config := d.tls()
	if e.tls == "untrusted" {
		config.RootCAs = x509.NewCertPool()
	}
	return config
}

func (e entry) protocol() string {
	return map[bool]string{true: "SASL_", false: ""}[e.mechanism != ""] + map[bool]string{true: "SSL", false: "PLAINTEXT"}[e.tls != ""]
}

// unsigned is a token that nobody has signed.
func unsigned(claims string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"none"}`)) + "." + part([]byte(claims)) + "."
}

// takeUnsigned takes such tokens, as Kafka's broker does that was not told of keys.
func takeUnsigned(_ context.Context, token string) (kafka.Identity, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return kafka.Identity{}, errors.New("no token")
	}
	var claims struct {
		Sub string
		Exp float64
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	return kafka.Identity{Principal: kafka.Principal{Type: kafka.UserType, Name: claims.Sub}, Expires: time.UnixMilli(int64(claims.Exp * 1000))}, err
}

// tries is how a client tries entries: what comes of each is "ok", the code of Kafka that it has heard, or "refused".
type tries struct {
	name  string
	needs func(t *testing.T)
	has   func(e entry) bool // false for what the client has not
	each  func(t *testing.T, d door, entries []entry) []string
}

func alone(f func(ctx context.Context, d door, e entry) error) func(*testing.T, door, []entry) []string {
	return func(t *testing.T, d door, entries []entry) []string {
		all := make([]string, len(entries))
		var tried sync.WaitGroup
		for i, e := range entries {
			tried.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 5*e.patience())
				defer cancel()
				all[i] = outcome(f(ctx, d, e))
			})
		}
		tried.Wait()
		return all
	}
}

// outcome names what a Go client has heard.
func outcome(err error) string {
	var k *kerr.Error
	var s sarama.KError
	var g kafkago.Error
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &k):
		return k.Message
	case errors.As(err, &s):
		return kerr.TypedErrorForCode(int16(s)).Message
	case errors.As(err, &g):
		return kerr.TypedErrorForCode(int16(g)).Message
	}
	for _, code := range []sarama.KError{sarama.ErrUnsupportedSASLMechanism, sarama.ErrIllegalSASLState, sarama.ErrSASLAuthenticationFailed} { // sarama tells them in words alone
		if strings.Contains(err.Error(), code.Error()) {
			return kerr.TypedErrorForCode(int16(code)).Message
		}
	}
	return "refused"
}

func triesFranz(ctx context.Context, d door, e entry) error {
	cl, err := kgo.NewClient(append(franzOptions(d, e), kgo.RequestRetries(0), kgo.DialTimeout(e.patience()))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	return cl.Ping(ctx)
}

// franzOptions say where the door is, and how to come in.
func franzOptions(d door, e entry) []kgo.Opt {
	opts := []kgo.Opt{kgo.SeedBrokers(d.addr)}
	if config := e.config(d); config != nil {
		opts = append(opts, kgo.DialTLSConfig(config))
	}
	mechanisms := map[string]sasl.Mechanism{
		"PLAIN":         franzplain.Auth{User: e.user, Pass: e.password}.AsMechanism(),
		"SCRAM-SHA-256": scram.Auth{User: e.user, Pass: e.password}.AsSha256Mechanism(),
		"SCRAM-SHA-512": scram.Auth{User: e.user, Pass: e.password}.AsSha512Mechanism(),
		"OAUTHBEARER":   oauth.Auth{Token: e.token}.AsMechanism(),
	}
	if e.mechanism != "" {
		opts = append(opts, kgo.SASL(mechanisms[e.mechanism]))
	}
	return opts
}

// saramaScram is xdg-go/scram for sarama, as its users write it.
type saramaScram struct {
	hash xdgscram.HashGeneratorFcn
	*xdgscram.ClientConversation
}

func (s *saramaScram) Begin(user, password, authzID string) error {
	cl, err := s.hash.NewClient(user, password, authzID)
	if err == nil {
		s.ClientConversation = cl.NewConversation()
	}
	return err
}

// Token implements sarama.AccessTokenProvider.
func (e entry) Token() (*sarama.AccessToken, error) { return &sarama.AccessToken{Token: e.token}, nil }

func triesSarama(_ context.Context, d door, e entry) error {
	config := sarama.NewConfig()
	config.Metadata.Retry.Max, config.Net.DialTimeout, config.Net.ReadTimeout = 0, e.patience(), e.patience()
	saramaSecurity(config, d, e)
	cl, err := sarama.NewClient([]string{d.addr}, config)
	if err != nil {
		return err
	}
	return cl.Close()
}

// saramaSecurity says how to come in.
func saramaSecurity(config *sarama.Config, d door, e entry) {
	if c := e.config(d); c != nil {
		config.Net.TLS.Enable, config.Net.TLS.Config = true, c
	}
	if e.mechanism != "" {
		config.Net.SASL.Enable, config.Net.SASL.Mechanism = true, sarama.SASLMechanism(e.mechanism)
		config.Net.SASL.User, config.Net.SASL.Password, config.Net.SASL.TokenProvider = e.user, e.password, e
		config.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient {
			hash := xdgscram.SHA256
			if e.mechanism == "SCRAM-SHA-512" {
				hash = xdgscram.SHA512
			}
			return &saramaScram{hash: hash}
		}
	}
}

func triesKafkaGo(ctx context.Context, d door, e entry) (err error) {
	var m kafkagosasl.Mechanism
	switch e.mechanism {
	case "PLAIN":
		m = kafkagoplain.Mechanism{Username: e.user, Password: e.password}
	case "SCRAM-SHA-256":
		m, err = kafkagoscram.Mechanism(kafkagoscram.SHA256, e.user, e.password)
	case "SCRAM-SHA-512":
		m, err = kafkagoscram.Mechanism(kafkagoscram.SHA512, e.user, e.password)
	}
	if err != nil {
		return err
	}
	nc, err := (&kafkago.Dialer{Timeout: e.patience(), TLS: e.config(d), SASLMechanism: m}).DialContext(ctx, "tcp", d.addr)
	if err != nil {
		return err
	}
	_, err = nc.Brokers()
	return errors.Join(err, nc.Close())
}

// files writes what a client that is not of this process has of TLS: the authority, and the certificate with its key.
func (d door) files(t *testing.T, e entry) (ca, pair string) {
	t.Helper()
	put := func(name string, b []byte) string {
		path := filepath.Join(d.dir, name)
		must(t, os.WriteFile(path, b, 0o600))
		return path
	}
	ca = put("ca.pem", d.ca)
	if e.tls == "untrusted" {
		ca = put("other.pem", d.other)
	}
	if e.tls == "alice" {
		cert := d.alice().Certificates[0]
		key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
		must(t, err)
		pair = put("alice.pem", append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]})...))
	}
	return ca, pair
}

func triesProgram(command func(ctx context.Context) *exec.Cmd, config func(t *testing.T, d door, e entry) map[string]string, named func(string) string) func(*testing.T, door, []entry) []string {
	return func(t *testing.T, d door, entries []entry) (all []string) {
		t.Helper()
		var configs []map[string]string
		for _, e := range entries {
			configs = append(configs, config(t, d, e))
		}
		in, err := json.Marshal(configs)
		must(t, err)
		cmd := command(t.Context())
		var stderr bytes.Buffer
		cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
		out, err := cmd.Output()
		if err == nil {
			err = json.Unmarshal(out, &all)
		}
		if err != nil || len(all) != len(entries) {
			t.Fatalf("%v: %d outcomes of %d: %v\n%s", cmd.Args, len(all), len(entries), err, stderr.String())
		}
		for i, o := range all {
			all[i] = named(o)
		}
		return all
	}
}

func librdkafkaConfig(t *testing.T, d door, e entry) map[string]string {
	t.Helper()
	config := map[string]string{"bootstrap.servers": d.addr, "security.protocol": e.protocol(), "patience": e.millis()}
	if e.tls != "" {
		ca, pair := d.files(t, e)
		if config["ssl.ca.location"] = ca; pair != "" {
			config["ssl.certificate.location"], config["ssl.key.location"] = pair, pair
		}
	}
	if e.mechanism != "" {
		config["sasl.mechanism"] = e.mechanism
	}
	switch {
	case e.token != "":
		config["token"] = e.token
	case e.user != "":
		config["sasl.username"], config["sasl.password"] = e.user, e.password
	}
	return config
}

func javaConfig(t *testing.T, d door, e entry) map[string]string {
	t.Helper()
	config := map[string]string{"bootstrap.servers": d.addr, "security.protocol": e.protocol(), "patience": e.millis()}
	if e.tls != "" {
		ca, pair := d.files(t, e)
		config["ssl.truststore.type"], config["ssl.truststore.location"] = "PEM", ca
		if pair != "" {
			config["ssl.keystore.type"], config["ssl.keystore.location"] = "PEM", pair
		}
	}
	const modules = "org.apache.kafka.common.security."
	if e.mechanism != "" {
		config["sasl.mechanism"] = e.mechanism
	}
	switch {
	case e.mechanism == "OAUTHBEARER":
		config["sasl.jaas.config"] = modules + `oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="alice";`
	case strings.HasPrefix(e.mechanism, "SCRAM"):
		config["sasl.jaas.config"] = fmt.Sprintf("%sscram.ScramLoginModule required username=%q password=%q;", modules, e.user, e.password)
	case e.mechanism == "PLAIN":
		config["sasl.jaas.config"] = fmt.Sprintf("%splain.PlainLoginModule required username=%q password=%q;", modules, e.user, e.password)
	}
	return config
}

// scriptConfig is what the programs take that are not librdkafka's and not Java.
func scriptConfig(t *testing.T, d door, e entry) map[string]string {
	t.Helper()
	config := map[string]string{"bootstrap.servers": d.addr, "security.protocol": e.protocol(), "patience": e.millis()}
	if e.tls != "" {
		ca, pair := d.files(t, e)
		if config["ca"] = ca; pair != "" {
			config["pair"] = pair
		}
	}
	if e.mechanism != "" {
		config["sasl.mechanism"] = e.mechanism
	}
	switch {
	case e.token != "":
		config["token"] = e.token
	case e.user != "":
		config["sasl.plain.username"], config["sasl.plain.password"] = e.user, e.password
	}
	return config
}

// triesKcat has kcat list the topics, and takes what its log says first: it goes on trying.
func triesKcat(t *testing.T, d door, entries []entry) []string {
	t.Helper()
	all, args := make([]string, len(entries)), make([][]string, len(entries))
	for i, e := range entries {
		args[i] = []string{"-L", "-m", "60"}
		for name, value := range librdkafkaConfig(t, d, e) {
			switch name {
			case "patience":
				continue
			case "token":
				name, value = "sasl.oauthbearer.config", "principal="+e.user
				args[i] = append(args[i], "-X", "enable.sasl.oauthbearer.unsecure.jwt=true")
			}
			args[i] = append(args[i], "-X", name+"="+value)
		}
	}
	var tried sync.WaitGroup
	for i := range entries {
		tried.Go(func() { all[i] = kcatOutcome(t, args[i]) })
	}
	tried.Wait()
	return all
}

// kcatOutcome is "ok", or the reason that kcat's log gives, without addresses and times.
func kcatOutcome(t *testing.T, args []string) string {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, "kcat", args...)
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return err.Error()
	}
	said := ""
	for lines := bufio.NewScanner(stderr); said == "" && lines.Scan(); {
		if _, after, ok := strings.Cut(lines.Text(), "FAIL|"); ok {
			parts := strings.SplitN(after, ": ", 3) // the client's name and the broker, twice
			said, _, _ = strings.Cut(parts[len(parts)-1], " (after")
			if strings.Contains(said, " alert ") { // TLS libraries have one of their own for a certificate that is missing
				said, _, _ = strings.Cut(said, ": error")
			}
			if untrusted := "certificate verify failed"; strings.Contains(said, untrusted) {
				said = untrusted // with more words or fewer, as its threads come to it
			}
			cancel()
		}
	}
	if err := cmd.Wait(); err == nil {
		return "ok"
	}
	return cmp.Or(said, "refused")
}

// securedClients are the clients that are tried.
func securedClients() []tries {
	anything := func(entry) bool { return true }
	ofAlice := func(e entry) bool { return e.mechanism != "OAUTHBEARER" || e.user == "alice" } // they make the token themselves
	none := func(*testing.T) {}
	same := func(o string) string { return o }
	rd, oldPython := newConfluentProgram(), kafkaPythonClient()
	script := func(command ...string) func(ctx context.Context) *exec.Cmd {
		return func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, command[0], command[1:]...) }
	}
	java := func(set javaSet) tries {
		return tries{"Java, " + string(set), func(t *testing.T) { set.needs(t, "kafka-clients") }, ofAlice, triesProgram(func(ctx context.Context) *exec.Cmd {
			return set.command(ctx, filepath.Join("testdata", "java", "Secure.java"))
		}, javaConfig, same)}
	}
	python := installed("python", "bin", "python")
	return []tries{
		{"franz-go", none, anything, alone(triesFranz)},
		{"sarama", none, anything, alone(triesSarama)},
		{"kafka-go", none, func(e entry) bool { return e.mechanism != "OAUTHBEARER" }, alone(triesKafkaGo)},
		{"librdkafka", rd.needs, anything, triesProgram(script(installed("librdkafka", "bin", "python"), filepath.Join("testdata", "confluent_secure.py")), librdkafkaConfig, same)},
		{"kcat", kcatClient().needs, ofAlice, triesKcat},
		{"kafka-python", oldPython.needs, anything, triesProgram(script(debianPython, filepath.Join("testdata", "kafka_python_secure.py")), scriptConfig, same)},
		{"kafka-python-3", newKafkaPythonClient().needs, anything, triesProgram(script(python, filepath.Join("testdata", "kafka_python_secure.py")), scriptConfig, same)},
		{"aiokafka", aioKafkaClient().needs, anything, triesProgram(script(python, filepath.Join("testdata", "aiokafka_secure.py")), scriptConfig, same)},
		{"kafkajs", kafkaJSClient().needs, anything, triesProgram(func(ctx context.Context) *exec.Cmd {
			return nodeCommand(ctx, "kafkajs_secure.js")
		}, scriptConfig, same)},
		java(javaClients), java(javaStreams),
	}
}

// Each client, by each mechanism and by TLS, right and wrong, has the same outcome at Samsa and at Apache Kafka with the same configuration: it is let in
// by both or by neither, and hears the same code.
func TestSecuredLikeKafka(t *testing.T) {
	kafkatest.Need(t)
	users := map[string]string{"alice": "right", "bob": "hop"}
	hour := time.Now().Add(time.Hour).Unix()
	good, ended := unsigned(fmt.Sprintf(`{"sub":"alice","iat":%d,"exp":%d}`, hour-3600, hour)), unsigned(fmt.Sprintf(`{"sub":"alice","iat":%d,"exp":%d}`, hour-8000, hour-7000))
	passwords := func(tls, mechanism string) []entry {
		return []entry{
			{mechanism, tls, mechanism, "alice", "right", "", false}, {mechanism + ", wrong password", tls, mechanism, "alice", "wrong", "", false},
			{mechanism + ", another's password", tls, mechanism, "alice", "hop", "", false}, {mechanism + ", nobody", tls, mechanism, "nobody", "right", "", false},
		}
	}
	for _, world := range []struct {
		name    string
		secure  kafkatest.Secure
		entries []entry
	}{
		{"SASL_SSL", kafkatest.Secure{TLS: true, SASL: []string{"PLAIN", "SCRAM-SHA-256", "OAUTHBEARER"}, Users: users}, slices.Concat(
			passwords("trusted", "PLAIN"), passwords("trusted", "SCRAM-SHA-256"), []entry{
				{"OAUTHBEARER", "trusted", "OAUTHBEARER", "alice", "", good, false}, {"OAUTHBEARER, ended", "trusted", "OAUTHBEARER", "ended", "", ended, false},
				{"a mechanism that is not enabled", "trusted", "SCRAM-SHA-512", "alice", "right", "", false}, {"no SASL", "trusted", "", "", "", "", true},
				{"no TLS", "", "PLAIN", "alice", "right", "", true}, {"an authority that is not trusted", "untrusted", "PLAIN", "alice", "right", "", false},
			})},
		{"SASL_PLAINTEXT", kafkatest.Secure{SASL: []string{"SCRAM-SHA-512"}, Users: users}, slices.Concat(passwords("", "SCRAM-SHA-512"), []entry{
			{"a mechanism that is not enabled", "", "PLAIN", "alice", "right", "", false}, {"no SASL", "", "", "", "", "", true},
		})},
		{"SSL", kafkatest.Secure{TLS: true, Mutual: true}, []entry{
			{"a certificate", "alice", "", "", "", "", false}, {"no certificate", "trusted", "", "", "", "", false}, {"no TLS", "", "", "", "", "", true},
			{"SASL where nobody is asked", "alice", "PLAIN", "alice", "right", "", false},
		}},
		{"PLAINTEXT", kafkatest.Secure{}, []entry{{"SASL where nobody is asked", "", "PLAIN", "alice", "right", "", false}, {"nothing", "", "", "", "", "", false}}},
	} {
		t.Run(world.name, func(t *testing.T) { testSecuredLikeKafka(t, world.secure, world.entries) })
	}
}

func testSecuredLikeKafka(t *testing.T, secure kafkatest.Secure, entries []entry) {
	t.Parallel()
	c := kafkatest.New(t, kafkatest.Options{Secure: secure})
	there := door{addr: c.Seeds()[0], dir: t.TempDir()}
	if secure.TLS {
		there.tls, there.ca = c.TLS, c.CA()
		there.alice = func() *tls.Config {
			config, err := c.ClientTLS("alice")
			must(t, err)
			return config
		}
	}
	b := samsatest.New(t)
	g := samsatest.Guard{TLS: secure.TLS, Mutual: secure.Mutual, SASL: secure.SASL, Users: secure.Users}
	if len(secure.SASL) == 0 {
		g.Users = nil
	}
	if slices.Contains(secure.SASL, "OAUTHBEARER") {
		g.Token = takeUnsigned
	}
	s := samsatest.Secure(t, b, g)
	there.other = s.CA()
	here := door{addr: s.Addr, other: there.ca, tls: s.TLS, alice: func() *tls.Config { return s.ClientTLS("alice") }, ca: s.CA(), dir: t.TempDir()}
	var table strings.Builder
	for _, cl := range securedClients() {
		t.Run(cl.name, func(t *testing.T) {
			cl.needs(t)
			has := slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return !cl.has(e) })
			ours, theirs := cl.each(t, here, has), cl.each(t, there, has)
			for i, e := range has {
				fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", e.name, cl.name, ours[i], cmp.Or(map[bool]string{true: "the same"}[ours[i] == theirs[i]], theirs[i]))
				gaveUp := e.silent && ours[i] != "ok" && theirs[i] != "ok" // which of its errors it names depends on when that was
				if ours[i] != theirs[i] && !gaveUp {
					t.Errorf("%s: %s here, %s at Kafka", e.name, ours[i], theirs[i])
				}
			}
		})
	}
	t.Logf("\n| what | client | Samsa | Apache Kafka %s |\n|---|---|---|---|\n%s", kafkatest.Version, table.String())
}
