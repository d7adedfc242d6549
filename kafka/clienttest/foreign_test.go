package clienttest

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// required is the value of the variable SAMSA_CLIENTS with which a client that is not installed
// fails its tests.
const required = "required"

// missing ends a test that needs something which is not installed.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("SAMSA_CLIENTS") == required {
		t.Fatalf("%s is not installed and SAMSA_CLIENTS=%s: run kafka/clienttest/install.sh", what, required)
	}
	t.Skipf("%s is not installed: run kafka/clienttest/install.sh", what)
}

// installed is where install.sh puts what no package manager has a place for.
func installed(parts ...string) string {
	dir := os.Getenv("SAMSA_CLIENTS_DIR")
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(cache, "samsa-clients")
	}
	return filepath.Join(append([]string{dir}, parts...)...)
}

// run runs a program to its end and returns what it printed.
func (k *kit) run(cmd *exec.Cmd) string {
	k.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil {
		k.t.Fatalf("%s: %v\n%s\n%s", strings.Join(cmd.Args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// program is a client that is a program of testdata. It is called with a verb, the address and
// arguments of the verb, reads JSON from its standard input and writes JSON to its standard output:
//
//	produce ADDR                 jobs in
//	consume ADDR N TOPIC...      a map of topics to their first N records out
//	group   ADDR N TOPIC GROUP [PROTOCOL]
//	                             N records out, read and committed as a member of the group
//
// If it has transactions, then these too:
//
//	committed ADDR N TOPIC...    consume, of what is committed
//	transact  ADDR               a story in
type program struct {
	name    string
	command func(ctx context.Context, args ...string) *exec.Cmd
	needs   func(t *testing.T)
}

func (p program) client() client {
	return client{
		name: p.name, needs: p.needs,
		produce: func(k *kit, jobs []job) { p.call(k, jobs, nil, "produce") },
		complain: func(k *kit, jobs []job) string {
			k.t.Helper()
			in, err := json.Marshal(jobs)
			must(k.t, err)
			cmd := p.command(k.ctx, "produce", k.addr)
			cmd.Stdin = bytes.NewReader(in)
			said, err := cmd.CombinedOutput()
			if err == nil {
				k.t.Errorf("%s does not fail", p.name)
			}
			return string(said)
		},
		consume: func(k *kit, topics []string, n int) (got map[string][]record) {
			p.call(k, nil, &got, "consume", append([]string{strconv.Itoa(n)}, topics...)...)
			return got
		},
		group: func(k *kit, group, topic string, n int) (got []record) {
			p.call(k, nil, &got, "group", strconv.Itoa(n), topic, group)
			return got
		},
	}
}

// transactional is client for a program that has transactions.
func (p program) transactional() client {
	c := p.client()
	c.committed = func(k *kit, topics []string, n int) (got map[string][]record) {
		p.call(k, nil, &got, "committed", append([]string{strconv.Itoa(n)}, topics...)...)
		return got
	}
	c.transact = func(k *kit, s story) { p.call(k, s, nil, "transact") }
	return c
}

// call runs the program; in and out, unless nil, are what it reads and writes.
func (p program) call(k *kit, in, out any, verb string, args ...string) {
	k.t.Helper()
	cmd := p.command(k.ctx, append([]string{verb, k.addr}, args...)...)
	input, err := json.Marshal(in)
	if err != nil {
		k.t.Fatal(err)
	}
	cmd.Stdin = bytes.NewReader(input)
	printed := k.run(cmd)
	if out == nil {
		return
	}
	if err := json.Unmarshal([]byte(printed), out); err != nil {
		k.t.Fatalf("%s printed %q: %v", p.name, printed, err)
	}
}

// debianPython is the Python for which Debian's packages are.
const debianPython = "/usr/bin/python3"

// pythonProgram is a client in testdata that needs a module of that Python.
func pythonProgram(name, python, script, module string) program {
	return program{
		name: name,
		command: func(ctx context.Context, args ...string) *exec.Cmd {
			return exec.CommandContext(ctx, python, append([]string{filepath.Join("testdata", script)}, args...)...)
		},
		needs: func(t *testing.T) {
			if err := exec.CommandContext(t.Context(), python, "-c", "import "+module).Run(); err != nil {
				missing(t, module+" of "+python)
			}
		},
	}
}

// confluentProgram is confluent-kafka, librdkafka for Python, as Debian has it.
func confluentProgram() program {
	return pythonProgram("confluent-kafka", debianPython, "confluent_client.py", "confluent_kafka")
}

// newConfluentProgram is the newest release of it, which brings its own librdkafka.
func newConfluentProgram() program {
	return pythonProgram("confluent-kafka-2", installed("librdkafka", "bin", "python"), "confluent_client.py", "confluent_kafka")
}

// kafkaPythonClient is kafka-python as Debian has it, which knows of no transactions.
func kafkaPythonClient() client { return kafkaPythonProgram().client() }

func kafkaPythonProgram() program {
	return pythonProgram("kafka-python", debianPython, "kafka_python_client.py", "kafka, snappy, lz4, zstandard")
}

// newKafkaPythonClient is the newest release of it.
func newKafkaPythonClient() client { return newKafkaPythonProgram().transactional() }

func newKafkaPythonProgram() program {
	return pythonProgram("kafka-python-3", installed("python", "bin", "python"), "kafka_python_client.py", "kafka")
}

// aioKafkaClient is aiokafka.
func aioKafkaClient() client { return aioKafkaProgram().transactional() }

func aioKafkaProgram() program {
	return pythonProgram("aiokafka", installed("python", "bin", "python"), "aiokafka_client.py", "aiokafka")
}

// kafkaJSClient is kafkajs.
func kafkaJSClient() client { return kafkaJSProgram().transactional() }

func kafkaJSProgram() program {
	return program{
		name: "kafkajs",
		command: func(ctx context.Context, args ...string) *exec.Cmd {
			return nodeCommand(ctx, append([]string{"kafkajs_client.js"}, args...)...)
		},
		needs: func(t *testing.T) {
			if _, err := exec.LookPath("node"); err != nil {
				missing(t, "node")
			}
			if _, err := os.Stat(installed("node", "node_modules", "kafkajs")); err != nil {
				missing(t, "kafkajs")
			}
		},
	}
}

// nodeCommand runs a script of testdata where kafkajs is.
func nodeCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "node", append([]string{filepath.Join("testdata", args[0])}, args[1:]...)...)
	cmd.Env = append(os.Environ(), "NODE_PATH="+installed("node", "node_modules"), "KAFKAJS_NO_PARTITIONER_WARNING=1")
	return cmd
}

// javaProgram is Kafka's own client, of the release that is in the set.
func javaProgram(name string, set javaSet) program {
	source := filepath.Join("testdata", "java", "Client.java")
	return program{
		name: name,
		command: func(ctx context.Context, args ...string) *exec.Cmd {
			return set.command(ctx, append([]string{source}, args...)...)
		},
		needs: func(t *testing.T) {
			set.needs(t, "kafka-clients")
			set.compiled(source) // now, and not in the time that a test has
		},
	}
}
