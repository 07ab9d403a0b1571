package resync

import "container/list"

// pending holds entities that differ from what Port holds until their lane
// ends: later records and blocks may add to them. The oldest leave first when it
// grows too large.
type pending struct {
	byKey map[key]*list.Element
	order *list.List // of *unit
	bytes int
}

func newPending() *pending {
	return &pending{byKey: map[key]*list.Element{}, order: list.New()}
}

func (p *pending) add(u *unit) {
	p.byKey[u.key] = p.order.PushBack(u)
	p.bytes += u.size()
}

// join adds a layer to a held entity and reports whether there is one.
func (p *pending) join(k key, it item) bool {
	e := p.byKey[k]
	if e == nil {
		return false
	}
	u := e.Value.(*unit) // the list holds nothing else
	u.layers = append(u.layers, it)
	p.bytes += len(it.Body) + 1
	return true
}

// oldest removes and returns the entity that was added first, or nil.
func (p *pending) oldest() *unit {
	e := p.order.Front()
	if e == nil {
		return nil
	}
	u := p.order.Remove(e).(*unit) // the list holds nothing else
	delete(p.byKey, u.key)
	p.bytes -= u.size()
	return u
}
