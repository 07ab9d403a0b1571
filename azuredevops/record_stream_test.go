package azuredevops

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// workItemPage is like a page of 200 expanded work items: 1.1 MB.
func workItemPage() []byte {
	var b strings.Builder
	b.WriteString(`{"count":200,"value":[`)
	for i := range 200 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"rev":3,"fields":{"System.Title":"Work \"item\" %d","System.Description":%q`, i+1, i, strings.Repeat("<div>text &amp; markup</div>", 60))
		for k := range 40 {
			fmt.Fprintf(&b, `,"Custom.Field%d":{"displayName":"Somebody %d","url":"https://example.com/%d"}`, k, k, i)
		}
		fmt.Fprintf(&b, `},"url":"https://example.com/_apis/wit/workItems/%d"}`, i)
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

func BenchmarkPageOf200WorkItems(b *testing.B) {
	body := workItemPage()
	c := newTestClient(b, &fakeService{}, options{})
	l := newLister(c)
	added := rawjson.Members{}.Text("__projectId", "p1").Raw("__project", bytes.Repeat([]byte(" "), 400))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		p := &page{Body: body}
		if !gjson.ValidBytes(body) || p.ReadList("value", "id", false) != nil {
			b.Fatal("invalid")
		}
		n := 0
		l.unfold(batch{page: p, id: "id", added: added}, func(Record, error) bool { n++; return true })
		if n != 200 {
			b.Fatal(n)
		}
	}
	b.ReportMetric(200*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
