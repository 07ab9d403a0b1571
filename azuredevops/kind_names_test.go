package azuredevops

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What is special about a kind stands in its row. Only the rows, and the changes that
// an event makes, name kinds.
func TestOnlyRowsNameKinds(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		if strings.HasPrefix(name, "kind_") || strings.HasPrefix(name, "event") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		asMember := map[ast.Expr]bool{} // names of members of JSON and of parameters, which may be called like a kind
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if fun, ok := n.Fun.(*ast.SelectorExpr); ok {
					if pkg, ok := fun.X.(*ast.Ident); ok && pkg.Name == "rawjson" || strings.HasSuffix(fun.Sel.Name, "Context") {
						for _, arg := range n.Args {
							asMember[arg] = true
						}
					}
				}
			case *ast.CompositeLit: // parameters of a request: a name, a value, a name …
				for i := 1; i < len(n.Elts); i++ {
					if name, ok := n.Elts[i-1].(*ast.BasicLit); ok && strings.HasSuffix(name.Value, `Type"`) {
						asMember[n.Elts[i]] = true
					}
				}
			case *ast.BasicLit:
				if s, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING && slices.Contains(Kinds(), s) && !asMember[n] {
					t.Errorf("%s names the kind %s: make it a field of the kind's row", fset.Position(n.Pos()), s)
				}
			}
			return true
		})
	}
}
