package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tidwall/gjson"

	"github.com/ado-port/ado-port/mapping"
	"github.com/ado-port/ado-port/port"
)

// A Refusal is a reason for which Port did not take entities of a blueprint.
type Refusal struct {
	Blueprint string `json:"blueprint"`
	Reason    string `json:"reason"`
	Entities  int    `json:"entities"`
	Sample    string `json:"sample"` // identifier of one of them
}

// Refusals are the reasons for which Port did not take entities.
func (s *Session) Refusals() []Refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Refusal
	for _, key := range sortedKeys(s.refused) {
		out = append(out, *s.refused[key])
	}
	return out
}

// Unsure are the blueprints in which entities were not written that only a search
// finds: it is not known which ones they would have been.
func (s *Session) Unsure() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return sortedKeys(s.unsure)
}

// doubt notes that it is not known which entities of a blueprint are made.
func (s *Session) doubt(blueprint string) {
	s.mu.Lock()
	s.unsure[blueprint] = struct{}{}
	s.mu.Unlock()
}

// admit says whether a layer may be sent, and counts one that may not. known says
// that its entity exists.
func (s *Session) admit(ctx context.Context, l *Layer, known bool) bool {
	if err := s.refuses(ctx, l); err != nil {
		s.refuse(&draft{layers: []Layer{*l}}, err)
		return false
	}
	found := l.Identifier == ""
	if !l.Partial || !found && !known && !s.exists(ctx, l.ref()) {
		return true
	}
	l.Source.Count(Kept, 1) // what we know of it is not complete: leave it alone
	if !found {
		s.opt.Plan.Keep(l.ref(), "not all of its record could be read")
	}
	if found {
		s.doubt(l.Blueprint)
	}
	return false
}

// notSent is the code of what Port would refuse and was not asked.
const notSent = "not sent"

// refuse notes that an entity was not written.
func (s *Session) refuse(d *draft, err error) {
	l := Layer{Entity: d.last().Entity, Source: d.layers[0].Source, Partial: d.last().Partial}
	l.Body = d.body(s.opt.Merge)
	reason := err.Error()
	ee, ok := errors.AsType[*port.EntityError](err)
	if ok {
		reason = fmt.Sprintf("%d %s: %s", ee.Status, ee.Code, ee.Message)
	}
	switch {
	case ok && ee.Code == notSent:
		reason = ee.Message
	case ok && ee.Status == 0 && ee.Cause != nil: // Port has not answered, or was not asked
		reason = ee.Cause.Error()
	}
	d.count(Refused)
	if s.opt.Plan != nil && ok && ee.Ref.Identifier != "" {
		n := &Planned{Blueprint: l.Blueprint, Identifier: ee.Ref.Identifier, Reason: ee.Message}
		n.Kind, n.Resource = l.Source.Origin()
		s.opt.Plan.refuse(n, s.owned.has(n.key()))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.Search {
		s.unsure[l.Blueprint] = struct{}{}
	}
	if !ok || !final(ee.Status) {
		s.failed = append(s.failed, err)
	}
	key := l.Blueprint + "\x00" + Alike(reason, l.names()...)
	x := s.refused[key]
	if x == nil {
		x = &Refusal{Blueprint: l.Blueprint, Reason: reason, Sample: l.Identifier}
		s.refused[key] = x
	}
	x.Entities++
	if !s.opt.CreateMissing {
		if err := s.again.add(s.c.temp, l); err != nil {
			s.lost = append(s.lost, err)
		}
	}
}

// enums are the properties of a blueprint that may have certain values only.
type enums struct {
	path   []string // of each property in an entity's body
	name   []string
	values [][][]byte // JSON
}

// refuses says why Port would refuse an entity, or nil. It looks at what cannot
// be understood in two ways only: a value that the blueprint does not list. What
// would be refused is not sent, in every session anew.
func (s *Session) refuses(ctx context.Context, l *Layer) error {
	known, ok := s.enum.Load(l.Blueprint)
	if !ok {
		known = s.enumsOf(ctx, l.Blueprint)
		s.enum.Store(l.Blueprint, known)
	}
	e := known.(*enums) // the map holds nothing else
	for i, path := range e.path {
		v := gjson.GetBytes(l.Body, path)
		if !v.Exists() || v.Type == gjson.Null || v.IsArray() || v.IsObject() {
			continue
		}
		if !slices.ContainsFunc(e.values[i], func(want []byte) bool { return mapping.SameJSON([]byte(v.Raw), want) }) {
			return &port.EntityError{
				Ref: l.ref(), Status: 422, Code: notSent,
				Message: fmt.Sprintf("property %q is %s, which the blueprint does not list among its values", e.name[i], v.Raw),
			}
		}
	}
	return nil
}

// enumsOf reads them from the blueprint. A blueprint that cannot be read has none.
func (s *Session) enumsOf(ctx context.Context, blueprint string) *enums {
	out := &enums{}
	bp, err := s.c.port.Blueprint(ctx, blueprint)
	if err != nil {
		return out
	}
	for _, name := range sortedKeys(bp.Enums) {
		var values [][]byte
		for _, v := range bp.Enums[name] {
			values = append(values, bytes.TrimSpace(v))
		}
		out.path = append(out.path, "properties."+gjson.Escape(name))
		out.name = append(out.name, name)
		out.values = append(out.values, values)
	}
	return out
}
