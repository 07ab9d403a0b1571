package port

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tidwall/gjson"
)

func FuzzParseOwned(f *testing.F) {
	f.Add([]byte(`{"ok":true,"entities":[{"identifier":"a","blueprint":"b"},{"blueprint":"b","x":{"y":[1,"}"]},"identifier":"c\"d"}],"next":"n"}`))
	f.Add([]byte(`{"entities":[]}`))
	f.Add([]byte(` { "next" : null , "entities" : [ { "identifier" : "ü" , "blueprint" : "b" } ] } `))
	f.Fuzz(func(t *testing.T, body []byte) {
		if !gjson.ValidBytes(body) || len(body) == 0 {
			t.Skip()
		}
		page, err := parseOwned(body)
		if err != nil {
			return
		}
		var want struct {
			Entities []Ref  `json:"entities"`
			Next     string `json:"next"`
		}
		if bytes.Count(body, []byte(`entities`)) != 1 || bytes.Contains(body, []byte(`\`)) || json.Unmarshal(body, &want) != nil {
			return // doubled members are read differently, both ways are right
		}
		if len(page.refs) != len(want.Entities) {
			t.Errorf("%d entities, want %d, in %s", len(page.refs), len(want.Entities), body)
		}
		for _, r := range page.refs {
			if r.Identifier == "" || r.Blueprint == "" {
				t.Errorf("an entity without a name in %s", body)
			}
		}
	})
}

func FuzzParseBulk(f *testing.F) {
	f.Add([]byte(`{"ok":true,"entities":[{"created":true,"identifier":"a","index":0}],"errors":[{"identifier":"unknown","index":1,"statusCode":404,"error":"not_found","message":"x"}]}`))
	f.Add([]byte(`{"entities":[{"index":99},{"index":-1},{"index":1.5}],"errors":[{"index":0},{"index":0}]}`))
	f.Add([]byte(`{"errors":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if !gjson.ValidBytes(body) || len(body) == 0 {
			t.Skip()
		}
		sent := []Entity{{Blueprint: "b", Identifier: "a"}, {Blueprint: "b", Search: true}, {Blueprint: "b", Identifier: "c"}}
		identifiers := make([]string, len(sent))
		failed := map[int]int{}
		err := parseBulk(body, sent, identifiers, make([]Fate, len(sent)), func(i int, e *EntityError) {
			failed[i]++
			if e.Ref.Identifier != sent[i].Identifier {
				t.Errorf("the failure of %d names %v", i, e.Ref)
			}
		})
		if err != nil {
			return
		}
		for i := range sent {
			if failed[i] > 1 || failed[i] == 1 && identifiers[i] != "" {
				t.Errorf("entity %d is both written (%q) and failed %d times", i, identifiers[i], failed[i])
			}
			if failed[i] == 0 && identifiers[i] == "" && !sent[i].Search {
				t.Errorf("nothing is said about entity %d", i)
			}
		}
	})
}

func FuzzMaskerJSON(f *testing.F) {
	f.Add([]byte(`{"a":[1,{"b":"]}\""},null],"c":-1.5e3,"secret":"a secret"}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		if !json.Valid(doc) {
			t.Skip()
		}
		if masked := NewMasker("secret").JSON(doc); !json.Valid(masked) || bytes.Contains(masked, []byte("secret")) {
			t.Errorf("masked %q is %q", doc, masked)
		}
	})
}

func TestBulkReader(t *testing.T) {
	t.Parallel()
	for n := 1; n < 5; n++ {
		var list []Entity
		var bodies []string
		for i := range n {
			bodies = append(bodies, fmt.Sprintf(`{"identifier":"%d"}`, i))
			list = append(list, Entity{Body: []byte(bodies[i])})
		}
		want := `{"entities":[` + strings.Join(bodies, ",") + `]}`
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"whole": func(r io.Reader) io.Reader { return r }, "bytes": iotest.OneByteReader, "halves": iotest.HalfReader,
		} {
			r := bulkReader(list)
			got, err := io.ReadAll(wrap(r))
			if err != nil || string(got) != want || int64(len(got)) != bulkSize(list) {
				t.Errorf("%s: read %s (%d), %v, want %s", name, got, bulkSize(list), err, want)
			}
		}
	}
}

func TestDefaultBlueprintStages(t *testing.T) {
	t.Parallel()
	r, err := loadResources(Defaults())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, b := range r.blueprints {
		ids = append(ids, b.id)
		for n := range 3 {
			if !json.Valid(b.stages[n]) {
				t.Errorf("stage %d of %s: %s", n, b.id, b.stages[n])
			}
		}
		if bytes.Contains(b.stages[0], []byte(`"relations"`)) || bytes.Contains(b.stages[1], []byte(`"mirrorProperties"`)) {
			t.Errorf("the stages of %s come too early", b.id)
		}
	}
	want := []string{
		"azureDevopsProject", "azureDevopsRepository", "azureDevopsWorkItem", "azureDevopsBoard", "azureDevopsColumn", "azureDevopsRelease",
	}
	if !slices.Equal(ids, want) {
		t.Errorf("blueprints = %q, want %q", ids, want)
	}
	if len(r.pages) != 2 || len(r.scorecards["service"]) != 1 {
		t.Errorf("%d pages, scorecards of %d blueprints", len(r.pages), len(r.scorecards))
	}
}

func BenchmarkBulk(b *testing.B) {
	list := make([]Entity, maxUpsertCount)
	answer := []byte(`{"ok":true,"entities":[`)
	for i := range list {
		id := fmt.Sprintf("5f0e9c1a-0000-4000-8000-%012d", i)
		list[i] = Entity{Blueprint: "workItem", Identifier: id, Body: fmt.Appendf(nil, `{"identifier":%q,"properties":{"text":%q}}`, id, strings.Repeat("x", 4500))}
		if i > 0 {
			answer = append(answer, ',')
		}
		answer = fmt.Appendf(answer, `{"created":false,"identifier":%q,"index":%d,"additionalData":{}}`, id, i)
	}
	answer = append(answer, `],"errors":[]}`...)
	b.ReportAllocs()
	identifiers := make([]string, len(list))
	for b.Loop() {
		r := bulkReader(list)
		if _, err := io.Copy(io.Discard, struct{ io.Reader }{r}); err != nil {
			b.Fatal(err)
		}
		if !gjson.ValidBytes(answer) {
			b.Fatal("answer")
		}
		if err := parseBulk(answer, list, identifiers, make([]Fate, len(list)), func(int, *EntityError) { b.Fatal("failed") }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N*len(list))/b.Elapsed().Seconds(), "entities/s")
}

// What has the form of a credential is looked at.
func FuzzCredentialParts(f *testing.F) {
	for _, s := range []string{
		"Authorization: Basic x", "?acceſſ_toKen=a", "&client_secret=a", "?api-key=a", "&paſsword=a", "?ſig=a", "https://u:p@host",
		strings.Repeat("a", 76) + "AZDOabcd", "AKIA0123456789ABCDEF", "ASIA0123456789ABCDEF", "amzn.mws." + strings.Repeat("a", 36), "AIza" + strings.Repeat("a", 35),
		"ya29.0123456789", "AAAA1234567:" + strings.Repeat("a", 140), "ghp_" + strings.Repeat("a", 36), "ghr_" + strings.Repeat("a", 36),
		"github_pat_" + strings.Repeat("a", 22), "-----BEGIN RSA PRIVATE KEY-----", "eyJ0123456789.eyJ0123456789.x",
	} {
		f.Add(s)
		if !credentialForms.MatchString(s) {
			f.Errorf("%q has no form", s)
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		if credentialForms.MatchString(s) && !mayHoldCredential(s) {
			t.Errorf("%q is not looked at", s)
		}
	})
}
