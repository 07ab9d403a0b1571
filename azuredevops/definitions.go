package azuredevops

import (
	"bytes"
	"context"
	"strings"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// definitions are the build definitions behind pipelines, remembered by their
// revision. A definition shows the current name of its repository, which can change
// without a new revision: so a remembered one counts only while the list of
// repositories says the same about that repository. Repositories hosted elsewhere
// are part of the definition itself.
type definitions struct {
	*lister
	seen cache[string, map[string]string] // by project: what tells repositories apart, by id
}

// repository is definitionRepository for a pipeline as listed.
func (d *definitions) repository(ctx context.Context, pipeline Record) ([]byte, error) {
	of := memorable{"definition 1", pipeline.project(), pipeline.Scope.ID, rawjson.Text(pipeline.JSON, "revision")}
	var seen map[string]string
	if d.c.store != nil {
		// Before the definition is asked for: what is put is never older than this.
		var err error
		if seen, err = d.seen.get(ctx, pipeline.Scope.Project, func(ctx context.Context) (map[string]string, error) {
			return d.repositories(ctx, of.project)
		}); err != nil {
			of.revision = ""
		}
	}
	now := func(repository []byte) string {
		if rawjson.Text(repository, "type") != "TfsGit" {
			return "-"
		}
		return seen[strings.ToLower(rawjson.Text(repository, "id"))]
	}
	known, ok := d.recall(of)
	if then, repository, found := bytes.Cut(known, []byte{'\n'}); ok && found && now(repository) == string(then) {
		if len(repository) == 0 {
			repository = nil // there is none
		}
		return repository, nil
	}
	repository, err := d.definitionRepository(ctx, pipeline.Scope)
	if state := now(repository); err == nil && state != "" {
		d.keep(of, bytes.Join([][]byte{[]byte(state), repository}, []byte{'\n'}))
	}
	return repository, err
}

// repositories tells the versions of a project's repositories apart by what a
// definition may repeat of them.
func (d *definitions) repositories(ctx context.Context, p *project) (map[string]string, error) {
	b, err := d.repositoryList(ctx, p)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for obj := range rawjson.Objects(b, "value") {
		out[strings.ToLower(rawjson.Text(obj, "id"))] = hexDigest(
			rawjson.Text(obj, "name"), rawjson.Text(obj, "defaultBranch"), rawjson.Text(obj, "url"), rawjson.Text(obj, "remoteUrl"), rawjson.Text(obj, "webUrl"),
			rawjson.Text(obj, "isDisabled"), string(rawjson.Raw(obj, "project")))
	}
	return out, nil
}
