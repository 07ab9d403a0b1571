package rest

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/ado-port/ado-port/azuredevops/rawjson"
)

// CheckList says why an answer cannot be believed to be the list under key, see
// [rawjson.Array], of objects that the member id tells apart. A list that
// contradicts itself may be shorter than what there is, and what it leaves out
// would be deleted.
func CheckList(body []byte, key, id string) error {
	return (&Page{Body: body}).ReadList(key, id, false)
}

// A span is a part of a body, up to the byte before to.
type span struct{ from, to int32 }

// tokenMember is where an answer has the token of the next page, if not in a header.
const tokenMember = "continuationToken"

// ReadList is [CheckList] for a page, and finds what [Page.Objects] yields; with nulls
// an element may also be null. It looks at every byte once: lists are large.
func (p *Page) ReadList(key, id string, nulls bool) (err error) {
	names := strings.Split(key, "|")
	found, lists, want := map[string]bool{}, 0, 0
	rawjson.Walk(p.Body, func(field, value []byte) int {
		name := string(field)
		isList := slices.Contains(names, name)
		switch {
		case name == "message" || name == "typeKey":
			err = fmt.Errorf("%w: an error in place of a list: %s", ErrMalformed, FirstLine(rawjson.Text(p.Body, "message")))
			return -1
		case name == tokenMember && p.Token == "":
			p.Token = rawjson.Text(p.Body, name)
			return rawjson.SkipValue(value, 0)
		case !isList && name != "count":
			return rawjson.SkipValue(value, 0)
		case found[name]:
			err = fmt.Errorf("%w: two members %q", ErrMalformed, name)
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
		elements, length, wrong := elementsOf(value, len(p.Body)-len(value), id, nulls)
		switch lists++; {
		case wrong != nil:
			err = wrong
			return -1
		case lists > 1 && len(elements) != len(p.elements):
			err = fmt.Errorf("%w: %d elements under one name and %d under another", ErrMalformed, len(p.elements), len(elements))
			return -1
		case lists == 1 || name == names[0]:
			p.elements = elements
		}
		return length
	})
	switch {
	case err != nil:
		return err
	case lists == 0:
		return fmt.Errorf("%w: no list %q in the answer", ErrMalformed, key)
	case want > len(p.elements):
		return fmt.Errorf("%w: %d elements of %d", ErrMalformed, len(p.elements), want)
	}
	return nil
}

// elementsOf finds the elements of a list of objects that each have an id, and says
// how long the list is that text begins with. It stands at offset at of the body.
func elementsOf(text []byte, at int, id string, nulls bool) (elements []span, length int, err error) {
	from := rawjson.SkipSpace(text, 1)
	for from < len(text) && text[from] != ']' {
		to := rawjson.SkipValue(text, from)
		e := text[from:to]
		elements = append(elements, span{int32(at + from), int32(at + to)}) // bodies are smaller than maxBodyBytes
		switch {
		case nulls && string(e) == "null":
		case e[0] != '{':
			return nil, 0, fmt.Errorf("%w: element %d of the list is no object", ErrMalformed, len(elements))
		case !hasID(e, id):
			return nil, 0, fmt.Errorf("%w: element %d of the list has no %s", ErrMalformed, len(elements), cmp.Or(id, "id"))
		}
		from = rawjson.Next(text, to)
	}
	return elements, min(from+1, len(text)), nil
}

// Objects yields the objects of the list that a Sender found in the body, without
// what may be null in it.
func (p *Page) Objects() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, e := range p.elements {
			if p.Body[e.from] == '{' && !yield(p.Body[e.from:e.to:e.to]) {
				return
			}
		}
	}
}

// Count is the number of elements of the list.
func (p *Page) Count() int { return len(p.elements) }

// idOf is the member of an object that tells it apart, "id" where none is named;
// a dot leads into another object.
func idOf(obj []byte, id string) string {
	obj, name := holderOf(obj, id)
	return rawjson.Text(obj, name)
}

// hasID tells whether an object has a member that idOf finds.
func hasID(obj []byte, id string) bool {
	obj, name := holderOf(obj, id)
	v := rawjson.Raw(obj, name)
	return len(v) > 0 && string(v) != `""`
}

func holderOf(obj []byte, id string) (holder []byte, name string) {
	if outer, inner, deeper := strings.Cut(id, "."); deeper {
		return rawjson.Raw(obj, outer), inner
	}
	return obj, cmp.Or(id, "id")
}
