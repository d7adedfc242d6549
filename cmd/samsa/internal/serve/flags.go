// Package serve is `samsa serve`: what can be set of it, where that comes from, and the broker that runs.
package serve

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/zap/zapcore"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/backup"
	"github.com/samsa-go/samsa/kafka"
)

// Config is what can be set of serve. Define makes the flags for it, Resolve adds what stands elsewhere.
type Config struct {
	listen   addresses
	data     string // "" in memory
	topics   topicFlags
	configs  configFlags // of topics
	groups   configFlags
	file     string // of settings
	logLevel zapcore.Level
	logJSON  formatFlag
	drain    time.Duration // at most, at the end
	http     string        // host:port of console and API; "" for none
	hosts    addresses     // by which those are called
	write    bool          // they may change something
	registry registryFlag  // by which the console decodes
	schemas  string        // host:port of a schema registry; "" for none
	backup   string        // folder, or s3://BUCKET/PREFIX; "" for none
	target   backup.Target // which that is
	keep     time.Duration // how long a moment of it can be restored; 0 for ever
	fake     bool          // for tests, and controlled at http
	delaySet bool          // the initial rebalance delay is not the default
	broker   samsa.Options
	kafka    kafka.Options
	brokers  int       // 1, or the nodes of a cluster
	racks    addresses // of these
	security security  // of the door
}

const defaultData = "./data"

// Define adds the flags of serve to fs, which write to c. There is one for each option of the library and
// of its wire door, but for what only a Go program can give or use; a test knows those.
func (c *Config) Define(fs *pflag.FlagSet) {
	c.configs.set = c.broker.TopicDefaults.SetConfig
	c.groups.set = c.setGroupConfig
	c.defineProcess(fs)
	c.defineBroker(fs)
	c.defineDoor(fs)
	c.defineSecurity(fs)
	fs.VisitAll(func(fl *pflag.Flag) {
		if !repeatable(fl) {
			fl.Value = &onceFlag{Value: fl.Value}
		}
		if fl.DefValue == "0s" {
			fl.DefValue = "" // the text says what 0 means
		}
	})
}

// check reports what does not go together, all of it at once.
func (c *Config) check() error {
	errs := append(c.checkFake(), c.checkSecurity()...)
	if c.broker.InMemory && c.data != "" {
		errs = append(errs, fmt.Errorf("--memory and --data %s exclude each other", c.data))
	}
	if c.kafka.NodeID < 1 {
		errs = append(errs, fmt.Errorf("--node-id is %d, want 1 to 2147483647", c.kafka.NodeID))
	}
	if c.brokers < 1 || c.brokers > kafka.MaxNodes {
		errs = append(errs, fmt.Errorf("--brokers is %d, want 1 to %d", c.brokers, kafka.MaxNodes))
	}
	if c.brokers > 1 && len(c.listen) > 1 {
		errs = append(errs, fmt.Errorf("--listen has %d addresses: with --brokers it is one, of the first, and the others are at the ports behind it", len(c.listen)))
	}
	if len(c.racks) > c.brokers {
		errs = append(errs, fmt.Errorf("--racks are %d, for %d --brokers", len(c.racks), c.brokers))
	}
	if n := len(c.advertised()); n > 0 && n != len(c.listen) {
		errs = append(errs, fmt.Errorf("--advertise has %d addresses, and --listen %d", n, len(c.listen)))
	}
	for _, addr := range c.listen {
		errs = append(errs, c.checkAddress("--listen", addr))
	}
	if c.http != "" {
		errs = append(errs, c.checkAddress("--http", c.http))
	}
	if c.schemas != "" {
		errs = append(errs, c.checkAddress("--schema-registry", c.schemas))
	}
	if c.backup != "" && c.broker.InMemory {
		errs = append(errs, errors.New("--memory and --backup exclude each other"))
	}
	if c.keep < 0 || c.keep > 0 && c.backup == "" {
		errs = append(errs, fmt.Errorf("--backup-keep is %v, want more than 0, with --backup", c.keep))
	}
	if c.http == "" && (c.write || len(c.hosts) > 0 && c.schemas == "") {
		errs = append(errs, errors.New("--write and --http-hosts are for --http, which is not given"))
	}
	if c.drain <= 0 {
		errs = append(errs, fmt.Errorf("--shutdown-timeout is %v, want more than 0", c.drain))
	}
	if !c.broker.InMemory && c.data == "" {
		c.data = defaultData
	}
	return errors.Join(errs...)
}

// checkAddress checks an address to listen at: without --allow-remote it is one that this machine alone can reach.
func (c *Config) checkAddress(flag, addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil {
		return fmt.Errorf("%s %s: want host:port", flag, addr)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	if !c.kafka.AllowRemote || !c.asks() {
		return fmt.Errorf("%s %s: other machines may reach it: give --allow-remote, and --sasl or --tls-cert, or --allow-anyone", flag, addr)
	}
	return nil
}

// setGroupConfig sets one of samsa.Options.Groups.Configs, which is checked when the broker is opened.
func (c *Config) setGroupConfig(name, value string) error {
	if c.broker.Groups.Configs == nil {
		c.broker.Groups.Configs = make(map[string]string)
	}
	c.broker.Groups.Configs[name] = value
	return nil
}

// defineProcess defines what concerns the process.
func (c *Config) defineProcess(fs *pflag.FlagSet) {
	fs.StringVar(&c.file, "config-file", "", "read settings from this `file`: lines of name = value, named as the flags are")
	fs.Var(levelFlag{&c.logLevel}, "log-level", "log from this `level` on: debug, info, warn or error")
	fs.Var(&c.logJSON, "log-format", "log in this `format`: text or json, a line each")
	fs.StringVar(&c.http, "http", "", "serve the console, the API, /metrics, /healthz and /readyz at this `host:port`")
	fs.StringVar(&c.schemas, "schema-registry", "", "serve a schema registry at this `host:port`, by Confluent's REST interface, with its schemas in the topic _schemas (samsa help schemas)")
	fs.Var(&c.hosts, "http-hosts", "let these `names`, with commas, be ones by which --http and --schema-registry are called, besides localhost and addresses; * is any")
	fs.BoolVar(&c.write, "write", false, "let who reaches --http change things, and not only look")
	fs.Var(&c.registry, "registry", "have the console at --http decode records by schemas of the registry at this `URL` (samsa help schemas; default that of --schema-registry)")
	fs.DurationVar(&c.keep, "backup-keep", 0, "remove from the backup what no moment of this `time` before now needs (default nothing)")
	fs.StringVar(&c.backup, "backup", "", "keep a copy of the data in this `folder`, or s3://BUCKET/PREFIX, up to date each second (samsa help backup)")
	fs.BoolVar(&c.fake, "fake", false, "be a fake broker for tests, in memory: --http (default "+defaultFakeHTTP+") has faults, time, copies and restarts of it, and writes")
	c.drain = 30 * time.Second
	fs.DurationVar(&c.drain, "shutdown-timeout", c.drain, "let the end wait at most this `time` for what is under way")
}

// defineBroker defines what samsa.Options has. As Kafka does, it creates topics on demand. The
// defaults of numbers are those of the library, which 0 stands for.
func (c *Config) defineBroker(fs *pflag.FlagSet) {
	o := &c.broker
	o.Produce.Compression = samsa.CompressionNone // not every client can read more
	fs.StringVarP(&c.data, "data", "d", "", "keep the data in this `directory` (default "+defaultData+")")
	fs.BoolVar(&o.InMemory, "memory", false, "keep the data in memory, until the end")
	fs.BoolVar(&o.MustExist, "must-exist", false, "do not begin a new data directory: end with an error when it is missing or empty")
	fs.Var(&c.topics, "topic", "create this topic, `name:partitions[,config=value...]` or a name alone, unless it is there; repeatable")
	fs.BoolVar(&o.AutoCreateTopics, "auto-create", true, "create topics that clients name and that do not exist; --auto-create=false does not")
	fs.IntVar(&o.TopicDefaults.Partitions, "partitions", 0, "give topics this `number` of partitions, unless something else is asked for (default 1)")
	fs.Var(&c.configs, "config", "let `name=value` be the default of a topic config, by its Kafka name, like retention.ms=60000; repeatable")
	fs.BoolVar(&o.ReadOnly, "read-only", false, "serve the data for reading, and change nothing in its directory")
	fs.Int64Var(&o.MinFreeBytes, "min-free-bytes", 0, "leave this many `bytes` of the disk free (default 64 MiB, or a sixteenth of a smaller one)")
	fs.BoolVar(&o.RebuildIndex, "rebuild-index", false, "make the index anew from the value files, when it is missing or damaged")
	fs.DurationVar(&o.RetentionInterval, "retention-interval", 0, "look for records that may go once in this `time` (default 5m)")
	o.Groups.InitialRebalanceDelay = 3 * time.Second
	fs.Var((*delayFlag)(&o.Groups.InitialRebalanceDelay), "group-initial-rebalance-delay", "let a group that was empty wait this `time` for more members; 0 for none")
	fs.DurationVar(&o.Groups.MinSessionTimeout, "group-min-session-timeout", 0, "refuse members of groups with a shorter session `time`out (default 6s)")
	fs.DurationVar(&o.Groups.MaxSessionTimeout, "group-max-session-timeout", 0, "refuse members of groups with a longer session `time`out (default 30m)")
	fs.IntVar(&o.Groups.MaxSize, "group-max-size", 0, "let groups have at most this `number` of members (default any)")
	fs.Var(&c.groups, "group-config", "let `name=value` be a broker config that bounds the configs of groups, by its Kafka name, like group.share.min.record.lock.duration.ms=1000; repeatable")
	fs.DurationVar(&o.Transactions.MaxTimeout, "transaction-max-timeout", 0, "refuse producers with a longer `time`out of transactions (default 15m)")
	fs.DurationVar(&o.Transactions.IDExpiry, "transactional-id-expiry", 0, "forget a transactional id that is not used for this `time` (default 168h)")
	fs.DurationVar(&o.ProducerIDExpiry, "producer-id-expiry", 0, "forget, in a partition, an idempotent producer that is silent for this `time` (default 24h)")
}

// defineDoor defines what kafka.Options has. As there is one node, any replication factor will do.
func (c *Config) defineDoor(fs *pflag.FlagSet) {
	o := &c.kafka
	c.listen = addresses{"127.0.0.1:9092"}
	fs.Var(&c.listen, "listen", "serve Kafka clients at this `host:port`, or several with commas; port 0 means any that is free")
	fs.StringVar(&o.Advertise, "advertise", "", "tell clients to find the broker at this `host:port`, one for each of --listen (default: where each has reached it)")
	o.NodeID = 1
	fs.Var((*int32Flag)(&o.NodeID), "node-id", "be the node of this `number`, from 1 on; of several --brokers the first is")
	c.brokers = 1
	fs.IntVar(&c.brokers, "brokers", c.brokers, "look like this `number` of brokers to Kafka clients, at --listen and the ports behind it: a stage for clients, with all data in the one store, and not replication")
	fs.Var(&c.racks, "racks", "have the --brokers be in these `racks`, with commas (default none)")
	fs.StringVar(&o.ClusterID, "cluster-id", "", "be the cluster of this `name` (default: an id that is kept with the data)")
	fs.StringVar(&o.AsVersion, "as-version", "", "look like Kafka of this `release`, 2.8 say: offer what that has, and no newer versions of requests and features")
	fs.BoolVar(&o.AllowRemote, "allow-remote", false, "allow --listen and --http at addresses that other machines reach, with --sasl or --tls-cert, or --allow-anyone")
	fs.BoolVar(&o.AnyReplicationFactor, "any-replication-factor", true, "accept topics with any replication factor, though there is one replica of each; =false accepts 1 alone")
	fs.BoolVar(&o.SyncAll, "sync-all", false, "let acks=all, commits of offsets and ends of transactions wait until the disk has them (fsync)")
	fs.BoolVar(&o.TrustCompressed, "trust-compressed", false, "store compressed batches without a look at each record")
	fs.IntVar(&o.MaxMemoryBytes, "max-memory-bytes", 0, "take at most this many `bytes` for requests and answers of all connections (default 512 MiB)")
	fs.IntVar(&o.MaxFrameBytes, "max-frame-bytes", 0, "refuse Produce requests of more `bytes` (default 100 MiB)")
	fs.IntVar(&o.MaxFetchBytes, "max-fetch-bytes", 0, "put at most this many `bytes` of records into an answer (default 55 MiB)")
	fs.IntVar(&o.MaxConnections, "max-connections", 0, "serve at most this `number` of connections (default 10,000)")
	fs.IntVar(&o.MaxInFlight, "max-in-flight", 0, "read at most this `number` of requests of a connection ahead (default 64)")
	fs.IntVar(&o.MaxBufferedBytes, "max-buffered-bytes", 0, "read at most this many `bytes` of requests of a connection ahead (default 32 MiB)")
	fs.DurationVar(&o.IdleTimeout, "idle-timeout", 0, "end connections that are silent for this `time` (default 10m)")
	fs.DurationVar(&o.WriteTimeout, "write-timeout", 0, "end connections whose client takes more `time` for a MiB of an answer, or of a request (default 30s)")
}
