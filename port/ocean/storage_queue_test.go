package ocean_test

import (
	"strings"
	"testing"

	"github.com/ado-port/ado-port/port/ocean"
)

func TestStorageQueue(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ url, account, name string }{
		{"", "", ""},
		{"https://acme.queue.core.windows.net/hooks", "acme", "hooks"},
		{"https://acme.queue.core.chinacloudapi.cn/azure-devops", "acme", "azure-devops"},
		{"http://127.0.0.1:10001/devstoreaccount1/hooks", "devstoreaccount1", "hooks"},
	} {
		q := ocean.StorageQueue{URL: tt.url}
		if account, name := q.Parts(); account != tt.account || name != tt.name || q.Validate() != nil {
			t.Errorf("%q = %q, %q, %v", tt.url, account, name, q.Validate())
		}
	}
	for _, bad := range []string{
		"https://acme.queue.core.windows.net", "https://acme.queue.core.windows.net/Hooks", "https://acme.queue.core.windows.net/h--s",
		"https://acme.queue.core.windows.net/hooks?sv=1&sig=x", "https://u:p@acme.queue.core.windows.net/hooks", "https://localhost/hooks",
		"https://acme.queue.core.windows.net/a/b/c", "https://acme.queue.core.windows.net/hooks-", "https://acme.queue.core.windows.net/ab",
	} {
		q := ocean.StorageQueue{URL: bad}
		if err := q.Validate(); err == nil || !strings.Contains(err.Error(), "STORAGE_QUEUE_URL") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := (&ocean.StorageQueue{AccountKey: "x"}).Validate(); err == nil {
		t.Error("a key without a queue is taken")
	}
}

func FuzzStorageQueue(f *testing.F) {
	for _, url := range []string{"https://acme.queue.core.windows.net/hooks", "http://127.0.0.1:1/a/b", "://", "https://%zz/x"} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		q := ocean.StorageQueue{URL: url}
		account, name := q.Parts()
		if (account == "") != (name == "") || account != "" && q.Validate() != nil {
			t.Errorf("%q = %q, %q, %v", url, account, name, q.Validate())
		}
	})
}
