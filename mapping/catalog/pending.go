package catalog

import "container/list"

// pending holds entities that differ from what Port holds until their writer
// ends: later records and blocks may add to them. The oldest leave first when it
// grows too large.
type pending struct {
	byKey map[Key]*list.Element
	order *list.List // of *draft
	bytes int
}

func newPending() *pending {
	return &pending{byKey: map[Key]*list.Element{}, order: list.New()}
}

func (p *pending) add(d *draft) {
	p.byKey[d.key] = p.order.PushBack(d)
	p.bytes += d.size()
}

// join adds a layer to a held entity and reports whether there is one.
func (p *pending) join(k Key, l Layer) bool {
	e := p.byKey[k]
	if e == nil {
		return false
	}
	d := e.Value.(*draft) // the list holds nothing else
	p.bytes -= d.size()
	d.join(l)
	p.bytes += d.size()
	return true
}

// oldest removes and returns the entity that was added first, or nil.
func (p *pending) oldest() *draft {
	e := p.order.Front()
	if e == nil {
		return nil
	}
	d := p.order.Remove(e).(*draft) // the list holds nothing else
	delete(p.byKey, d.key)
	p.bytes -= d.size()
	return d
}
