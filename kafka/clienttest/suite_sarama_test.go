package clienttest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/samsatest"
)

// sarama's functional tests have five brokers in containers, behind Toxiproxy, whom they stop and start by docker compose, and Kafka's programs in
// one of them. Here the brokers are a cluster, and a program that is called docker does what they want of it. Left out is a test of the broker's
// config log.cleaner.backoff.ms, which this broker has not.
func TestSuiteSarama(t *testing.T) {
	javaTools.needs(t, "kafka-tools")
	k := forSuite(t, samsa.Options{})
	const brokers = 5
	lns := listenInARow(t, brokers)
	first := lns[0].Addr().String()
	c := samsatest.Cluster(t, k.Broker, brokers, kafka.ClusterOptions{
		Options: kafka.Options{Advertise: strings.Replace(first, "127.0.0.1", "localhost", 1)},
		Racks:   []string{"1", "2", "3", "4", "5"}, ReplicationFactor: 2,
	})
	x := poison(t, lns, c.Addrs())
	bin := k.dockerFor(c)
	suite{
		module: "github.com/IBM/sarama@v1.61.1", pkgs: []string{"."}, tags: "functional",
		env: []string{"PATH=" + bin + string(filepath.ListSeparator) + os.Getenv("PATH"), "KAFKA_VERSION=4.4.0"},
		brief: "^Test(Func(Admin|Connection|Client|Describe|List|OffsetManager|JoinGroup|InitProducerId|Idempotent|Producing|TxnProduceWith|TxnProduceEpoch)" +
			"|ConsumerFetchFollower|AsyncProducerRemote|VersionMatrix|Interceptors)",
		skip: "^TestFuncAdminIncrementalAlterConfigs$",
		edit: map[string]string{
			`http://localhost:8474`: x.api.URL,
			`\b29090\b`:             fmt.Sprint(x.proxies["kafka1"].port - 1),
			`kafka-1:9091`:          first,
			`/opt/kafka-%s/bin/`:    bin + "/%.0s",
		},
	}.play(t)
}

// dockerFor returns a directory of programs: docker, for a cluster, and those of Kafka that the suite runs with it.
func (k *kit) dockerFor(c *kafka.Cluster) (dir string) {
	k.t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var verb string
		var node int32
		_, err := fmt.Sscanf(r.URL.Path, "/%s kafka-%d", &verb, &node)
		switch {
		case err != nil:
		case verb == "stop":
			err = c.Stop(node)
		case verb == "start" && !c.Runs(node):
			err = c.Start(node)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}))
	k.t.Cleanup(srv.Close)
	dir = k.t.TempDir()
	self, err := os.Executable()
	must(k.t, err)
	scripts := map[string]string{"docker": fmt.Sprintf("export %s=docker %s=%s; exec %s", childName, childAddr, srv.URL, self)}
	for name, class := range map[string]string{
		"kafka-console-producer.sh":    "ConsoleProducer",
		"kafka-console-consumer.sh":    "consumer.ConsoleConsumer",
		"kafka-verifiable-consumer.sh": "VerifiableConsumer",
	} {
		scripts[name] = "exec '" + strings.Join(javaTools.command(k.ctx, "org.apache.kafka.tools."+class).Args, "' '") + "'"
	}
	for name, script := range scripts {
		must(k.t, os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+` "$@"`+"\n"), 0o700))
	}
	return dir
}

// docker is what sarama's suite wants of docker compose.
func docker() error {
	args := slices.DeleteFunc(slices.Clone(os.Args[1:]), func(s string) bool { return strings.HasPrefix(s, "-") && s != "-c" })
	if len(args) < 2 || args[0] != "compose" {
		return fmt.Errorf("docker does not know %q", os.Args[1:])
	}
	switch args[1] {
	case "stop", "start":
		resp, err := http.Post(os.Getenv(childAddr)+"/"+args[1]+"%20"+args[2], "", nil)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		said, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = errors.New(string(bytes.TrimSpace(said)))
		}
		return err
	case "exec": // exec -T kafka-1 PROGRAM ARGUMENT...
		i := slices.Index(os.Args, "kafka-1")
		if i < 0 || i+1 == len(os.Args) {
			return fmt.Errorf("docker does not know %q", os.Args[1:])
		}
		program, err := exec.LookPath(os.Args[i+1])
		if err != nil {
			return err
		}
		if err := os.Unsetenv(childName); err != nil {
			return err
		}
		return syscall.Exec(program, os.Args[i+1:], os.Environ())
	}
	return nil // up, down and rm have nothing to do, and logs are those of the test
}
