package azuredevopstest

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// fieldName is the lower-case reference name of a field given by that or by its
// friendly name.
func fieldName(text string) (string, error) {
	name := strings.ToLower(strings.TrimSpace(text))
	if strings.Contains(name, ".") {
		return name, nil
	}
	switch name {
	case "id", "title", "state", "tags", "reason", "rev":
		return "system." + name, nil
	case "team project", "work item type", "area path", "iteration path", "assigned to", "created date", "created by", "changed date", "changed by", "board column", "description":
		return "system." + strings.ReplaceAll(name, " ", ""), nil
	case "priority", "severity":
		return "microsoft.vsts.common." + name, nil
	}
	return "", fmt.Errorf("TF51005: The query references a field that does not exist. The error is caused by «[%s]»", text)
}

// value is a field of the item for comparisons: a string, float64, bool,
// time.Time, or nil when it is empty.
func (wi *WorkItem) value(field string) any {
	for name, v := range wi.Fields {
		if strings.EqualFold(name, field) {
			return operand(v)
		}
	}
	switch field {
	case "system.id":
		return float64(wi.ID)
	case "system.rev":
		return float64(wi.Rev)
	case "system.teamproject":
		return wi.project.Name
	case "system.state":
		return wi.State
	case "system.workitemtype":
		return wi.Type
	case "system.changeddate":
		return wi.Changed
	case "system.createddate":
		return wi.Created
	case "system.areapath":
		return wi.path(wi.Area)
	case "system.iterationpath":
		return wi.path(wi.Iteration)
	}
	fields := wi.fields(true, false)
	for i := 0; i+1 < len(fields); i += 2 {
		if name, _ := fields[i].(string); strings.EqualFold(name, field) {
			return operand(fields[i+1])
		}
	}
	return nil
}

// operand brings a field's value into one of the types of value.
func operand(v any) any {
	switch v := v.(type) {
	case string:
		if v == "" {
			return nil
		}
		return v
	case time.Time, float64, bool:
		return v
	case int:
		return float64(v)
	case *Person:
		return v.Name
	case object: // an identity
		return v[1]
	case absent, nil:
		return nil
	default:
		return string(encode(v))
	}
}

// compare applies an operator. An empty field is equal to nothing, different
// from everything, and neither before nor after anything.
func compare(have any, op string, want any, precise bool) bool {
	if have == nil || want == nil || want == "" {
		empty := have == nil && (want == nil || want == "")
		return op == "=" && empty || op == "<>" && !empty
	}
	if t, isTime := have.(time.Time); isTime {
		if text, isText := want.(string); isText {
			want = parseTime(text)
		}
		if !precise {
			have = t.Truncate(24 * time.Hour)
			if w, ok := want.(time.Time); ok {
				want = w.Truncate(24 * time.Hour)
			}
		}
	}
	c := compareValues(have, want)
	switch op {
	case "=":
		return c == 0
	case "<>":
		return c != 0
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	default:
		return c >= 0
	}
}

// compareValues orders two values; empty ones come first, and a number may be
// compared with its text.
func compareValues(a, b any) int {
	if a == nil || b == nil {
		return cmp.Compare(presence(a != nil), presence(b != nil))
	}
	if x, ok := a.(time.Time); ok {
		if y, ok := b.(time.Time); ok {
			return x.Compare(y)
		}
	}
	if x, ok := a.(float64); ok {
		y, ok := b.(float64)
		if s, isText := b.(string); isText {
			n, err := strconv.ParseFloat(s, 64)
			y, ok = n, err == nil
		}
		if !ok {
			y = math.NaN()
		}
		return cmp.Compare(x, y)
	}
	return cmp.Compare(strings.ToLower(fmt.Sprint(a)), strings.ToLower(fmt.Sprint(b)))
}

func presence(b bool) int {
	if b {
		return 1
	}
	return 0
}
