package rest

import (
	"errors"
	"net"
	"net/url"
	"strings"
)

// A Service is a part of Azure DevOps that has a host of its own on Services.
// On Server everything lives on one host.
type Service string

// The services.
const (
	Core   Service = ""
	VSSPS  Service = "vssps"  // graph, identities
	VSAEX  Service = "vsaex"  // user entitlements
	VSRM   Service = "vsrm"   // classic releases
	AdvSec Service = "advsec" // Advanced Security
)

// Services are all of them.
func Services() []Service { return []Service{Core, VSSPS, VSAEX, VSRM, AdvSec} }

const (
	hostServices = "dev.azure.com"
	hostOlder    = ".visualstudio.com"
)

// onServer tells whether an organization is a collection of Azure DevOps Server,
// which is everything that is not on a host of Services.
func onServer(org *url.URL) bool {
	host := strings.ToLower(org.Hostname())
	return host != hostServices && !strings.HasSuffix(host, "."+hostServices) && !strings.HasSuffix(host, hostOlder)
}

// serviceURL is the base URL of a service for an organization. Only the host
// changes, never the path; but Advanced Security has no host of the older form.
func serviceURL(org *url.URL, s Service) string {
	u := *org
	if s != Core {
		host := strings.ToLower(u.Hostname())
		switch {
		case host == hostServices:
			u.Host = string(s) + "." + u.Host
		case s == AdvSec && strings.HasSuffix(host, hostOlder):
			u.Host, u.Path, u.RawPath = string(s)+"."+hostServices, "/"+organizationName(org), ""
		case strings.HasSuffix(host, hostOlder):
			label, rest, _ := strings.Cut(u.Host, ".")
			u.Host = label + "." + string(s) + "." + rest
		}
	}
	return strings.TrimRight(u.String(), "/")
}

// organizationName is documented at Client.OrganizationName.
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

// OrganizationKey is the same for every form in which the address of an organization,
// or of something in it, can be written: letters of either case, http, a slash at the
// end, the port that goes without saying, the older host, and the name that a
// collection has on Services. It is an address itself.
func OrganizationKey(u *url.URL) string {
	host, path := strings.ToLower(u.Hostname()), strings.Trim(strings.ToLower(u.Path), "/")
	if onServer(u) {
		if port := u.Port(); port != "" && port != "80" && port != "443" {
			host = net.JoinHostPort(host, port)
		}
	} else {
		if strings.HasSuffix(host, hostOlder) {
			label, _, _ := strings.Cut(host, ".")
			path = label + "/" + path
		}
		name, rest, _ := strings.Cut(path, "/")
		host, path = hostServices, strings.Trim(name+"/"+strings.TrimPrefix(rest+"/", "defaultcollection/"), "/")
	}
	return strings.TrimRight((&url.URL{Scheme: "https", Host: host, Path: "/" + path}).String(), "/")
}

// ParseOrganization checks and normalizes the URL of an organization: no
// trailing slash, no user name, no query. The error does not repeat the text,
// which people paste with credentials in it.
func ParseOrganization(raw string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("want a URL that begins with https:// or http://, such as https://dev.azure.com/acme")
	}
	if strings.EqualFold(u.Hostname(), hostServices) && strings.Trim(u.Path, "/") == "" {
		return nil, errors.New("want the name of the organization behind the host, such as https://dev.azure.com/acme")
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = strings.TrimRight(u.RawPath, "/")
	return u, nil
}
