package port

import (
	"encoding/base64"
	"testing"
)

func FuzzRuns(f *testing.F) {
	for _, s := range []string{
		`{"runs":[{"id":"r_1","status":"IN_PROGRESS","action":{"identifier":"run_ci"},"payload":{"integrationActionType":"t","integrationActionExecutionProperties":{"a":1}}},{},null,7]}`,
		`{"nodeRuns":[{"identifier":"n","nodeUid":"u","config":{"integrationInvocationType":"t"}},{"identifier":"n2","node":{"config":{"integrationInvocationType":"t"}}}]}`, `{"runs":{}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, node := range []bool{false, true} {
			for _, r := range parseRuns(body, node) {
				if r.ID == "" || r.Node != node || node && r.Source == "" {
					t.Errorf("%+v", r)
				}
			}
		}
	})
}

func TestRunsOfBothForms(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"nodeRuns":[{"identifier":"n","config":{"integrationInvocationType":"t"}}]}`,
		`{"nodeRuns":[{"identifier":""},{"identifier":"n","node":{"config":{"integrationInvocationType":"t"}}}]}`,
	} {
		if got := parseRuns([]byte(body), true); len(got) != 1 || got[0].Type != "t" || got[0].Source != "n" {
			t.Errorf("%s: %+v", body, got)
		}
	}
}

func TestMachineTokens(t *testing.T) {
	t.Parallel()
	for claims, want := range map[string]bool{
		`{"isMachine":true,"personalToken":true}`: true, `{"isMachine":false}`: false, `{"personalToken":false}`: true, `{"personalToken":true}`: false,
		`{}`: false, `{"isMachine":null,"personalToken":false}`: true, `nonsense`: false,
	} {
		if got := machineToken("Bearer x." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".y"); got != want {
			t.Errorf("machineToken(%s) = %t", claims, got)
		}
	}
	if machineToken("Bearer opaque") {
		t.Error("a token that is none is of a machine")
	}
}
