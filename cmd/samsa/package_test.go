package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/samsa-go/samsa/cmd/samsa/internal/serve"
)

// What the Dockerfile, the compose file and the systemd unit say to serve are settings that there are.
func TestPackagesNameSettings(t *testing.T) {
	known := make(map[string]bool)
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(serve.Config).Define(fs)
	fs.VisitAll(func(f *pflag.Flag) { known[serve.EnvName(f.Name)], known["--"+f.Name] = true, true })
	for _, file := range []string{"Dockerfile", "compose.yaml", "samsa.service"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "HEALTHCHECK") || strings.Contains(line, "--from=build") || strings.HasPrefix(line, "#") {
				continue
			}
			for _, name := range regexp.MustCompile(`SAMSA_[A-Z_]+|--[a-z-]+`).FindAllString(line, -1) {
				if found++; !known[name] {
					t.Errorf("%s: serve has no %s", file, name)
				}
			}
		}
		if found == 0 {
			t.Errorf("%s says nothing to serve", file)
		}
	}
}
