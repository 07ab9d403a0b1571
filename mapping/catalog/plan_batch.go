package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/port"
)

// planned is a draft as it would be written.
type planned struct {
	*draft
	body   []byte // with what its searches find
	id     string
	reason string // why Port would refuse it
}

// planBatch notes what upsertBatch would do.
func (w *Writer) planBatch(ctx context.Context, b *batch) {
	plan := w.s.opt.Plan
	var list []*planned
	for _, d := range b.drafts {
		p := &planned{draft: d, body: d.body(w.s.opt.Merge), id: d.last().Identifier}
		if err := w.s.resolve(ctx, p); err != nil {
			plan.fail(err)
			continue
		}
		if p.id == "" {
			d.count(Kept) // a search that finds none, or one that Port refuses
			continue
		}
		list = append(list, p)
	}
	held, err := w.s.holds(ctx, b, list)
	if err != nil {
		plan.fail(fmt.Errorf("what Port holds of %s: %w", b.blueprint, err))
		return
	}
	for _, p := range list {
		w.plan(ctx, p, held[p.id])
	}
}

// plan notes what writing one entity would do; held is what Port has, nil for
// nothing.
func (w *Writer) plan(ctx context.Context, p *planned, held []byte) {
	l := p.last()
	n := &Planned{Blueprint: l.Blueprint, Identifier: p.id}
	n.Kind, n.Resource = l.Source.Origin()
	if l.Identifier == "" {
		w.resMu.Lock()
		w.found = append(w.found, n.key())
		w.resMu.Unlock()
	}
	bp, err := w.s.c.port.Blueprint(ctx, l.Blueprint)
	if p.reason == "" {
		p.reason = unacceptable(bp, err, p.body, held, w.s.opt.Merge)
	}
	switch {
	case p.reason != "" && len(p.layers) > 1: // one layer may be refused and the others not
		for j := range p.layers {
			w.planBatch(ctx, &batch{blueprint: l.Blueprint, drafts: []*draft{{key: p.key, layers: p.layers[j : j+1]}}})
		}
	case p.reason != "":
		w.s.refuse(p.draft, &port.EntityError{Ref: port.Ref{Blueprint: l.Blueprint, Identifier: p.id}, Status: 422, Code: notSent, Message: p.reason})
	case held == nil:
		n.Intent = ToCreate
		w.s.opt.Plan.note(n)
		p.count(Written)
	default:
		n.Changes = mapping.Differences(p.body, held)
		if !w.s.opt.Merge {
			n.Changes = append(n.Changes, mapping.Lost(p.body, held)...)
		}
		w.s.opt.Plan.change(n, p.body)
		p.count(Written)
	}
}

// holds asks Port for its versions of entities, whoever wrote them.
func (s *Session) holds(ctx context.Context, b *batch, list []*planned) (map[string][]byte, error) {
	q := port.SearchQuery{Blueprint: b.blueprint, Anyone: true}
	for _, p := range list {
		q.IDs = append(q.IDs, p.id)
	}
	if include, size := b.members(); s.opt.Merge && size <= maxIncluded {
		q.Include = include
		if bp, err := s.c.port.Blueprint(ctx, b.blueprint); err == nil {
			for _, name := range bp.Required {
				q.Include = append(q.Include, "properties."+name)
			}
		}
	} else {
		q.Whole = true
	}
	held := map[string][]byte{}
	for entity, err := range s.c.port.Search(ctx, q) {
		if err != nil {
			return nil, err
		}
		held[gjson.GetBytes(entity, "identifier").String()] = slices.Clone(entity)
	}
	return held, nil
}

// resolve puts what Port would find in the place of searches.
func (s *Session) resolve(ctx context.Context, p *planned) error {
	l := p.last()
	if !l.Search {
		return nil
	}
	var body map[string]json.RawMessage
	if err := json.Unmarshal(p.body, &body); err != nil {
		return err
	}
	if p.id == "" {
		found, err := s.c.port.Find(ctx, l.Blueprint, body["identifier"])
		if err != nil || len(found) != 1 {
			return err
		}
		p.id = found[0]
	}
	var relations map[string]json.RawMessage
	if body["relations"] != nil {
		if err := json.Unmarshal(body["relations"], &relations); err != nil {
			return err
		}
	}
	for name, value := range relations {
		if !strings.HasPrefix(string(value), "{") {
			continue
		}
		bp, err := s.c.port.Blueprint(ctx, l.Blueprint)
		if err != nil {
			return err
		}
		rel := bp.Relations[name]
		found, err := s.c.port.Find(ctx, rel.Target, value)
		if err != nil {
			return err
		}
		if len(found) > 1 && !rel.Many {
			p.reason = fmt.Sprintf("the search of relation %q finds more than one entity", name)
		}
		relations[name], _ = json.Marshal(found) //nolint:errchkjson // texts always do
		if !rel.Many {
			relations[name] = json.RawMessage("null")
			if len(found) > 0 {
				relations[name], _ = json.Marshal(found[0]) //nolint:errchkjson // a text always does
			}
		}
	}
	if strings.HasPrefix(string(body["team"]), "{") {
		delete(body, "team") // Port alone knows which teams there are
	}
	var err error
	if relations != nil {
		if body["relations"], err = json.Marshal(relations); err != nil {
			return err
		}
	}
	body["identifier"], err = json.Marshal(p.id)
	if err == nil {
		p.body, err = json.Marshal(body)
	}
	return err
}
