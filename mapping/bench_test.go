package mapping_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/itchyny/gojq"

	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/mapping/jq"
)

// workItemFields is the default mapping of work items.
var workItemFields = [][2]string{
	{"type", `.fields."System.WorkItemType"`},
	{"state", `.fields."System.State"`},
	{"effort", `.fields."Microsoft.VSTS.Scheduling.Effort" // -1`},
	{"description", `.fields."System.Description" // ''`},
	{"link", `.url`},
	{"reason", `.fields."System.Reason"`},
	{"createdBy", `.fields."System.CreatedBy".displayName`},
	{"changedBy", `.fields."System.ChangedBy".displayName`},
	{"createdDate", `.fields."System.CreatedDate"`},
	{"changedDate", `.fields."System.ChangedDate"`},
}

const workItemIdentifier = `.__project.id + "/" + (.id | tostring) | gsub(" "; "")`

func workItemMapping() string {
	properties := map[string]string{}
	for _, f := range workItemFields {
		properties[f[0]] = f[1]
	}
	return document("work-item", map[string]any{
		"identifier": workItemIdentifier,
		"blueprint":  `"azureDevopsWorkItem"`,
		"title":      `.fields."System.Title"`,
		"properties": properties,
		"relations": map[string]string{
			"project": `.__projectId | gsub(" "; "")`,
			"column":  `.fields."System.WorkItemType"+"-"+.fields."System.BoardColumn"+"-"+.__project.id | gsub(" "; "")`,
		},
	})
}

func document(kind string, mappings any) string {
	doc, err := json.Marshal(map[string]any{"resources": []any{map[string]any{
		"kind": kind, "selector": map[string]any{"query": "true"},
		"port": map[string]any{"entity": map[string]any{"mappings": mappings}},
	}}})
	if err != nil {
		panic(err)
	}
	return string(doc)
}

func record(tb testing.TB, kind string) []byte {
	tb.Helper()
	data, err := os.ReadFile("testdata/" + kind + "/records.json")
	if err != nil {
		tb.Fatal(err)
	}
	var records []json.RawMessage
	if err := json.Unmarshal(data, &records); err != nil {
		tb.Fatal(err)
	}
	return records[0]
}

func resource(tb testing.TB, doc string) *mapping.Resource {
	tb.Helper()
	m, err := mapping.Parse([]byte(doc), mapping.Options{})
	if err != nil || len(m.Resources) != 1 {
		tb.Fatalf("Parse(%s) = %+v, %v", doc, m, err)
	}
	return m.Resources[0]
}

func benchmarkMap(b *testing.B, kind, doc string) {
	b.Helper()
	r, rec, rep := resource(b, doc), record(b, kind), &mapping.Report{}
	b.SetBytes(int64(len(rec)))
	b.ReportAllocs()
	for b.Loop() {
		res, err := r.Map(context.Background(), rec, nil, rep)
		if err != nil || len(res.Entities) != 1 {
			b.Fatalf("Map = %+v, %v", res, err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// The default mapping: plain paths from the bytes, literal gsub in Go.
func BenchmarkMapWorkItem(b *testing.B) { benchmarkMap(b, "work-item", workItemMapping()) }

// The whole record as one property: bytes are copied.
func BenchmarkMapWorkItemWhole(b *testing.B) {
	benchmarkMap(b, "work-item", document("work-item", map[string]any{
		"identifier": `.__projectId + "/" + (.id|tostring)`, "blueprint": `"b"`, "properties": map[string]string{"raw": "."},
	}))
}

// An expression that needs the decoded record.
func BenchmarkMapWorkItemDecoded(b *testing.B) {
	benchmarkMap(b, "work-item", document("work-item", map[string]any{
		"identifier": `.id | tostring`, "blueprint": `"b"`, "properties": map[string]string{"n": "length"},
	}))
}

func BenchmarkMapRepository(b *testing.B) {
	benchmarkMap(b, "repository", document("repository", map[string]any{
		"identifier": `.project.name + "/" + .name | gsub(" "; "")`, "title": `.name`, "blueprint": `"azureDevopsRepository"`,
		"properties": map[string]string{
			"url": `.remoteUrl`, "webUrl": `.webUrl`, "branch": `.defaultBranch`,
			"defaultBranch": `.defaultBranch // "" | sub("refs/heads/"; "")`, "size": `.size`, "disabled": `.isDisabled`,
			"visibility": `.__project.visibility`, "git": `.url | gsub("_apis/git/repositories/"; "_git/")`,
		},
		"relations": map[string]string{"project": `.project.id | gsub(" "; "")`},
	}))
}

// BenchmarkGojqWorkItem is the same mapping by the plain way of
// jq-performance.md: decode, one gojq query per field, encode.
func BenchmarkGojqWorkItem(b *testing.B) {
	rec := record(b, "work-item")
	codes := []*gojq.Code{gojqCode(b, workItemIdentifier), gojqCode(b, `.fields."System.Title"`)}
	for _, f := range workItemFields {
		codes = append(codes, gojqCode(b, f[1]))
	}
	b.ReportAllocs()
	for b.Loop() {
		dec := json.NewDecoder(bytes.NewReader(rec))
		dec.UseNumber()
		var v any
		if err := dec.Decode(&v); err != nil {
			b.Fatal(err)
		}
		out := map[string]any{}
		for i, c := range codes {
			out[fmt.Sprint(i)], _ = c.Run(v).Next()
		}
		if _, err := json.Marshal(out); err != nil {
			b.Fatal(err)
		}
	}
}

func gojqCode(b *testing.B, src string) *gojq.Code {
	b.Helper()
	if src == workItemFields[3][1] {
		src = `.fields."System.Description" // ""`
	}
	q, err := gojq.Parse(src)
	if err != nil {
		b.Fatal(err)
	}
	c, err := gojq.Compile(q)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

func BenchmarkDecode(b *testing.B) {
	rec := record(b, "work-item")
	b.SetBytes(int64(len(rec)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jq.Decode(rec); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEqual(b *testing.B) {
	r, rec := resource(b, workItemMapping()), record(b, "work-item")
	res, err := r.Map(context.Background(), rec, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	body := res.Entities[0].Body
	b.ReportAllocs()
	for b.Loop() {
		if !mapping.Equal(body, body) {
			b.Fatal("not equal")
		}
	}
}
