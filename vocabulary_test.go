package samsa_test

import (
	"bytes"
	"cmp"
	"flag"
	"go/ast"
	"go/doc"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the comments of aliases")

// alias is a type, constant or variable that stands for one of a floor below, and where its comment is.
type alias struct {
	here, there string // Acks, log.Acks
	from, to    token.Pos
}

// TestAliasesAreDocumented wants the comment of an alias to be that of what it stands for, with fields, constants
// and methods: go doc shows no more of an alias than its comment.
func TestAliasesAreDocumented(t *testing.T) {
	fset := token.NewFileSet()
	var floors []string
	notes := make(map[string]note)    // by there
	names := make(map[string]string)  // here by there
	files := make(map[string][]alias) // in the order of the text
	for path, file := range parsed(t, fset, ".") {
		for _, spec := range file.Imports {
			dir, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), "github.com/samsa-go/samsa/")
			if ours && !slices.Contains(floors, dir) {
				floors = append(floors, dir)
				document(t, fset, dir, notes)
			}
		}
		for _, d := range file.Decls {
			if gen, ok := d.(*ast.GenDecl); ok {
				files[path] = append(files[path], aliases(gen, notes)...)
			}
		}
		for _, a := range files[path] {
			names[a.there] = a.here
		}
	}
	for path, all := range files {
		old, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		now := old
		for _, a := range slices.Backward(all) {
			from, to := fset.Position(a.from).Offset, fset.Position(a.to).Offset
			now = slices.Concat(now[:from], notes[a.there].comment(t, a, names), now[to:])
		}
		if now, err = format.Source(now); err != nil {
			t.Fatal(err)
		}
		switch {
		case bytes.Equal(now, old):
		case !*update:
			t.Errorf("%s: comments of aliases are not those of what they stand for: run this test with -update", path)
		default:
			if err := os.WriteFile(path, now, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func parsed(t *testing.T, fset *token.FileSet, dir string) map[string]*ast.File {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]*ast.File)
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		if files[path], err = parser.ParseFile(fset, path, nil, parser.ParseComments); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// aliases finds what gen declares as a name for something that has a comment below.
func aliases(gen *ast.GenDecl, notes map[string]note) (all []alias) {
	for _, spec := range gen.Specs {
		var name *ast.Ident
		var value ast.Expr
		var doc *ast.CommentGroup
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			name, value, doc = spec.Name, spec.Type, spec.Doc
		case *ast.ValueSpec:
			if len(spec.Values) == 1 {
				name, value, doc = spec.Names[0], spec.Values[0], spec.Doc
			}
		}
		sel, ok := value.(*ast.SelectorExpr)
		if !ok {
			continue
		}
		a := alias{here: name.Name, there: sel.X.(*ast.Ident).Name + "." + sel.Sel.Name, from: spec.Pos(), to: spec.Pos()}
		if !gen.Lparen.IsValid() {
			doc, a.from, a.to = gen.Doc, gen.Pos(), gen.Pos()
		}
		if doc != nil {
			a.from = doc.Pos()
		}
		if _, ok := notes[a.there]; ok {
			all = append(all, a)
		}
	}
	return all
}

// note is what is to be said of a declaration: its comment, and for a type the code of what belongs to it.
type note struct{ text, code string }

// document notes all declarations in dir.
func document(t *testing.T, fset *token.FileSet, dir string, notes map[string]note) {
	t.Helper()
	var files []*ast.File
	for _, file := range parsed(t, fset, dir) {
		files = append(files, file)
	}
	pkg, err := doc.NewFromFiles(fset, files, dir)
	if err != nil {
		t.Fatal(err)
	}
	values := func(all []*doc.Value) {
		for _, v := range all {
			for _, spec := range v.Decl.Specs {
				spec := spec.(*ast.ValueSpec)
				text := spec.Doc.Text()
				if !v.Decl.Lparen.IsValid() {
					text = v.Doc
				}
				notes[pkg.Name+"."+spec.Names[0].Name] = note{text: text}
			}
		}
	}
	code := func(above string, node ast.Node) string {
		var b bytes.Buffer
		b.WriteString(above)
		if err := format.Node(&b, fset, node); err != nil {
			t.Fatal(err)
		}
		return "\n" + b.String() + "\n"
	}
	values(append(pkg.Consts, pkg.Vars...))
	for _, typ := range pkg.Types {
		n := note{text: typ.Doc}
		switch typ.Decl.Specs[0].(*ast.TypeSpec).Type.(type) {
		case *ast.StructType, *ast.InterfaceType, *ast.MapType:
			n.code += code("", typ.Decl)
		}
		values(append(typ.Consts, typ.Vars...))
		for _, v := range typ.Consts {
			n.code += code("", v.Decl)
		}
		for _, m := range typ.Methods {
			if !wellKnown.MatchString(m.Name) {
				n.code += code("// "+pkg.Synopsis(m.Doc)+"\n", m.Decl)
			}
		}
		notes[pkg.Name+"."+typ.Name] = n
	}
}

// Everybody knows what these do.
var wellKnown = regexp.MustCompile(`^String$|^(M|Unm)arshal(Text|JSON)$`)

var exported = regexp.MustCompile(`(?:\bKafka )?\b([a-z]+\.)?[A-Z]\w*`) // Kafka Streams is none of our names

// comment is n as the comment of a, in the names that there are here. What is drawn stays as it is.
func (n note) comment(t *testing.T, a alias, names map[string]string) []byte {
	t.Helper()
	floor, _, _ := strings.Cut(a.there, ".")
	here := func(text string) string {
		return exported.ReplaceAllStringFunc(text, func(name string) string {
			there := name
			if !strings.Contains(name, ".") {
				there = floor + "." + name
			}
			return cmp.Or(names[there], name)
		})
	}
	var b strings.Builder
	for line := range strings.Lines(n.text) {
		if !strings.HasPrefix(line, "\t") {
			line = " " + here(line)
		}
		b.WriteString("//" + line)
	}
	code, err := format.Source([]byte(here(n.code)))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(code)) {
		b.WriteString("//\t" + line)
	}
	return []byte(b.String())
}
