package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cmd/samsa/internal/cli"
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

// What the image and the compose file have in the environment goes together.
func TestPackagesAreConfigured(t *testing.T) {
	environment := make(map[string]string)
	for file, pattern := range map[string]string{"Dockerfile": `(SAMSA_\w+)=(\S+)`, "compose.yaml": `(SAMSA_\w+): (.+)`} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
			if file == "compose.yaml" || environment[found[1]] == "" {
				environment[found[1]] = found[2]
			}
		}
	}
	var stdout, stderr bytes.Buffer
	s := cli.Surroundings{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Getenv: func(name string) string { return environment[name] }}
	code := cli.Run(t.Context(), []string{"config"}, s)
	for name := range environment {
		flag := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, "SAMSA_")), "_", "-")
		if !regexp.MustCompile(`(?m)^` + flag + ` .* environment$`).MatchString(stdout.String()) {
			t.Errorf("%s is not a setting", name)
		}
	}
	if code != exitOK || len(environment) < 6 {
		t.Errorf("%d settings: it ends with %d: %s", len(environment), code, &stderr)
	}
}

// The health check of the Dockerfile is well as long as the broker of the image answers, and not when another has its data, which does not.
func TestHealthCheck(t *testing.T) {
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^HEALTHCHECK .* CMD (\[.*\])$`).FindSubmatch(text)
	if found == nil {
		t.Fatal("there is none")
	}
	var words []string
	if err := json.Unmarshal(found[1], &words); err != nil {
		t.Fatal(err)
	}
	if words[0] != "/samsa" || !strings.Contains(string(text), "SAMSA_DATA=/data ") {
		t.Fatalf("%q is not the program of the image, or not of its data", words)
	}
	for _, tt := range []struct {
		serves func(t *testing.T, dir string)
		code   int
	}{
		{func(t *testing.T, dir string) {
			if _, _, err := serveFor(defers{t}, "--data", dir); err != nil {
				t.Fatal(err)
			}
		}, exitOK},
		{func(t *testing.T, dir string) {
			b, err := samsa.Open(dir, samsa.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = b.Close() })
		}, exitUnavailable},
		{func(*testing.T, string) {}, exitNotFound},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		tt.serves(t, dir)
		args := append([]string{}, words[1:]...)
		for i, a := range args {
			args[i] = strings.ReplaceAll(a, "/data", dir)
		}
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, &stdout, &stderr); code != tt.code {
			t.Errorf("%q ended with %d, want %d\n%s%s", args, code, tt.code, &stdout, &stderr)
		}
	}
}
