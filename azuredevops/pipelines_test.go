package azuredevops

import (
	"encoding/json"
	"testing"
)

func TestPipelineInputs(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{}`: `{}`, `{"branch":"","templateParameters":{},"variables":null}`: `{}`,
		`{"branch":"main"}`:                               `{"resources":{"repositories":{"self":{"refName":"refs/heads/main"}}}}`,
		`{"branch":"refs/tags/v1"}`:                       `{"resources":{"repositories":{"self":{"refName":"refs/tags/v1"}}}}`,
		`{"templateParameters":{"a":{"b":[1]},"n":null}}`: `{"templateParameters":{"a":{"b":[1]}}}`,
		`{"variables":{"A":1,"B":true,"C":"x","D":null}}`: `{"variables":{"A":{"value":"1"},"B":{"value":"true"},"C":{"value":"x"}}}`,
		`{"variables":{"A":{"value":2,"isSecret":true}}}`: `{"variables":{"A":{"isSecret":true,"value":"2"}}}`,
		`{"branch":7}`: "", `{"branch":"a..b"}`: "", `{"branch":"/a"}`: "", `{"variables":[]}`: "", `{"variables":{"A":{}}}`: "", `{"templateParameters":"{}"}`: "",
	} {
		got, err := pipelineBody([]byte(in))
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%s makes %s, %v; want %s", in, got, err, want)
		}
	}
}

func FuzzPipelineInput(f *testing.F) {
	for _, s := range []string{
		`{"project":"Store","pipelineId":"12","branch":"main","templateParameters":{"a":"b"},"variables":{"A":{"value":1}}}`, `{"project":1}`, `[]`, `{"variables":{"A":{"value":{"value":{}}}}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, properties []byte) {
		in, err := parsePipelineInput(properties)
		if err == nil && (in.project == "" || in.pipeline == "" || !json.Valid(in.body)) {
			t.Errorf("%+v", in)
		}
	})
}
