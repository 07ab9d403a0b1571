package azuredevops

import (
	"net/url"
	"strings"
)

// A service is a part of Azure DevOps that has a host of its own on Services.
// On Server everything lives on one host (export.md 1.3, 1.4).
type service string

const (
	core      service = ""
	vssps     service = "vssps"     // graph, identities
	vsaex     service = "vsaex"     // user entitlements
	vsrm      service = "vsrm"      // classic releases
	analytics service = "analytics" // OData
	advsec    service = "advsec"    // Advanced Security
)

// services are all of them.
func services() []service { return []service{core, vssps, vsaex, vsrm, analytics, advsec} }

const (
	hostServices = "dev.azure.com"
	hostOlder    = ".visualstudio.com"
)

// onServer tells whether an organization is a collection of Azure DevOps Server,
// which is everything that is not on a host of Services (export.md 1.3).
func onServer(org *url.URL) bool {
	host := strings.ToLower(org.Hostname())
	return host != hostServices && !strings.HasSuffix(host, "."+hostServices) && !strings.HasSuffix(host, hostOlder)
}

// serviceURL is the base URL of a service for an organization. Only the host
// changes, never the path; but Advanced Security has no host of the older form.
func serviceURL(org *url.URL, s service) string {
	u := *org
	if s != core {
		host := strings.ToLower(u.Hostname())
		switch {
		case host == hostServices:
			u.Host = string(s) + "." + u.Host
		case s == advsec && strings.HasSuffix(host, hostOlder):
			u.Host, u.Path, u.RawPath = string(s)+"."+hostServices, "/"+organizationName(org), ""
		case strings.HasSuffix(host, hostOlder):
			label, rest, _ := strings.Cut(u.Host, ".")
			u.Host = label + "." + string(s) + "." + rest
		}
	}
	return strings.TrimRight(u.String(), "/")
}

// organizationName is the value of __organizationName (export.md 1.5): the
// first segment of the path, the label of a visualstudio.com host in lower case,
// or the whole URL of a Server.
func organizationName(org *url.URL) string {
	host := strings.ToLower(org.Hostname())
	switch {
	case host == hostServices || strings.HasSuffix(host, "."+hostServices):
		if first, _, _ := strings.Cut(strings.Trim(org.Path, "/"), "/"); first != "" {
			return first
		}
	case strings.HasSuffix(host, hostOlder):
		label, _, _ := strings.Cut(host, ".")
		return label
	}
	return org.String()
}
