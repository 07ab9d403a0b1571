package azuredevops

import "testing"

const (
	buildsQuery = "?queryOrder=queueTimeDescending&$top=500"
	buildsPath  = "p1/_apis/build/builds"
)

func TestBuilds(t *testing.T) {
	runKindCases(t, []kindCase{
		{
			name: "page by page", kind: "build", selector: `{"enrichWithFirstCommit":"no","defaultTeam":"yes"}`,
			serve: servers{buildsPath: tokenPages(values(`{"id":2}`), values(`{"id":1}`))},
			want:  []string{withProject(`{"id":2`), withProject(`{"id":1`)}, scope: "p1//2",
			sent: []string{buildsPath + buildsQuery, buildsPath + buildsQuery + "&continuationToken=1", "p2/_apis/build/builds" + buildsQuery},
		},
		{
			name: "404 on the second page", kind: "build",
			serve: servers{buildsPath: pageTwoGone(values(`{"id":2}`))},
			want:  []string{withProject(`{"id":2`)}, unknown: "p1//",
		},
		{
			name: "a project that cannot be read", kind: "build",
			serve: servers{buildsPath: status(403, ""), "p2/_apis/build/builds": always(values(`{"id":1}`))},
			want:  []string{`{"id":1,"__projectId":"p2","__project":` + project2 + `}`}, unknown: "p1//",
		},
	})
	testKindBasics(t, "build", servers{buildsPath: always(values(`{"id":1}`, `{"id":2}`))}, map[string]string{
		`{"enrichWithFirstCommit":2,"defaultTeam":"x"}`: "enrichWithFirstCommit: want true or false\ndefaultTeam: want true or false",
	})
}

func withProject(build string) string {
	return build + `,"__projectId":"p1","__project":` + project1 + `}`
}

// What a build answers when it is asked for its first commit.
func TestBuildsFirstCommit(t *testing.T) {
	const (
		changes = buildsPath + "/1/changes"
		commit  = "p1/_apis/git/repositories/r1/commits/c1"
		repos   = "p1/_apis/git/repositories"
		build   = `{"id":1,"sourceVersion":"c1","repository":{"id":"r1","type":"TfsGit"}`
	)
	with := func(commit string) []string {
		return []string{withProject(build)[:len(withProject(build))-1] + `,"__firstCommit":` + commit + `}`}
	}
	without := []string{withProject(build)}
	cases := []kindCase{
		{
			name: "the earliest of all pages, zones and fractions",
			serve: servers{changes: tokenPages(
				values(`{"id":"a","timestamp":"2026-03-01T10:00:00Z"}`, `{"id":"b"}`, `{"id":"c","timestamp":"soon"}`),
				values(`{"id":"d","timestamp":"2026-03-01T10:30:00.123+01:00"}`, `{"id":"e","timestamp":"2026-03-01T09:30:01"}`))},
			want: with(`{"id":"d","timestamp":"2026-03-01T10:30:00.123+01:00","__sha":"d","__timestamp":"2026-03-01T10:30:00.123+01:00","__commitCount":5}`),
			sent: []string{
				buildsPath + buildsQuery, "p2/_apis/build/builds" + buildsQuery,
				changes + "?$top=1000", changes + "?$top=1000&continuationToken=1",
			},
		},
		{
			name:  "unreadable times only",
			serve: servers{changes: always(values(`{"id":"a","timestamp":"x"}`, `{"id":"b","timestamp":"y"}`))},
			want:  with(`{"id":"a","timestamp":"x","__sha":"a","__timestamp":"x","__commitCount":2}`),
		},
		{
			name:  "the built commit",
			serve: servers{changes: always(values(`{"id":"a"}`)), commit: always(`{"commitId":"c1","committer":{"date":"2026-03-01T10:00:00Z"}}`)},
			want:  with(`{"commitId":"c1","committer":{"date":"2026-03-01T10:00:00Z"},"__sha":"c1","__timestamp":"2026-03-01T10:00:00Z","__commitCount":1}`),
		},
		{
			name:  "another commit",
			serve: servers{changes: always(values()), commit: always(`{"commitId":"c2","committer":{"date":"2026"}}`)}, want: without, missing: []string{"malformed"},
		},
		{name: "a commit without date", serve: servers{changes: always(values()), commit: always(`{"commitId":"c1"}`)}, want: without},
		{
			name:  "the repository is not there any more",
			serve: servers{changes: always(values()), commit: status(404, ""), repos: always(values(`{"id":"r2"}`))}, want: without,
		},
		{
			name:  "the repository is disabled",
			serve: servers{changes: always(values()), commit: status(404, ""), repos: always(values(`{"id":"r1","isDisabled":true}`))}, want: without,
		},
		{
			name:  "404 in a repository that is there",
			serve: servers{changes: always(values()), commit: status(404, ""), repos: always(values(`{"id":"r1"}`))}, want: without, missing: []string{"first commit"},
		},
		{
			name:  "404 and no list of repositories",
			serve: servers{changes: always(values()), commit: status(404, ""), repos: status(403, "")}, want: without, missing: []string{"404"},
		},
		{name: "no commit to read", serve: servers{changes: always(values()), commit: status(403, "")}, want: without, missing: []string{"403"}},
		{name: "no changes to read", serve: servers{changes: status(404, "")}, want: without, missing: []string{"listed a moment ago"}},
	}
	for i := range cases {
		cases[i].kind, cases[i].selector = "build", `{"enrichWithFirstCommit":true}`
		cases[i].serve[buildsPath] = always(values(build + "}"))
	}
	runKindCases(t, cases)
}

// Repositories elsewhere are not asked for commits.
func TestBuildsOfOtherRepositories(t *testing.T) {
	runKindCases(t, []kindCase{{
		name: "GitHub, none, no version", kind: "build", selector: `{"enrichWithFirstCommit":true}`,
		serve: servers{
			buildsPath: always(values(`{"id":1,"sourceVersion":"c","repository":{"id":"a/b","type":"GitHub"}}`, `{"id":2,"sourceVersion":"c"}`,
				`{"id":3,"repository":{"id":"r1","type":"TfsGit"}}`)),
			buildsPath + "/1/changes": always(values()), buildsPath + "/2/changes": always(values()), buildsPath + "/3/changes": always(values()),
		},
		want: []string{
			withProject(`{"id":1,"sourceVersion":"c","repository":{"id":"a/b","type":"GitHub"}`), withProject(`{"id":2,"sourceVersion":"c"`),
			withProject(`{"id":3,"repository":{"id":"r1","type":"TfsGit"}`),
		},
		sent: []string{
			buildsPath + buildsQuery, "p2/_apis/build/builds" + buildsQuery,
			buildsPath + "/1/changes?$top=1000", buildsPath + "/2/changes?$top=1000", buildsPath + "/3/changes?$top=1000",
		},
	}})
}

func TestBuildRevision(t *testing.T) {
	for build, want := range map[string]string{
		`{"status":"completed","lastChangedDate":"2026-03-02","finishTime":"2026-03-01","result":"failed"}`: "2026-03-02 2026-03-01 failed",
		`{"status":"inProgress","lastChangedDate":"2026-03-01"}`:                                            "",
		`{"status":"completed","finishTime":"2026-03-01"}`:                                                  "",
		`{"lastChangedDate":"2026-03-01"}`:                                                                  "",
	} {
		if got := buildRevision([]byte(build)); got != want {
			t.Errorf("revision of %s = %q, want %q", build, got, want)
		}
	}
}
