package cli

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/samsa-go/samsa/cluster"
	"github.com/samsa-go/samsa/cmd/samsa/internal/backend"
)

// address says where the records are that a command is about: at most one of the fields is set.
type address struct {
	dir     string // of a broker's data
	brokers string // host:port of Kafka brokers, with commas between, or a URL of them: kafka://
	api     string // URL of a broker's API
}

func (a *address) define(fs *pflag.FlagSet) {
	fs.StringVarP(&a.dir, "data", "d", "", "of a broker with its data in this `directory`, whether it runs or not")
	fs.StringVarP(&a.brokers, "brokers", "b", "", "of the Kafka cluster with brokers at `host:port[,host:port]`, or kafka://USER@host:port/?tls=true")
	fs.StringVar(&a.api, "api", "", "of the broker whose API is at this `URL`")
}

// kafkaScheme is how the URL of a cluster begins that is entered by TLS or with a password: see cluster.ParseURL.
const kafkaScheme = "kafka://"

// String says where, for people, without a password.
func (a address) String() string {
	return a.dir + backend.Redacted(a.brokers) + backend.Redacted(a.api)
}

var errNoAddress = usageError{errors.New("of which broker? Say -d DIRECTORY, -b HOST:PORT or --api URL, or set SAMSA (samsa help addresses)")}

// resolve returns what the flags say, or what SAMSA in the environment says.
func (a address) resolve(getenv func(string) string) (address, error) {
	given := 0
	for _, s := range []string{a.dir, a.brokers, a.api} {
		if s != "" {
			given++
		}
	}
	switch s := getenv("SAMSA"); {
	case given > 1:
		return address{}, usageError{fmt.Errorf("-d, -b and --api exclude each other")}
	case given == 1:
		return a, a.check()
	case s == "":
		return address{}, errNoAddress
	default:
		return parseAddress(s), nil
	}
}

// check checks what the command line says: it has no password. Ports of brokers may be left out.
func (a address) check() error {
	if backend.HasPassword(a.api) {
		return usageError{fmt.Errorf("--api: %w: say it in SAMSA in the environment", backend.ErrPassword)}
	}
	if a.brokers == "" {
		return nil
	}
	if strings.HasPrefix(a.brokers, kafkaScheme) {
		if _, err := cluster.ParseURL(a.brokers); err != nil {
			return usageError{err}
		}
		return nil
	}
	if strings.Contains(a.brokers, "@") {
		return usageError{errors.New("-b has an @: brokers with a user are 'kafka://USER@HOST:PORT/', with the password in " + cluster.PasswordVariable)}
	}
	for _, part := range strings.Split(a.brokers, ",") {
		if part == "" {
			return usageError{fmt.Errorf("-b %s: there is a broker without a name", a.brokers)}
		}
		_, port, err := net.SplitHostPort(part)
		if err != nil { // as of one without a port
			continue
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return usageError{fmt.Errorf("-b %s: the port of %s is no number from 1 to 65535", a.brokers, part)}
		}
	}
	return nil
}

// parseAddress tells what SAMSA in the environment means: a URL of http, host:port with a number or more of them with commas between,
// or else a directory.
func parseAddress(s string) address {
	if strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://") {
		return address{api: s}
	}
	if strings.HasPrefix(s, kafkaScheme) {
		return address{brokers: s}
	}
	for _, part := range strings.Split(s, ",") {
		host, port, err := net.SplitHostPort(part)
		if _, number := strconv.ParseUint(port, 10, 16); err != nil || number != nil || strings.ContainsAny(host, `/\`) {
			return address{dir: s}
		}
	}
	return address{brokers: s}
}
