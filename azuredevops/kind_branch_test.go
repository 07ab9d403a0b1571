package azuredevops

import "testing"

func TestBranches(t *testing.T) {
	branch := func(name, id, repository string) string {
		return `{"name":"` + name + `","refName":"refs/heads/` + name + `","objectId":` + id + `,"__repository":` + repository + `}`
	}
	const refs = "p1/_apis/git/repositories/R1/refs?filter=heads%2F&$top=1000"
	repos := always(values(repoMain, repoBare, repoOff, repoOther))
	one := servers{
		"p1/_apis/git/repositories": repos,
		"p1/_apis/git/repositories/R1/refs": tokenPages(
			values(`{"name":"refs/heads/main","objectId":"a","creator":{"id":"x"},"url":"y"}`, `{"name":"refs/heads-up","objectId":"b"}`),
			values(`{"name":"refs/heads/feature/\u00e9","objectId":null}`)),
		"p1/_apis/git/repositories/r2/refs": always(values()),
		"p1/_apis/git/repositories/r4/refs": always(values(`{"name":"refs/heads/main","objectId":"c"}`)),
	}
	runKindCases(t, []kindCase{
		{
			name: "pages, an empty repository, a disabled one", kind: "branch", serve: one,
			want:  []string{branch("main", `"a"`, repoMain), branch("feature/é", `null`, repoMain), branch("main", `"c"`, repoOther)},
			scope: "p1/R1/refs/heads/main",
			sent: []string{
				"p1/_apis/git/repositories", "p2/_apis/git/repositories", refs, refs + "&continuationToken=1",
				"p1/_apis/git/repositories/r2/refs?filter=heads%2F&$top=1000", "p1/_apis/git/repositories/r4/refs?filter=heads%2F&$top=1000",
			},
		},
		{
			name: "a repository and a project that cannot be read", kind: "branch",
			serve: servers{
				"p1/_apis/git/repositories": repos, "p1/_apis/git/repositories/R1/refs": status(404, ""),
				"p1/_apis/git/repositories/r2/refs": always(values()),
				"p1/_apis/git/repositories/r4/refs": one["p1/_apis/git/repositories/r4/refs"],
				"p2/_apis/git/repositories":         status(404, ""),
			},
			want: []string{branch("main", `"c"`, repoOther)}, unknown: "p1/R1/ p2//",
		},
	})
	testKindBasics(t, "branch", one, map[string]string{`{"defaultTeam":"perhaps"}`: "defaultTeam: want true or false"})
	all := `{"name":"refs/heads/refs/heads/odd","objectId":"a"}`
	runKindCases(t, []kindCase{{
		name: "every occurrence is dropped from the name", kind: "branch",
		serve: servers{"p1/_apis/git/repositories": always(values(repoMain)), "p1/_apis/git/repositories/R1/refs": always(values(all))},
		want:  []string{`{"name":"odd","refName":"refs/heads/refs/heads/odd","objectId":"a","__repository":` + repoMain + `}`},
	}})
}
