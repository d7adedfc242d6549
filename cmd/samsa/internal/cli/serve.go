package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/samsa-go/samsa/cmd/samsa/internal/serve"
)

// serve is the command that is a broker.
func (e *env) serve() *cobra.Command {
	var c serve.Config
	cmd := &cobra.Command{
		Use:     "serve",
		GroupID: groupServe,
		Short:   "Serve Kafka clients until Ctrl-C",
		Long: `serve is a broker for Kafka clients, at the addresses of --listen, with its data in the directory of --data or in memory. It prints where
and what it serves, logs to stderr, and ends in good order on Ctrl-C, SIGTERM or SIGHUP.

Each flag may stand in the environment instead, --log-level as SAMSA_LOG_LEVEL, or in the file of --config-file, a line each:

  # samsa.conf
  listen = 127.0.0.1:9092
  topic = web_log:3,retention.ms=60000
  topic = orders

A flag counts before the environment, and that before the file. samsa config shows what counts. Under systemd with Type=notify it
says when it is ready.

With --fake it is a broker for tests of programs in any language, in memory: a test says by the API, or a person in the console, what is to go
wrong, restarts and copies the broker, and begins anew.`,
		Example: `  samsa serve --memory --topic web_log:3
  samsa serve --fake --http 127.0.0.1:0 --topic web_log:3
  samsa serve --data ./data --topic web_log:3,retention.ms=60000 --topic orders
  samsa serve --config-file /etc/samsa.conf --log-format json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := c.Resolve(cmd.Flags(), e.Getenv); err != nil {
				return usageError{err}
			}
			return c.Run(cmd.Context(), serve.Surroundings{
				Stdout: e.Stdout, Stderr: e.Stderr, JSON: e.json, NotifySocket: e.Getenv("NOTIFY_SOCKET"),
			})
		},
	}
	c.Define(cmd.Flags())
	ownData(cmd)
	return cmd
}

// config is the command that shows the settings of serve.
func (e *env) config() *cobra.Command {
	var c serve.Config
	cmd := &cobra.Command{
		Use:     "config",
		GroupID: groupServe,
		Short:   "Show the settings of serve, and where each comes from",
		Long: `config takes the flags of serve, its environment and its file, and prints what serve would go by: each setting, its value, and its source,
which is default, file, environment or flag. It serves nothing.`,
		Example: `  samsa config --config-file /etc/samsa.conf
  SAMSA_LISTEN=127.0.0.1:9093 samsa config --json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := c.Resolve(cmd.Flags(), e.Getenv)
			if err != nil {
				return usageError{err}
			}
			return printRows(e, []column[serve.Setting]{
				{"SETTING", func(s serve.Setting) string { return s.Name }},
				{"VALUE", func(s serve.Setting) string { return s.Value }},
				{"SOURCE", func(s serve.Setting) string { return s.Source }},
			}, list)
		},
	}
	c.Define(cmd.Flags())
	ownData(cmd)
	return cmd
}

// ownData has a command, which has --data and --brokers as flags of its own, take none of the others that say where a broker is.
func ownData(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.String("api", "", "")
	_ = fs.MarkHidden("api")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Flags().Changed("api") {
			return usageError{errors.New("--api is for commands that look at another broker")}
		}
		return nil
	}
}
