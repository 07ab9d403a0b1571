package jq

import (
	"context"
	"errors"
)

// Outputs evaluates the program and lists all its outputs; a mapping uses only
// the first one.
func (p *Program) Outputs(ctx context.Context, v any) (all []any, err error) {
	r := &run{ctx: ctx, prog: p, input: p.Value(v)}
	err = eval(p.body, r, nil, place{}, func(v place) error {
		all = append(all, v.val)
		return nil
	})
	if errors.Is(err, errHalt) {
		err = nil
	}
	return all, err
}
