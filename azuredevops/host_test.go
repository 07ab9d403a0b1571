package azuredevops

import "testing"

func TestHosts(t *testing.T) {
	for _, tt := range []struct {
		org    string
		server bool
		name   string
		hosts  map[service]string
	}{
		{"https://dev.azure.com/Acme", false, "Acme", map[service]string{
			core: "https://dev.azure.com/Acme", vssps: "https://vssps.dev.azure.com/Acme", vsaex: "https://vsaex.dev.azure.com/Acme",
			vsrm: "https://vsrm.dev.azure.com/Acme", analytics: "https://analytics.dev.azure.com/Acme", advsec: "https://advsec.dev.azure.com/Acme",
		}},
		{"https://dev.azure.com/my-dev.org", false, "my-dev.org", map[service]string{advsec: "https://advsec.dev.azure.com/my-dev.org"}},
		{"https://Acme.visualstudio.com/", false, "acme", map[service]string{
			core: "https://Acme.visualstudio.com", vssps: "https://Acme.vssps.visualstudio.com", vsrm: "https://Acme.vsrm.visualstudio.com",
			advsec: "https://advsec.dev.azure.com/acme",
		}},
		{"https://acme.visualstudio.com/DefaultCollection", false, "acme", map[service]string{
			vsrm: "https://acme.vsrm.visualstudio.com/DefaultCollection", advsec: "https://advsec.dev.azure.com/acme",
		}},
		{"https://server/tfs/My%20Collection/", true, "https://server/tfs/My%20Collection", map[service]string{
			core: "https://server/tfs/My%20Collection", vssps: "https://server/tfs/My%20Collection", vsrm: "https://server/tfs/My%20Collection",
			advsec: "https://server/tfs/My%20Collection",
		}},
		{"http://ado.example.com:8080/DefaultCollection", true, "http://ado.example.com:8080/DefaultCollection", map[service]string{
			vsaex: "http://ado.example.com:8080/DefaultCollection",
		}},
		{"https://dev.azure.com.example.com/x", true, "https://dev.azure.com.example.com/x", nil},
		{"https://evilvisualstudio.com/x", true, "https://evilvisualstudio.com/x", nil},
	} {
		org, err := parseOrganization(tt.org)
		if err != nil {
			t.Fatal(err)
		}
		if onServer(org) != tt.server || organizationName(org) != tt.name {
			t.Errorf("%s: server %v, name %s", tt.org, onServer(org), organizationName(org))
		}
		for s, want := range tt.hosts {
			if got := serviceURL(org, s); got != want {
				t.Errorf("%s, service %q: %s, want %s", tt.org, s, got, want)
			}
		}
	}
}
