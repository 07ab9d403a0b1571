package azuredevops

import "testing"

const (
	repoMain  = `{"id":"R1","defaultBranch":"refs/heads/main"}`
	repoBare  = `{"id":"r2"}`
	repoOff   = `{"id":"r3","defaultBranch":"refs/heads/main","isDisabled":true}`
	repoOther = `{"id":"r4","defaultBranch":"refs/heads/release/1"}`
)

func policy(id, settings string) string { return `{"id":` + id + `,"settings":` + settings + `}` }

func TestRepositoryPolicies(t *testing.T) {
	repos := always(values(repoMain, repoBare, repoOff, repoOther))
	of := func(policy, repository string) string {
		return policy[:len(policy)-1] + `,"__repository":` + repository + `}`
	}
	everywhere := policy("1", `{}`)
	null := policy("2", `{"scope":[]}`)
	exact := policy("3", `{"scope":[{"repositoryId":"r1","refName":"refs/heads/main"},{"repositoryId":"R4","refName":"refs/heads/main","matchKind":"Exact"}]}`)
	prefix := policy("4", `{"scope":[{"repositoryId":null,"refName":"refs/heads/release/","matchKind":"prefix"}]}`)
	branch := policy("5", `{"scope":[{"repositoryId":"r9","refName":null},{"repositoryId":null,"matchKind":"DefaultBranch"}]}`)
	twice := policy("6", `{"scope":[{"repositoryId":"r4","refName":"refs/heads/release/1"},{"repositoryId":"r1"},{"repositoryId":"r4"}]}`)
	segments := policy("8", `{"scope":[{"repositoryId":null,"refName":"refs/heads/release","matchKind":"Prefix"},{"refName":"refs/heads/ma","matchKind":"Prefix"}]}`)
	itself := policy("9", `{"scope":[{"repositoryId":null,"refName":"refs/heads/main","matchKind":"Prefix"}]}`)
	bare := policy("10", `{"scope":[{"repositoryId":"r2","refName":"refs/heads/main","matchKind":"Exact"},{"repositoryId":"00000000-0000-0000-0000-000000000000","refName":"refs/heads/main"}]}`)
	strange := policy("7", `{"scope":[{"repositoryId":"r1","matchKind":"Regex"}]}`)
	asked := map[string]string{
		"p1/_apis/git/policy/configurations?repositoryId=R1&refName=refs%2Fheads%2Fmain":        values(exact),
		"p1/_apis/git/policy/configurations?repositoryId=r2":                                    "",
		"p1/_apis/git/policy/configurations?repositoryId=r4&refName=refs%2Fheads%2Frelease%2F1": values(twice),
	}
	const whole = "p1/_apis/policy/configurations?$top=1000"
	runKindCases(t, []kindCase{
		{
			name: "every form of scope, in pages", kind: "repository-policy",
			serve: servers{
				"p1/_apis/git/repositories":      repos,
				"p1/_apis/policy/configurations": tokenPages(values(everywhere, null, exact), values(), values(prefix, branch, twice, segments, itself, bare)),
			},
			want: []string{
				of(everywhere, repoMain), of(everywhere, repoBare), of(everywhere, repoOther), of(null, repoMain), of(null, repoBare), of(null, repoOther),
				of(exact, repoMain), of(prefix, repoOther), of(branch, repoMain), of(branch, repoOther),
				of(twice, repoMain), of(twice, repoOther), of(segments, repoOther), of(bare, repoMain),
			},
			scope: "p1/R1/1",
			sent: []string{
				"p1/_apis/git/repositories", "p2/_apis/git/repositories", whole, whole + "&continuationToken=1", whole + "&continuationToken=2",
			},
		},
		{
			name: "a project that cannot be read, a single repository that can", kind: "repository-policy",
			serve: servers{
				"p1/_apis/git/repositories": status(403, ""), "p2/_apis/git/repositories": always(values(repoMain)),
				"p2/_apis/git/policy/configurations": tokenPages(values(exact), values(twice)),
			},
			want: []string{of(exact, repoMain), of(twice, repoMain)}, unknown: "p1//",
		},
		{
			name: "a list of a project that cannot be read", kind: "repository-policy",
			serve: servers{
				"p1/_apis/git/repositories": repos, "p1/_apis/policy/configurations": status(404, ""),
				"p1/_apis/git/policy/configurations": byAddress(asked),
			},
			want: []string{of(exact, repoMain), of(twice, repoOther)}, unknown: "p1/r2/",
		},
		{
			name: "a scope that only the service understands", kind: "repository-policy",
			serve: servers{
				"p1/_apis/git/repositories": repos, "p1/_apis/policy/configurations": always(values(strange, exact)),
				"p1/_apis/git/policy/configurations": byAddress(asked),
			},
			want: []string{of(exact, repoMain), of(twice, repoOther)}, unknown: "p1/r2/",
		},
		{
			name: "half a list", kind: "repository-policy",
			serve: servers{
				"p1/_apis/git/repositories": repos, "p1/_apis/policy/configurations": tokenPages(values(exact), values(strange)),
			},
			want: []string{of(exact, repoMain)}, unknown: "p1//",
		},
		{
			name: "not signed in", kind: "repository-policy",
			serve: servers{"p1/_apis/git/repositories": repos, "p1/_apis/policy/configurations": status(401, "")}, unknown: "p1//",
		},
	})
	testKindBasics(t, "repository-policy",
		servers{"p1/_apis/git/repositories": repos, "p1/_apis/policy/configurations": always(values(everywhere))},
		map[string]string{`{"defaultTeam":[]}`: "defaultTeam: want true or false"})
}
