package rest

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// CheckList says why an answer cannot be believed to be the list under key, see
// [rawjson.Array], of objects that the member id tells apart. A list that
// contradicts itself may be shorter than what there is, and what it leaves out
// would be deleted.
func CheckList(body []byte, key, id string) error { return checkList(body, key, id, false) }

// checkList is CheckList; with nulls an element may also be null.
func checkList(body []byte, key, id string, nulls bool) error {
	names := strings.Split(key, "|")
	lists := make([][]byte, len(names))
	var count []byte
	for name, value := range rawjson.Fields(body) {
		into := &count
		switch i := slices.Index(names, string(name)); {
		case i >= 0:
			into = &lists[i]
		case string(name) == "message" || string(name) == "typeKey":
			return fmt.Errorf("%w: an error in place of a list: %s", ErrMalformed, FirstLine(rawjson.Text(body, "message")))
		case string(name) != "count":
			continue
		}
		if *into != nil {
			return fmt.Errorf("%w: two members %q", ErrMalformed, name)
		}
		*into = value
	}
	n := -1
	for _, list := range lists {
		if len(list) == 0 || list[0] != '[' {
			continue
		}
		got, err := countElements(list, id, nulls)
		switch {
		case err != nil:
			return err
		case n >= 0 && got != n:
			return fmt.Errorf("%w: %d elements under one name and %d under another", ErrMalformed, n, got)
		}
		n = got
	}
	if n < 0 {
		return fmt.Errorf("%w: no list %q in the answer", ErrMalformed, key)
	}
	if want, err := strconv.Atoi(string(bytes.Trim(count, `"`))); err == nil && want > n {
		return fmt.Errorf("%w: %d elements of %d", ErrMalformed, n, want)
	}
	return nil
}

// countElements counts the elements of a list of objects that each have an id.
func countElements(list []byte, id string, nulls bool) (n int, err error) {
	for e := range rawjson.Elements(list) {
		n++
		switch {
		case nulls && string(e) == "null":
		case e[0] != '{':
			return n, fmt.Errorf("%w: element %d of the list is no object", ErrMalformed, n)
		case idOf(e, id) == "":
			return n, fmt.Errorf("%w: element %d of the list has no %s", ErrMalformed, n, cmp.Or(id, "id"))
		}
	}
	return n, nil
}

// idOf is the member of an object that tells it apart, "id" where none is named;
// a dot leads into another object.
func idOf(obj []byte, id string) string {
	outer, inner, deeper := strings.Cut(cmp.Or(id, "id"), ".")
	if deeper {
		return rawjson.Text(rawjson.Raw(obj, outer), inner)
	}
	return rawjson.Text(obj, outer)
}
