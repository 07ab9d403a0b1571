package jq

import (
	"cmp"
	"slices"
	"strings"
)

// A comparer orders values as jq's sort does. Values can share their parts, so
// that few of them stand for very many: the first error, a limit, ends it.
type comparer struct {
	r   *run
	err error
}

// compare orders two values.
func compare(r *run, a, b any) (int, error) {
	c := comparer{r: r}
	order := c.compare(a, b)
	return order, c.tooDeep("Comparison")
}

func equal(r *run, a, b any) (bool, error) {
	if x, ok := a.(string); ok {
		y, ok := b.(string)
		return ok && x == y, nil
	}
	if x, ok := a.(float64); ok {
		if y, ok := b.(float64); ok {
			return x == y, nil
		}
	}
	c := comparer{r: r}
	same := c.compare(a, b) == 0
	return same, c.tooDeep("Equality check")
}

// sortByKey sorts by the key of each element, in place.
func sortByKey[T any](r *run, list []T, key func(T) any) error {
	c := comparer{r: r}
	slices.SortStableFunc(list, func(a, b T) int { return c.compare(key(a), key(b)) })
	return c.tooDeep("Comparison")
}

// tooDeep is the comparer's error; what names the operation.
func (c *comparer) tooDeep(what string) error {
	if c.err == errTooDeep { //nolint:errorlint // never wrapped
		return errorf("%s too deep", what)
	}
	return c.err
}

func (c *comparer) compare(a, b any) int { return c.at(a, b, 0) }

func (c *comparer) at(a, b any, depth int) int {
	ka, kb := kindOf(a), kindOf(b)
	if ka != kb {
		return cmp.Compare(ka, kb)
	}
	switch ka {
	case kindNumber:
		return compareNumbers(a, b)
	case kindString:
		return strings.Compare(a.(string), b.(string))
	case kindArray, kindObject:
	default:
		return 0
	}
	if c.err == nil {
		c.err = c.r.nested(depth)
	}
	if c.err != nil {
		return 0
	}
	if ka == kindObject {
		return c.objects(a.(*Object), b.(*Object), depth+1)
	}
	return slices.CompareFunc(a.([]any), b.([]any), func(a, b any) int { return c.at(a, b, depth+1) })
}

func (c *comparer) objects(a, b *Object, depth int) int {
	if c.err = c.r.work(a.Len() + b.Len()); c.err != nil {
		return 0
	}
	ka, kb := a.sortedKeys(), b.sortedKeys()
	if c := slices.Compare(ka, kb); c != 0 {
		return c
	}
	for _, k := range ka {
		va, _ := a.Get(k)
		vb, _ := b.Get(k)
		if order := c.at(va, vb, depth); order != 0 {
			return order
		}
	}
	return 0
}

// compareNumbers compares doubles, or decimals exactly when both kept their
// text. As in jq, nan is below every number, itself included.
func compareNumbers(a, b any) int {
	da, aok := a.(*Number)
	db, bok := b.(*Number)
	if aok && bok {
		ra, ok1 := da.rat()
		rb, ok2 := db.rat()
		if ok1 && ok2 {
			return ra.Cmp(rb)
		}
	}
	fa, fb := toFloat(a), toFloat(b)
	switch {
	case fa < fb || fa != fa:
		return -1
	case fa == fb:
		return 0
	}
	return 1
}
