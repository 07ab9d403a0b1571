package origins

import (
	"fmt"
	"hash/fnv"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/ado-port/ado-port/azuredevops"
	"github.com/ado-port/ado-port/port"
)

// benchOrigins are those of an organization of 124,100 entities: 200 projects, with
// work items above all.
func benchOrigins() []Origin {
	guid := func(of string) string {
		h := fnv.New128a()
		h.Write([]byte(of))
		s := fmt.Sprintf("%x", h.Sum(nil))
		return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
	}
	var out []Origin
	add := func(kind string, each int, repository bool) {
		for p := range 200 {
			for i := range each {
				s := azuredevops.Scope{Organization: "https://dev.azure.com/acme", Project: guid(fmt.Sprint("p", p)), ID: fmt.Sprint(p*each + i)}
				if repository {
					s.Repository = guid(fmt.Sprint("r", p, i%10))
				}
				out = append(out, Origin{Kind: kind, Scope: s, Ref: port.Ref{Blueprint: kind, Identifier: s.Project + "/" + s.ID}})
			}
		}
	}
	add("work-item", 500, false)
	add("pull-request", 100, true)
	add("build", 20, false)
	add("pipeline", 1, false)
	return out[:124_100]
}

func writeBook(b *testing.B, dir string, all []Origin) int64 {
	b.Helper()
	w := NewWriter(dir, slog.New(slog.DiscardHandler))
	for _, o := range all {
		w.Add(o)
	}
	if err := w.Commit(true, never); err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, fileName))
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
}

func BenchmarkWriteBook(b *testing.B) {
	all, dir := benchOrigins(), b.TempDir()
	var size int64
	b.ReportAllocs()
	for b.Loop() {
		size = writeBook(b, dir, all)
	}
	b.ReportMetric(float64(size), "file-bytes")
}

func BenchmarkOpenBook(b *testing.B) {
	dir := b.TempDir()
	writeBook(b, dir, benchOrigins())
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	var book *Book
	b.ReportAllocs()
	for b.Loop() {
		if book = Open(dir, slog.New(slog.DiscardHandler)); !book.Known() {
			b.Fatal("not opened")
		}
	}
	b.ReportMetric(float64(heap()-before), "heap-bytes")
	runtime.KeepAlive(book)
}

// One entity of a live event, and all of a project.
func BenchmarkFindOrigins(b *testing.B) {
	all, dir := benchOrigins(), b.TempDir()
	writeBook(b, dir, all)
	book := Open(dir, slog.New(slog.DiscardHandler))
	b.Run("entity", func(b *testing.B) {
		i := 0
		for b.Loop() {
			if found, err := book.OfEntity(all[i].Entity()); err != nil || len(found) != 1 {
				b.Fatal(len(found), err)
			}
			i = (i + 7919) % len(all)
		}
	})
	b.Run("project", func(b *testing.B) {
		for b.Loop() {
			found, err := book.Of("work-item", azuredevops.Scope{Organization: all[0].Scope.Organization, Project: all[0].Scope.Project})
			if err != nil || len(found) != 500 {
				b.Fatal(len(found), err)
			}
		}
	})
}
