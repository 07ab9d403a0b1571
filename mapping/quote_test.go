package mapping

import "testing"

// What the Python integration makes of quotes.
func TestRewriteQuotes(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{`'abc'`, `"abc"`},
		{`.a == 'x' and .b == 'y z'`, `.a == "x" and .b == "y z"`},
		{`.a // ''`, `.a // ""`},
		{`[ 'a' , 'b' ]`, `[ "a" , "b" ]`},
		{`.a=='x'`, `.a=='x"`},
		{`(.a == 'x')`, `(.a == "x')`},
		{`['a','b']`, `['a','b']`},
		{`test('x')`, `test('x')`},
		{`select(.n=='a')`, `select(.n=='a')`},
		{`.a | split(' ')`, `.a | split(" ')`},
		{`"dogs' x"`, `"dogs" x"`},
		{`"it's ok"`, `"it's ok"`},
		{`.a == "'"`, `.a == "'"`},
		{``, ``},
		{`'`, `'`},
		{`' '`, `' '`},
	}
	for _, tt := range tests {
		if got := rewriteQuotes(tt.in); got != tt.want {
			t.Errorf("rewriteQuotes(%s) = %s, want %s", tt.in, got, tt.want)
		}
	}
}

func TestConvertQuotes(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{`.a=='x'`, `.a=="x"`},
		{`test('x'; 'i')`, `test("x"; "i")`},
		{`"it's" + 'ok'`, `"it's" + "ok"`},
		{`'say "hi"'`, `"say \"hi\""`},
		{`.a | split(' ')`, `.a | split(" ")`},
		{`'open`, `'open`},
		{`'`, `'`},
		{`''`, `""`},
		{`'a\'b'`, `"a'b"`},
		{`"a\"'b"`, `"a\"'b"`},
		{`é 'ü'`, `é "ü"`},
	}
	for _, tt := range tests {
		if got := convertQuotes(tt.in); got != tt.want {
			t.Errorf("convertQuotes(%s) = %s, want %s", tt.in, got, tt.want)
		}
	}
}

// What is removed from the items: the path of the list.
func TestLeadingPath(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		want []string
	}{
		{`.fields.comments`, []string{"fields", "comments"}},
		{`.a[]`, []string{"a"}},
		{`.a | map(.b)`, []string{"a"}},
		{`.a // []`, []string{"a"}},
		{`(.a // []) | map(.x)`, []string{"a"}},
		{`.a?`, []string{"a"}},
		{`. as $r | .a`, []string{"a"}},
		{`. | .a`, []string{"a"}},
		{`.fields."System.Tags" | split(";")`, []string{"fields", "System.Tags"}},
		{`.["x"]."y"`, []string{"x", "y"}},
		{`."a-b"`, []string{"a-b"}},
		{`.fields."System.Tags" // '' | split('; ')`, []string{"fields", "System.Tags"}},
		{`if .a then .b else .c end`, nil},
		{`[.a[]]`, nil},
		{`[.a,.b]`, nil},
		{`to_entries`, nil},
		{`keys`, nil},
		{`map(.x)`, nil},
		{`.[]`, nil},
		{`.`, nil},
		{`(.a) + (.b)`, nil},
		{`.a[0]`, nil},
		{`def f: .a; f`, nil},
		{`syntax error (`, nil},
	}
	for _, tt := range tests {
		got := leadingPath(tt.in)
		if len(got) != len(tt.want) {
			t.Errorf("leadingPath(%s) = %q, want %q", tt.in, got, tt.want)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("leadingPath(%s) = %q, want %q", tt.in, got, tt.want)
			}
		}
	}
}
