package cli

import (
	"github.com/spf13/cobra"
)

// helpTopics returns the help topics: commands that do nothing, whose help is a text. `samsa help NAME` shows it, and a man page has it.
func helpTopics() []*cobra.Command {
	return []*cobra.Command{
		{Use: "exit-codes", Short: "What a command ends with", Long: exitCodesText},
		{Use: "addresses", Short: "How to say which broker is meant", Long: addressesText},
		{Use: "formats", Short: "The lines that consume prints and produce reads", Long: formatsText},
		{Use: "expressions", Short: "Choosing and printing records with jq", Long: expressionsText},
		{Use: "schemas", Short: "Avro, Protobuf and JSON Schema by a schema registry", Long: schemasText},
		{Use: "positions", Short: "How to say where in a topic", Long: positionsText},
		{Use: "environment", Short: "What stands in the environment", Long: environmentText},
	}
}

const exitCodesText = `A command ends with one of these codes:

  0  it is done
  1  it could not be done
  2  the command line is wrong, or a name or a setting
  3  what was named is not there: a topic, a partition, an offset, a group, a key, a schema, a directory
  4  what was to be made is there already
  5  it may not be done: it was not confirmed, writing is not allowed, or of a mirror some topics, while the others are done
  6  not now: a broker does not answer, a directory is locked, a disk is full; the same command may succeed later
  7  something stored is damaged
  141  nobody reads what is printed any more, as in samsa topics | head -1

What went wrong is told on stderr, in a line that begins with the command's name. What is printed on stdout until then holds.`

const addressesText = `Most commands are about the records of one broker or cluster. There are three ways to say of which:

  -d DIRECTORY         the data of a broker of Samsa. While a broker has it open, it is asked, by the socket that its directory names;
                       else the directory is opened, for reading only unless the command writes
  -b HOST:PORT[,...]   any Kafka cluster, by Kafka's protocol, samsa serve too
  --api URL            a broker of Samsa whose API is served there, as by samsa serve --http

A cluster that wants TLS or a password is a URL, in quotes, since a shell has its own use for &:

  -b 'kafka://USER@HOST:PORT[,HOST:PORT...]/?tls=true&ca=FILE&cert=FILE&key=FILE&sasl=MECHANISM'

The password is in SAMSA_KAFKA_PASSWORD. ca is a file of the certificates that are trusted, without it those of the system. cert and key
are files of a certificate to show, and of its key. sasl is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, the default.

An API that asks is https://USER:PASSWORD@HOST:PORT, in SAMSA in the environment: in --api it is refused, as arguments are in the list of
processes. A space in the password is %20 there, a / is %2F. It trusts the certificates of the system, or on Linux those in the file that
SSL_CERT_FILE in the environment names.

Without one of these SAMSA in the environment counts. It may be any of the three: what begins with http:// or https:// is the URL of an API,
what begins with kafka:// is that of a cluster, what is host:port, or several with commas, is brokers, and all else is a directory (write
./name:9 for one that looks otherwise).`

const environmentText = `These are looked at in the environment:

  SAMSA                  which broker is meant, without -d, -b and --api (samsa help addresses)
  SAMSA_KAFKA_PASSWORD   the password of the user in a kafka:// URL (samsa help addresses)
  SAMSA_REGISTRY         the schema registry of consume, produce and serve, without --registry (samsa help schemas)
  SAMSA_...              for serve and config, a flag: --log-level is SAMSA_LOG_LEVEL. Values of flags that are repeated have blanks between
  NO_COLOR               when it is set, tables have no colours; without it they have them on a terminal only
  NOTIFY_SOCKET          for serve, set by systemd with Type=notify: serve says there when it is ready and when it ends`
