package rest

import (
	"net/url"
	"testing"
)

func TestOrganizationKey(t *testing.T) {
	t.Parallel()
	const acme = "https://dev.azure.com/acme"
	for address, want := range map[string]string{
		"https://dev.azure.com/acme":                       acme,
		"https://dev.azure.com/ACME/":                      acme,
		"HTTP://DEV.azure.com:80/acme":                     acme,
		"https://dev.azure.com:443/acme/DefaultCollection": acme,
		"https://vsrm.dev.azure.com/acme":                  acme,
		"https://Acme.visualstudio.com":                    acme,
		"http://acme.visualstudio.com/DefaultCollection/":  acme,
		"https://acme.vssps.visualstudio.com/":             acme,
		"https://acme.visualstudio.com/Web/_apis/x?y=1":    acme + "/web/_apis/x",
		"https://dev.azure.com/acme-2":                     "https://dev.azure.com/acme-2",
		"https://acme.visualstudio.com/DefaultCollection2": acme + "/defaultcollection2",
		"https://Server/tfs/DefaultCollection":             "https://server/tfs/defaultcollection",
		"http://server:80/TFS/DefaultCollection/":          "https://server/tfs/defaultcollection",
		"http://server:8080/tfs/My%20Collection":           "https://server:8080/tfs/my%20collection",
		"http://[::1]:8080/tfs":                            "https://[::1]:8080/tfs",
		"http://server:443/tfs":                            "https://server/tfs",
		"https://dev.azure.com.example.com/acme":           "https://dev.azure.com.example.com/acme",
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		key := OrganizationKey(u)
		if key != want {
			t.Errorf("OrganizationKey(%s) = %s, want %s", address, key, want)
		}
		if again, err := url.Parse(key); err != nil || OrganizationKey(again) != key {
			t.Errorf("the key of %s is not its own key: %v", key, err)
		}
	}
}

func TestHosts(t *testing.T) {
	for _, tt := range []struct {
		org    string
		server bool
		name   string
		hosts  map[Service]string
	}{
		{"https://dev.azure.com/Acme", false, "Acme", map[Service]string{
			Core: "https://dev.azure.com/Acme", VSSPS: "https://vssps.dev.azure.com/Acme", VSAEX: "https://vsaex.dev.azure.com/Acme",
			VSRM: "https://vsrm.dev.azure.com/Acme", AdvSec: "https://advsec.dev.azure.com/Acme",
		}},
		{"https://dev.azure.com/my-dev.org", false, "my-dev.org", map[Service]string{AdvSec: "https://advsec.dev.azure.com/my-dev.org"}},
		{"https://Acme.visualstudio.com/", false, "acme", map[Service]string{
			Core: "https://Acme.visualstudio.com", VSSPS: "https://Acme.vssps.visualstudio.com", VSRM: "https://Acme.vsrm.visualstudio.com",
			AdvSec: "https://advsec.dev.azure.com/acme",
		}},
		{"https://acme.visualstudio.com/DefaultCollection", false, "acme", map[Service]string{
			VSRM: "https://acme.vsrm.visualstudio.com/DefaultCollection", AdvSec: "https://advsec.dev.azure.com/acme",
		}},
		{"https://server/tfs/My%20Collection/", true, "https://server/tfs/My%20Collection", map[Service]string{
			Core: "https://server/tfs/My%20Collection", VSSPS: "https://server/tfs/My%20Collection", VSRM: "https://server/tfs/My%20Collection",
			AdvSec: "https://server/tfs/My%20Collection",
		}},
		{"http://ado.example.com:8080/DefaultCollection", true, "http://ado.example.com:8080/DefaultCollection", map[Service]string{
			VSAEX: "http://ado.example.com:8080/DefaultCollection",
		}},
		{"https://dev.azure.com.example.com/x", true, "https://dev.azure.com.example.com/x", nil},
		{"https://evilvisualstudio.com/x", true, "https://evilvisualstudio.com/x", nil},
	} {
		org, err := ParseOrganization(tt.org)
		if err != nil {
			t.Fatal(err)
		}
		if onServer(org) != tt.server || organizationName(org) != tt.name {
			t.Errorf("%s: server %v, name %s", tt.org, onServer(org), organizationName(org))
		}
		for s, want := range tt.hosts {
			if got := serviceURL(org, s); got != want {
				t.Errorf("%s, Service %q: %s, want %s", tt.org, s, got, want)
			}
		}
	}
}

func TestOrganizationNamesAndHosts(t *testing.T) {
	for _, tt := range []struct{ url, name, releases, security string }{
		{"https://dev.azure.com/My-dev.Org/", "My-dev.Org", "https://vsrm.dev.azure.com/My-dev.Org", "https://advsec.dev.azure.com/My-dev.Org"},
		{"https://Acme.visualstudio.com", "acme", "https://Acme.vsrm.visualstudio.com", "https://advsec.dev.azure.com/acme"},
		{"https://tfs.dev.example.com/tfs/Default", "https://tfs.dev.example.com/tfs/Default", "https://tfs.dev.example.com/tfs/Default", "https://tfs.dev.example.com/tfs/Default"},
	} {
		c, err := New(Config{OrganizationURL: tt.url, Credential: PersonalAccessToken("x"), Transport: &fakeService{}})
		if err != nil {
			t.Fatal(err)
		}
		if c.OrganizationName() != tt.name || c.base[VSRM] != tt.releases || c.base[AdvSec] != tt.security {
			t.Errorf("%s: %s, %s, %s", tt.url, c.OrganizationName(), c.base[VSRM], c.base[AdvSec])
		}
	}
}
