package network

import (
	"net/url"
	"strings"
	"testing"
)

func parse(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		return nil
	}
	return u
}

func TestProxies(t *testing.T) {
	t.Parallel()
	type env = map[string]string
	const p = "http://p:1"
	tests := []struct {
		name    string
		environ env
		url     string
		want    string // empty: no proxy
	}{
		{"none", env{}, "https://a.example.com", ""},
		{"https", env{"HTTPS_PROXY": p}, "https://a.example.com", p},
		{"https for http", env{"HTTPS_PROXY": p}, "http://a.example.com", ""},
		{"http", env{"HTTP_PROXY": p}, "http://a.example.com", p},
		{"all", env{"ALL_PROXY": p}, "https://a.example.com", p},
		{"all is weakest", env{"ALL_PROXY": "http://q:2", "HTTPS_PROXY": p}, "https://a.example.com", p},
		{"lower case", env{"https_proxy": p, "HTTPS_PROXY": "http://q:2"}, "https://a.example.com", p},
		{"empty lower case", env{"https_proxy": "", "HTTPS_PROXY": p}, "https://a.example.com", p},
		{"without scheme", env{"ALL_PROXY": "proxy.example.com:3128"}, "https://a", "http://proxy.example.com:3128"},
		{"loopback goes through", env{"HTTP_PROXY": p}, "http://127.0.0.1:80", p},
		{"CGI", env{"HTTP_PROXY": p, "REQUEST_METHOD": "GET"}, "http://a", ""},
		{"CGI lower case", env{"http_proxy": p, "REQUEST_METHOD": "GET"}, "http://a", p},
		{"star", env{"ALL_PROXY": p, "NO_PROXY": "a, *"}, "https://b", ""},
		{"host", env{"ALL_PROXY": p, "NO_PROXY": "example.com"}, "https://example.com", ""},
		{"host in other case", env{"ALL_PROXY": p, "NO_PROXY": "Example.com"}, "https://EXAMPLE.com.", ""},
		{"subdomain", env{"ALL_PROXY": p, "NO_PROXY": "example.com"}, "https://a.example.com", ""},
		{"not a subdomain", env{"ALL_PROXY": p, "NO_PROXY": "example.com"}, "https://notexample.com", p},
		{"dot: subdomain", env{"ALL_PROXY": p, "NO_PROXY": ".example.com"}, "https://a.example.com", ""},
		{"dot: not the domain", env{"ALL_PROXY": p, "NO_PROXY": ".example.com"}, "https://example.com", p},
		{"star dot", env{"ALL_PROXY": p, "NO_PROXY": "*.example.com"}, "https://a.example.com", ""},
		{"localhost", env{"ALL_PROXY": p, "NO_PROXY": "localhost"}, "http://localhost:8080", ""},
		{"below localhost", env{"ALL_PROXY": p, "NO_PROXY": "localhost"}, "http://a.localhost", p},
		{"IP", env{"ALL_PROXY": p, "NO_PROXY": "127.0.0.1"}, "http://127.0.0.1:9", ""},
		{"other IP", env{"ALL_PROXY": p, "NO_PROXY": "127.0.0.1"}, "http://127.0.0.2", p},
		{"IPv6", env{"ALL_PROXY": p, "NO_PROXY": "::1"}, "http://[::1]:9", ""},
		{"IPv6 in brackets with a port", env{"ALL_PROXY": p, "NO_PROXY": "[::1]:9"}, "http://[::1]:9", ""},
		{"CIDR", env{"ALL_PROXY": p, "NO_PROXY": "10.0.0.0/8"}, "http://10.1.2.3", ""},
		{"outside of CIDR", env{"ALL_PROXY": p, "NO_PROXY": "10.0.0.0/8"}, "http://11.1.2.3", p},
		{"CIDR and a name", env{"ALL_PROXY": p, "NO_PROXY": "10.0.0.0/8"}, "http://a", p},
		{"port", env{"ALL_PROXY": p, "NO_PROXY": "a:8080"}, "http://a:8080", ""},
		{"default port", env{"ALL_PROXY": p, "NO_PROXY": "a:443"}, "https://a", ""},
		{"other port", env{"ALL_PROXY": p, "NO_PROXY": "a:8080"}, "http://a:8081", p},
		{"pattern", env{"ALL_PROXY": p, "NO_PROXY": "http://127.0.0.1,example.com"}, "http://127.0.0.1:5000", ""},
		{"pattern of the other scheme", env{"ALL_PROXY": p, "NO_PROXY": "http://127.0.0.1"}, "https://127.0.0.1", p},
		{"pattern names one host", env{"ALL_PROXY": p, "NO_PROXY": "https://example.com"}, "https://a.example.com", p},
		{"pattern with a star", env{"ALL_PROXY": p, "NO_PROXY": "https://*.example.com"}, "https://a.example.com", ""},
		{"pattern for all schemes", env{"ALL_PROXY": p, "NO_PROXY": "all://example.com"}, "https://example.com", ""},
		{"pattern of a scheme", env{"ALL_PROXY": p, "NO_PROXY": "http://"}, "http://example.com", ""},
		{"lower-case exceptions", env{"ALL_PROXY": p, "no_proxy": "a"}, "http://a", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, err := newProxies(tt.environ)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			if u := p.forURL(parse(tt.url)); u != nil {
				got = u.String()
			}
			if got != tt.want {
				t.Errorf("proxy for %s with %v = %q, want %q", tt.url, tt.environ, got, tt.want)
			}
		})
	}
}

func TestProxyErrors(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"http://", "ftp://hush@h", "http://hush:%zz@h", "://hush"} {
		_, err := newProxies(map[string]string{"https_proxy": text})
		if err == nil || !strings.Contains(err.Error(), "https_proxy") || strings.Contains(err.Error(), "hush") {
			t.Errorf("NewProxies(%q) = %v", text, err)
		}
	}
}

func FuzzProxies(f *testing.F) {
	f.Add("proxy.example.com:3128", "http://127.0.0.1,localhost,.svc,10.0.0.0/8,[::1]:80", "https://dev.azure.com")
	f.Add("socks5://u:p@h", "all://*.example.com:443/x,*", "http://[fe80::1%25en0]:8080/")
	f.Fuzz(func(_ *testing.T, proxy, none, target string) {
		p, err := newProxies(map[string]string{"ALL_PROXY": proxy, "NO_PROXY": none})
		if err != nil {
			return
		}
		if u := parse(target); u != nil {
			p.forURL(u)
		}
	})
}
