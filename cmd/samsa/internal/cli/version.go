package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// versions is what was built, by what.
type versions struct {
	Version  string `json:"version"`  // of the module, or (devel)
	Revision string `json:"revision"` // of the checkout that it was built in, "" if that is not known
	Modified bool   `json:"modified"` // since that revision
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func readVersions() versions {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	return versionsOf(info)
}

// versionsOf returns what Go has noted of a build.
func versionsOf(info *debug.BuildInfo) versions {
	v := versions{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

// String returns them in a line.
func (v versions) String() string {
	text := v.Version
	if v.Revision != "" {
		text += " of " + v.Revision
		if v.Modified {
			text += ", modified"
		}
	}
	return fmt.Sprintf("samsa %s, %s, %s", text, v.Go, v.Platform)
}

func (e *env) version() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		GroupID: groupSelf,
		Short:   "Tell which version this is",
		Long:    `version tells the version and revision that this was built of, by which Go, and for what.`,
		Example: `  samsa version
  samsa version --json`,
		RunE: func(*cobra.Command, []string) error {
			v := readVersions()
			return e.say(v, "%s", v)
		},
	}
}
