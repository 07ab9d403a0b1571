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

// checkList is CheckList; with nulls an element may also be null. It looks at every
// byte once: lists are large.
func checkList(body []byte, key, id string, nulls bool) (err error) {
	names := strings.Split(key, "|")
	found, n, want := map[string]bool{}, -1, 0
	rawjson.Walk(body, func(field, value []byte) int {
		name := string(field)
		isList := slices.Contains(names, name)
		switch {
		case name == "message" || name == "typeKey":
			err = fmt.Errorf("%w: an error in place of a list: %s", ErrMalformed, FirstLine(rawjson.Text(body, "message")))
		case !isList && name != "count":
			return rawjson.SkipValue(value, 0)
		case found[name]:
			err = fmt.Errorf("%w: two members %q", ErrMalformed, name)
		}
		if err != nil {
			return -1
		}
		found[name] = true
		if !isList || value[0] != '[' {
			length := rawjson.SkipValue(value, 0)
			if !isList {
				want, _ = strconv.Atoi(string(bytes.Trim(value[:length], `"`))) // what is no number promises nothing
			}
			return length
		}
		got, length, wrong := countElements(value, id, nulls)
		switch {
		case wrong != nil:
			err = wrong
		case n >= 0 && got != n:
			err = fmt.Errorf("%w: %d elements under one name and %d under another", ErrMalformed, n, got)
		}
		if err != nil {
			return -1
		}
		n = got
		return length
	})
	switch {
	case err != nil:
		return err
	case n < 0:
		return fmt.Errorf("%w: no list %q in the answer", ErrMalformed, key)
	case want > n:
		return fmt.Errorf("%w: %d elements of %d", ErrMalformed, n, want)
	}
	return nil
}

// countElements counts the elements of a list of objects that each have an id, and
// says how long the list is that text begins with.
func countElements(text []byte, id string, nulls bool) (n, length int, err error) {
	length, err = rawjson.Visit(text, func(e []byte) error {
		n++
		switch {
		case nulls && string(e) == "null":
		case e[0] != '{':
			return fmt.Errorf("%w: element %d of the list is no object", ErrMalformed, n)
		case idOf(e, id) == "":
			return fmt.Errorf("%w: element %d of the list has no %s", ErrMalformed, n, cmp.Or(id, "id"))
		}
		return nil
	})
	return n, length, err
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
