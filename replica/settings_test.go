package replica_test

import (
	"strings"
	"testing"

	"github.com/ado-port/ado-port/port"
	"github.com/ado-port/ado-port/replica"
)

func TestAddress(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"":                                       "",
		"redis://localhost:6379/0":               "",
		"rediss://user:p%40ss@redis.acme:6380/":  "",
		"redis://:secret@h:1/0":                  "",
		"redis://a:1,b:2,c:3/0":                  "Cluster",
		"redis://u:secret@a:1,b:2/0":             "Cluster",
		"redis-sentinel://u:secret@a:1/mymaster": "Sentinel",
		"redis+sentinel://a:1":                   "Sentinel",
		"redis-cluster://a:1":                    "Cluster",
		"redis://a:1?master_name=m":              "Sentinel",
		"redis://a:1/0?addr=b:2":                 "single Redis",
		"http://u:secret@a:1":                    "want redis://",
		"localhost:6379":                         "want redis://",
		"redis://u:se/cret@a:1/0":                "",
		"redis://a:1/secret":                     "database number",
		"redis:///0":                             "not an address",
	} {
		s := replica.Settings{URL: port.Secret(address)}
		err := s.Validate()
		switch {
		case address == "redis://u:se/cret@a:1/0": // whatever it is taken for, the password is not shown
			if err == nil {
				t.Errorf("%s is taken", address)
			}
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: error %v, want %q", address, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") || err != nil && strings.Contains(err.Error(), "cret@") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

func FuzzAddress(f *testing.F) {
	f.Add("redis://user:hunter22@h:6379/0?x=y")
	f.Add("rediss://:hunter22@a,b/1")
	f.Fuzz(func(t *testing.T, text string) {
		s := replica.Settings{URL: port.Secret("redis://u:hunter22@" + text)}
		if err := s.Validate(); err != nil && strings.Contains(err.Error(), "hunter22") {
			t.Errorf("the error shows the password: %v", err)
		}
		_ = (&replica.Settings{URL: port.Secret(text)}).Validate() // whatever it says
	})
}
