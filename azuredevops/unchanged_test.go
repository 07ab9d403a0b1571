package azuredevops

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	store "github.com/ado-port/ado-port/azuredevops/records"
)

// A memoryCase is a world in two versions, the second of which differs in
// something remembered and in its revision.
type memoryCase struct {
	name, kind, selector string
	serve                func(v int) servers
	saved                string // part of the calls that the memory saves
	always               bool   // nothing is finished: no call is saved
	gone                 bool   // so in the second version, of what may come back
	spent                int    // calls that are needed all the same
}

func memoryCases() []memoryCase {
	build := func(v int, more string) string {
		return fmt.Sprintf(`{"id":1,"status":"completed","finishTime":"2026-01-0%d","lastChangedDate":"2026-01-0%d"%s}`, v, v, more)
	}
	version := func(text string, v int) func(*http.Request) *http.Response {
		return always(strings.ReplaceAll(text, "#", fmt.Sprint(v)))
	}
	const firstCommit, withResults = `{"enrichWithFirstCommit":true}`, `{"includeResults":true}`
	return []memoryCase{
		{
			name: "stages", kind: "pipeline-stage", saved: "/timeline",
			serve: func(v int) servers {
				return servers{buildsPath: always(values(build(v, ""))), buildsPath + "/1/timeline": version(`{"records":[{"id":"s#","type":"Stage"},{"id":"j","type":"Job"}]}`, v)}
			},
		},
		{
			name: "no stages", kind: "pipeline-stage", saved: "/timeline",
			serve: func(v int) servers {
				return servers{buildsPath: always(values(build(v, ""))), buildsPath + "/1/timeline": always(`{"records":[]}`)}
			},
		},
		{
			name: "stages of a running build", kind: "pipeline-stage", saved: "/timeline", always: true,
			serve: func(v int) servers {
				return servers{
					buildsPath:                 always(values(`{"id":1,"status":"inProgress","startTime":"2026","lastChangedDate":"2026"}`)),
					buildsPath + "/1/timeline": version(`{"records":[{"id":"s#","type":"Stage"}]}`, v),
				}
			},
		},
		{
			name: "first change", kind: "build", selector: firstCommit, saved: "/changes",
			serve: func(v int) servers {
				return servers{buildsPath: always(values(build(v, ""))), buildsPath + "/1/changes": version(`{"value":[{"id":"c#","timestamp":"2026"}]}`, v)}
			},
		},
		{
			name: "changes of a renamed author", kind: "build", selector: firstCommit, saved: "/changes", spent: 1,
			serve: func(v int) servers {
				return changeServers(v, `{"id":"u1","displayName":"#"}`, `{"id":"u1","displayName":"#"}`)
			},
		},
		{
			name: "changes with other authors", kind: "build", selector: firstCommit, saved: "/changes", spent: 2,
			serve: func(v int) servers { return changeServers(v, `{"id":"u#"}`, `{"id":"u3"}`) },
		},
		{
			name: "built commit in a renamed repository", kind: "build", selector: firstCommit, saved: "/c",
			serve: func(v int) servers {
				return servers{
					buildsPath:                version(values(`{"id":1,"status":"completed","lastChangedDate":"2026","sourceVersion":"c1","repository":{"id":"r1","type":"TfsGit","name":"n#"}}`), v),
					buildsPath + "/1/changes": always(values()),
					"p1/_apis/git/repositories/r1/commits/c1": version(`{"commitId":"c1","committer":{"date":"2026"},"url":"n#"}`, v),
					"p1/_apis/git/repositories":               always(values(`{"id":"R1"}`)),
				}
			},
		},
		{
			name: "built commit in a repository that goes", kind: "build", selector: firstCommit, saved: "/c", gone: true,
			serve: func(v int) servers {
				repository, commit := `{"id":"r1"}`, always(`{"commitId":"c1","committer":{"date":"2026"}}`)
				if v == 2 {
					repository, commit = `{"id":"r2"}`, status(404, "")
				}
				return servers{
					buildsPath:                always(values(`{"id":1,"status":"completed","lastChangedDate":"2026","sourceVersion":"c1","repository":{"id":"r1","type":"TfsGit"}}`)),
					buildsPath + "/1/changes": always(values()), "p1/_apis/git/repositories/r1/commits/c1": commit,
					"p1/_apis/git/repositories": always(values(repository)),
				}
			},
		},
		{
			name: "no first commit", kind: "build", selector: firstCommit, saved: "/changes",
			serve: func(v int) servers {
				return servers{buildsPath: always(values(build(v, ""))), buildsPath + "/1/changes": always(values())}
			},
		},
		{
			name: "a repository that may come back", kind: "build", selector: firstCommit, saved: "/changes", always: true,
			serve: func(int) servers {
				return servers{
					buildsPath:                always(values(build(1, `,"sourceVersion":"c1","repository":{"id":"r1","type":"TfsGit"}`))),
					buildsPath + "/1/changes": always(values()),
					"p1/_apis/git/repositories/r1/commits/c1": status(404, ""),
					"p1/_apis/git/repositories":               always(values(`{"id":"r1","isDisabled":true}`)),
				}
			},
		},
		{
			name: "test results", kind: "test-run", selector: withResults, saved: "/results",
			serve: func(v int) servers {
				return servers{
					testRunsPath:                skipping(9, fmt.Sprintf(`{"id":1,"state":"Completed","totalTests":1,"revision":3,"unanalyzedTests":%d}`, v)),
					testRunsPath + "/1/results": version(values(`{"id":1,"failureType":"#"}`), v),
				}
			},
		},
		{
			name: "test results that are being processed", kind: "test-run", selector: withResults, saved: "/results", always: true,
			serve: func(v int) servers {
				return servers{
					testRunsPath:                skipping(9, `{"id":1,"state":"Completed","postProcessState":"InProgress","totalTests":1}`, `{"id":2,"state":"InProgress","totalTests":1}`),
					testRunsPath + "/1/results": version(values(`{"id":#}`), v), testRunsPath + "/2/results": version(values(`{"id":#}`), v),
				}
			},
		},
		{
			name: "coverage", kind: "test-run", selector: `{"includeResults":false,"codeCoverage":{"flags":7}}`, saved: "/codecoverage",
			serve: func(v int) servers { return coverageServers(v, "2026-01-0"+fmt.Sprint(v)+"T00:00:00Z") },
		},
		{
			name: "coverage of builds that have just finished", kind: "test-run", selector: `{"includeResults":false,"codeCoverage":{}}`, saved: "/codecoverage", always: true,
			serve: func(v int) servers { return coverageServers(v, "2999-01-01T00:00:00Z") },
		},
		{
			name: "definition", kind: "pipeline", selector: `{"includeRepo":true}`, saved: "/definitions",
			serve: func(v int) servers {
				return servers{
					"p1/_apis/pipelines":           version(values(`{"id":7,"revision":#}`, `{"id":8,"revision":#}`, `{"id":9,"revision":#}`), v),
					"p1/_apis/git/repositories":    always(values(`{"id":"R1","name":"one"}`)),
					"p1/_apis/build/definitions/7": version(`{"id":7,"repository":{"id":"r1","type":"TfsGit","name":"#"},"project":{"id":"p1"}}`, v),
					"p1/_apis/build/definitions/8": version(`{"id":8,"repository":{"id":"a/b","type":"GitHub","name":"#"}}`, v),
					"p1/_apis/build/definitions/9": always(`{"id":9}`),
				}
			},
		},
		{
			name: "definition of a renamed repository", kind: "pipeline", selector: `{"includeRepo":true}`, saved: "/definitions",
			serve: func(v int) servers {
				return servers{
					"p1/_apis/pipelines": always(values(`{"id":7,"revision":1}`)), "p1/_apis/git/repositories": version(values(`{"id":"r1","name":"n#","size":1}`), v),
					"p1/_apis/build/definitions/7": version(`{"id":7,"repository":{"id":"r1","type":"TfsGit","name":"n#"},"project":{"id":"p1"}}`, v),
				}
			},
		},
		{
			name: "definitions with unknown repositories", kind: "pipeline", selector: `{"includeRepo":true}`, saved: "/definitions", always: true,
			serve: func(v int) servers {
				return servers{
					"p1/_apis/pipelines": always(values(`{"id":7,"revision":1}`)), "p1/_apis/git/repositories": status(403, ""),
					"p1/_apis/build/definitions/7": version(`{"id":7,"repository":{"id":"r1","type":"TfsGit","name":"n#"}}`, v),
				}
			},
		},
		{
			name: "files", kind: "repository", selector: `{"includedFiles":["README.md"]}`, saved: "path=%2FREADME.md",
			serve: func(v int) servers {
				text := fmt.Sprint("# readme ", v)
				return servers{
					"p1/_apis/git/repositories": always(values(`{"id":"r1","defaultBranch":"refs/heads/main"}`)),
					"p1/_apis/git/repositories/r1/items": func(r *http.Request) *http.Response {
						if r.URL.Query().Has("path") {
							return answer(200, text, "Content-Type", "application/octet-stream")
						}
						return answer(200, values(`{"path":"/","gitObjectType":"tree","objectId":"`+blobID("")+`"}`,
							`{"path":"/README.md","gitObjectType":"blob","objectId":"`+blobID(text)+`"}`))
					},
				}
			},
		},
	}
}

// changeServers have three finished builds, the first two by one author.
func changeServers(v int, author, other string) servers {
	build := func(id int) string { return fmt.Sprintf(`{"id":%d,"status":"completed","lastChangedDate":"2026"}`, id) }
	change := func(author string) func(*http.Request) *http.Response {
		return always(values(`{"id":"c","timestamp":"2026","author":` + strings.ReplaceAll(author, "#", fmt.Sprint(v)) + `}`))
	}
	return servers{
		buildsPath: always(values(build(1), build(2), build(3))), buildsPath + "/1/changes": change(author),
		buildsPath + "/2/changes": change(author), buildsPath + "/3/changes": change(other),
	}
}

// coverageServers have two runs of one build, and one each of two others.
func coverageServers(v int, finished string) servers {
	run := func(id int, build string) string { return fmt.Sprintf(`{"id":%d,"build":{"id":"%s"}}`, id, build) }
	return servers{
		testRunsPath: skipping(9, run(1, "5"), run(2, "5"), run(3, "6")),
		buildsPath: func(r *http.Request) *http.Response {
			if r.URL.Query().Get("buildIds") != "5,6" {
				return answer(400, "")
			}
			return answer(200, values(
				`{"id":5,"status":"completed","lastChangedDate":"2026-01-01","finishTime":"`+finished+`"}`,
				`{"id":6,"status":"completed","lastChangedDate":"2026-01-01","finishTime":"`+finished+`"}`))
		},
		"p1/_apis/test/codecoverage": always(fmt.Sprintf(`{"value":[{"configuration":%d}]}`, v)),
	}
}

// The records are the same with and without the memory: whatever it has
// forgotten, and whatever has changed since.
func TestMemory(t *testing.T) {
	for _, tc := range memoryCases() {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			var mem *store.Store
			reopen := func() {
				if err := mem.Close(); err != nil {
					t.Fatal(err)
				}
				var err error
				if mem, err = store.Open(dir, store.Limits{Bytes: 1 << 20}, nil); err != nil {
					t.Fatal(err)
				}
			}
			run := func(v int, m Store) (string, int) {
				table := servers{"_apis/projects": always(values(project1)), "p1/": always(values())}
				maps.Copy(table, tc.serve(v))
				f := &fakeService{Serve: routes(table)}
				c := newTestClient(t, f, options{})
				c.store = m
				recs, errs := collect(t, c.Snapshot(), tc.kind, tc.selector, ListOptions{})
				if len(recs) == 0 && tc.name != "no stages" || errs != nil {
					t.Errorf("records = %s, %v", texts(recs), errs)
				}
				for _, r := range recs {
					if r.Missing != nil {
						t.Errorf("missing %v", r.Missing)
					}
				}
				return texts(recs), f.Count(tc.saved)
			}
			without := map[int]string{}
			calls := 0
			without[1], calls = run(1, nil)
			without[2], _ = run(2, nil)
			check := func(when string, v int, saved bool) {
				t.Helper()
				got, n := run(v, mem)
				if got != without[v] {
					t.Errorf("%s: records =\n%s, want\n%s", when, got, without[v])
				}
				want := calls
				if saved && !tc.always && (v == 1 || !tc.gone) {
					want = tc.spent
				}
				if n != want && (saved || tc.spent == 0 || n < tc.spent || n > calls) {
					t.Errorf("%s: %d calls, want %d", when, n, want)
				}
			}
			reopen()
			check("first", 1, false)
			check("second", 1, true)
			reopen()
			check("after a start", 1, true)
			check("changed", 2, false)
			check("changed, again", 2, true)
			if err := mem.EndResync(true); err != nil {
				t.Fatal(err)
			}
			reopen()
			check("changed, after a start", 2, true)
			mem.Close()
			damage(t, filepath.Join(dir, "records"))
			reopen()
			check("damaged", 2, false)
			check("damaged, again", 2, true)
			mem.Close()
			dir = t.TempDir()
			reopen()
			check("lost", 2, false)
			mem.Close()
		})
	}
}

// damage spoils all records of a memory, but not its header.
func damage(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	spoiled := append(bytes.Clone(b[:16]), bytes.Repeat([]byte{0xa5}, len(b)-16)...)
	if err := os.WriteFile(path, spoiled, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A memory that is off costs no call.
func TestMemoryOff(t *testing.T) {
	var off *store.Store
	c, err := New(ClientConfig{OrganizationURL: testOrg, Credential: PersonalAccessToken(testToken), Store: off})
	if err != nil || c.store != nil {
		t.Errorf("memory = %v, %v", c.store, err)
	}
}

// What one project, organization or repository has is not another's.
func TestMemoryKeys(t *testing.T) {
	c := newTestClient(t, &fakeService{}, options{})
	seen := map[string]memorable{}
	for _, m := range []memorable{
		{"a 1", &project{ID: "p", Name: "n"}, "1", "r"},
		{"a 2", &project{ID: "p", Name: "n"}, "1", "r"},
		{"a 1", &project{ID: "q", Name: "n"}, "1", "r"},
		{"a 1", &project{ID: "p", Name: "m"}, "1", "r"},
		{"a 1", &project{ID: "p", Name: "n"}, "2", "r"},
		{"a 1", &project{ID: "p", Name: "n"}, "1", "s"},
	} {
		key := m.key(c)
		if other, ok := seen[key]; ok || !strings.Contains(key, testOrg) {
			t.Errorf("%+v and %+v have the key %q", m, other, key)
		}
		seen[key] = m
	}
}
