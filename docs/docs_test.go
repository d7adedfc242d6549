// The pages are compared with the repository: the code they show is code that runs, what they link to is
// there, and the commands they give run something.
package docs_test

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/console"
	"github.com/samsa-go/samsa/kafka"
)

var update = flag.Bool("update", false, "write the code into the pages")

// pages returns the texts of the repository by their paths from its root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	texts := make(map[string]string)
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && (d.Name() == "testdata" || len(d.Name()) > 2 && d.Name()[0] == '.') {
			return fs.SkipDir
		}
		if err != nil || filepath.Ext(name) != ".md" {
			return err
		}
		text, err := os.ReadFile(name)
		texts[strings.TrimPrefix(filepath.ToSlash(name), "../")] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// A block of Go stands behind a comment with the file and the function that it shows.
var block = regexp.MustCompile("(?ms)^(?:<!-- code: (\\S+) (\\w+) -->\n)?```go\n(.*?)^```$")

// Pages that need not show code.
var bare = regexp.MustCompile(`^(CHANGELOG|CONTRIBUTING|docs/(api|format|drills|command|adr/.*)|bench/.*)\.md$`)

// The Go code of a page is the code of the function that it names; of an example it is the body.
func TestPagesShowCode(t *testing.T) {
	for page, text := range pages(t) {
		shown := block.FindAllStringSubmatch(text, -1)
		if len(shown) == 0 && !bare.MatchString(page) {
			t.Errorf("%s shows no code", page)
		}
		for _, b := range shown {
			if b[1] == "" {
				t.Errorf("%s does not say which function this is of:\n%s", page, b[3])
				continue
			}
			code := source(t, b[1], b[2])
			if b[3] == code {
				continue
			}
			if !*update {
				t.Errorf("%s: this is not %s of %s, go test ./docs -update makes it so:\n%s", page, b[2], b[1], b[3])
				continue
			}
			text = strings.Replace(text, b[0], strings.Replace(b[0], "```go\n"+b[3], "```go\n"+code, 1), 1)
			if err := os.WriteFile(filepath.Join("..", page), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// source returns the code of a function, or the body of an example.
func source(t *testing.T, file, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", file))
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, file, text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != name {
			continue
		}
		if !strings.HasPrefix(name, "Example") {
			return string(text[fset.Position(f.Pos()).Offset:fset.Position(f.End()).Offset]) + "\n"
		}
		body := string(text[fset.Position(f.Body.Lbrace).Offset+2 : fset.Position(f.Body.Rbrace).Offset])
		return strings.ReplaceAll(strings.TrimPrefix(body, "\t"), "\n\t", "\n")
	}
	t.Fatalf("%s has no function %s", file, name)
	return ""
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]*)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	noise   = regexp.MustCompile(`[^a-z0-9 _-]`)
	goFile  = regexp.MustCompile("`([\\w.-]+/[\\w./-]+\\.go)`")
)

// What a page links to is there, headings included, and so are files of Go that it names with their directories.
func TestLinksLead(t *testing.T) {
	texts := pages(t)
	for page, text := range texts {
		for _, f := range goFile.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join("..", f[1])); err != nil {
				t.Errorf("%s names %s, which is not there", page, f[1])
			}
		}
		for _, l := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(l[1], "://") {
				continue
			}
			to, anchor, anchored := strings.Cut(l[1], "#")
			if to = path.Join(path.Dir(page), to); strings.HasPrefix(l[1], "#") {
				to = page
			}
			if _, err := os.Stat(filepath.Join("..", to)); err != nil {
				t.Errorf("%s links to %s, which is not there", page, l[1])
			}
			if anchored && !slices.ContainsFunc(heading.FindAllStringSubmatch(texts[to], -1), func(h []string) bool {
				return strings.ReplaceAll(noise.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-") == anchor
			}) {
				t.Errorf("%s links to %s, and there is no such heading", page, l[1])
			}
		}
	}
}

// Every option, and every topic config, stands on a page.
func TestPagesNameOptions(t *testing.T) {
	all := ""
	for page, text := range pages(t) {
		if path.Dir(page) == "docs" {
			all += text
		}
	}
	var names []string
	for _, o := range []any{
		samsa.Options{}, samsa.GroupOptions{}, samsa.TransactionOptions{}, samsa.ProducerOptions{}, samsa.ConsumerOptions{}, samsa.MemberOptions{}, samsa.TopicConfig{}, kafka.Options{}, console.Options{},
	} {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(o)) {
			if f.IsExported() {
				names = append(names, f.Name)
			}
		}
	}
	for name := range (samsa.TopicConfig{}).Configs() {
		names = append(names, regexp.QuoteMeta(name))
	}
	for _, name := range names {
		if !regexp.MustCompile("`[^`\n]*\\b" + name + "\\b").MatchString(all) {
			t.Errorf("no page names %s", name)
		}
	}
}

var (
	declared = regexp.MustCompile(`(?m)^(?:func (?:\(\w* ?\*?(\w+)\) )?|type |var |const |\t)([A-Z]\w*(?:, [A-Z]\w*)*)`)
	span     = regexp.MustCompile("`([^` \n]+|[^`\n]*\\([^`\n]*)`")
	name     = regexp.MustCompile(`(?:^|[^\w/.-])(?:\w+\.)*?(?:(Broker|Consumer|Producer|Tx|ReadTx)\.)?([A-Z]\w*)`)
	fenced   = regexp.MustCompile("(?ms)^```.*?^```$")
)

// What a page calls by a name of Go is declared under that name.
func TestPagesNameWhatIs(t *testing.T) {
	code := make(map[string]bool) // names, and methods with their types
	for _, depth := range []string{"..", "../*", "../*/*"} {
		dirs, _ := filepath.Glob(depth)
		for _, dir := range dirs {
			for _, d := range declared.FindAllStringSubmatch(room(t, dir), -1) {
				for _, n := range strings.Split(d[2], ", ") {
					code[n], code[d[1]+"."+n] = true, true
				}
			}
		}
	}
	for page, text := range pages(t) {
		if page != "README.md" && path.Dir(page) != "docs" || bare.MatchString(page) {
			continue
		}
		for _, s := range span.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
			for _, n := range name.FindAllStringSubmatch(s[1], -1) {
				if !strings.HasPrefix(s[1], "errors.") && (!code[n[2]] || n[1] != "" && !code[n[1]+"."+n[2]]) {
					t.Errorf("%s: there is no %s, of %s", page, n[2], s[0])
				}
			}
		}
	}
}

var (
	command = regexp.MustCompile("go (?:run|test) [^`\n]*")
	chosen  = regexp.MustCompile(`-(run|bench) ["']?([^\s"']+)`)
	place   = regexp.MustCompile(` \.(/[\w/-]+)?(?: |$)`)
	begins  = map[string]string{"run": "func (?:Test|Example)", "bench": "func Benchmark"}
)

// What a page has run is there: programs, packages, and each test and benchmark that is named.
func TestCommandsRunSomething(t *testing.T) {
	for page, text := range pages(t) {
		for _, c := range command.FindAllString(text, -1) {
			at := place.FindStringSubmatch(c)
			if at == nil {
				continue
			}
			code := room(t, path.Join("..", at[1]))
			if code == "" {
				t.Errorf("%s: %s: there is no code in .%s", page, c, at[1])
			}
			for _, name := range chosen.FindAllStringSubmatch(c, -1) {
				for _, want := range strings.Split(strings.ReplaceAll(name[2], `\|`, "|"), "|") {
					want, _, _ = strings.Cut(want, "/")
					want = strings.Trim(want, "^$")
					if want != "" && !regexp.MustCompile(begins[name[1]]+`\w*`+strings.TrimPrefix(want, "Test")).MatchString(code) {
						t.Errorf("%s: %s: there is no %s in .%s", page, c, want, at[1])
					}
				}
			}
		}
	}
}

var (
	hop      = regexp.MustCompile(`(?m)^\| \[[^]]*\]\((\S+)\) \| ([^|]*) \|`)
	function = regexp.MustCompile("`(?:(\\w+)\\.)?(\\w+)`")
)

// The hops of the walk are functions of the rooms that it names.
func TestWalkIsWalked(t *testing.T) {
	hops := hop.FindAllStringSubmatch(pages(t)["docs/walk.md"], -1)
	if len(hops) == 0 {
		t.Error("docs/walk.md has no hops")
	}
	for _, h := range hops {
		code := room(t, h[1])
		for _, f := range function.FindAllStringSubmatch(h[2], -1) {
			receiver := ""
			if f[1] != "" {
				receiver = `\(\w+ \*?` + f[1] + `\) `
			}
			if !regexp.MustCompile(`(?m)^func ` + receiver + f[2] + `\(`).MatchString(code) {
				t.Errorf("docs/walk.md: there is no %s in %s", f[0], h[1])
			}
		}
	}
}

// room returns the code of a directory.
func room(t *testing.T, dir string) (code string) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	for _, file := range files {
		some, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		code += string(some)
	}
	return code
}
