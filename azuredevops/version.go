package azuredevops

import (
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// versions remembers which api-versions a server refused, and what it takes
// instead. Nothing is asked beforehand: Services takes every version that this
// package asks for, and an older Server says in its refusal what it has
// (azure-devops-rest.md 4.3).
type versions struct {
	mu       sync.Mutex
	most     map[string]string // by area, such as "wit": highest version
	preview  map[string]bool   // by route: only as a preview
	unnumber map[string]bool   // by route: without the revision of the preview
}

var latestSupported = regexp.MustCompile(`supports is (\d+\.\d+)`)

// areaOf is the host and the first segment behind _apis.
func areaOf(rq *request) string {
	area, _, _ := strings.Cut(strings.TrimPrefix(rq.Route, "_apis/"), "/")
	return string(rq.Host) + "/" + area
}

// ask is the version to ask for: what rq wants, as far as the server has it.
func (v *versions) ask(rq *request) string {
	if rq.Version == "" {
		return ""
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	want := rq.Version
	if most := v.most[areaOf(rq)]; most != "" && less(most, want) {
		want = most
	}
	number, suffix, isPreview := strings.Cut(want, "-")
	if v.unnumber[rq.Route] && isPreview {
		suffix = "preview"
	}
	if v.preview[rq.Route] && !isPreview {
		suffix, isPreview = "preview", true
	}
	if isPreview {
		return number + "-" + suffix
	}
	return number
}

// learn takes in an error and reports whether asking again makes sense.
func (v *versions) learn(rq *request, asked string, err error) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok || e.StatusCode != http.StatusBadRequest || asked == "" {
		return false
	}
	v.refused(rq, asked, e)
	return v.ask(rq) != asked
}

func (v *versions) refused(rq *request, asked string, e *Error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.most == nil {
		v.most, v.preview, v.unnumber = map[string]string{}, map[string]bool{}, map[string]bool{}
	}
	switch e.TypeKey {
	case "VssVersionOutOfRangeException":
		if m := latestSupported.FindStringSubmatch(e.Message); m != nil && less(m[1], asked) {
			v.most[areaOf(rq)] = m[1]
		} else {
			v.unnumber[rq.Route] = true
		}
	case "VssInvalidPreviewVersionException":
		v.preview[rq.Route] = true
	}
}

// less compares the numbers of two versions; previews do not matter.
func less(a, b string) bool {
	a1, a2 := numbers(a)
	b1, b2 := numbers(b)
	return a1 < b1 || a1 == b1 && a2 < b2
}

func numbers(v string) (major, minor int) {
	v, _, _ = strings.Cut(v, "-")
	a, b, _ := strings.Cut(v, ".")
	major, _ = strconv.Atoi(a)
	minor, _ = strconv.Atoi(b)
	return major, minor
}
