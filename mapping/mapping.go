// Package mapping turns records into entities as the user's mapping says.
//
// A mapping document, as Port keeps it, is parsed once by Parse into a Mapping:
// its Resources carry compiled jq expressions, and Resource.Map applies them to
// one record after the other. Records come in as raw JSON and entities go out
// as raw JSON; plain paths are read from the bytes, everything else is
// evaluated by package jq.
//
// The package is pure: no files, no network, no clock but the deadlines of its
// caller, no state.
package mapping

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// Options are the collaborators and limits of a mapping.
type Options struct {
	// Bind checks kind and selector of a resource. Its error rejects the
	// resource; a path at the start of the error ("includedFiles[1]: …") is
	// kept. Nil accepts everything.
	Bind func(kind string, selector json.RawMessage) (warnings []string, err error)
	// Environ are the variables ("NAME=value") that `env` and `$ENV` show, with
	// secrets already taken out. Nil means none.
	Environ func() []string
	// ItemTimeout bounds one record: 0 means 120 s. One expression may take 10 s,
	// or half of that if it is less.
	ItemTimeout time.Duration
}

// A Mapping is a parsed and compiled mapping document. It is read-only and safe
// for concurrent use.
type Mapping struct {
	DeleteDependentEntities      bool // default true
	CreateMissingRelatedEntities bool // default true
	EnableMergeEntity            bool // default true
	// EntityDeletionThreshold is the share of entities, 0 to 1, that a resync
	// may delete; default 0.9.
	EntityDeletionThreshold float64

	SpecPath         []string // default port.yml
	UseDefaultBranch *bool    // nil: not said
	Branch           string   // default main

	// Resources are the valid blocks, in the order of the document.
	Resources []*Resource
	// Problems are the blocks and entries that were rejected.
	Problems []Problem
	// LeftOut are the members whose expression does not compile: title, icon,
	// team, a property or a relation. Their block runs without them, and what
	// Port holds for them stays.
	LeftOut []Problem
	// Warnings are remarks on what was accepted.
	Warnings []string
}

// Kinds are those of its blocks, also of rejected ones.
func (m *Mapping) Kinds() []string {
	var out []string
	for _, r := range m.Resources {
		out = append(out, r.Kind)
	}
	for _, p := range m.Problems {
		if p.Kind != "" {
			out = append(out, p.Kind)
		}
	}
	return out
}

// Digests are those of the blocks that write each blueprint, by blueprint. Blocks
// that compute theirs count for each, and are alone under "".
func (m *Mapping) Digests() map[string]string {
	out := map[string]string{}
	for _, r := range m.Resources {
		id, literal := r.Blueprint()
		if !literal {
			id = ""
		}
		if out[id] == "" {
			out[id] = m.DigestOf(id)
		}
	}
	return out
}

// DigestOf is the digest of the blocks that may write a blueprint, "" when none does.
func (m *Mapping) DigestOf(blueprint string) string {
	var all []byte
	for _, r := range m.Resources {
		if id, literal := r.Blueprint(); !literal || id == blueprint {
			all = append(all, r.Digest...)
		}
	}
	if all == nil {
		return ""
	}
	sum := sha256.Sum256(all)
	return hex.EncodeToString(sum[:])
}

// UsesGitOps says that files in repositories may declare entities.
func (m *Mapping) UsesGitOps() bool { return len(m.SpecPath) > 0 && len(m.Resources) > 0 }

// A Problem is a part of the mapping that is not used: a block or, in
// Mapping.LeftOut, a member of one that is.
type Problem struct {
	Index  int    // of the block; -1: not a block but the document's root
	Kind   string // as written, may be empty
	Path   string // "resources[3].selector.query"
	Reason string // for people, without the path
	// Expression is the one that does not compile, empty when it is something
	// else; Column the place of a syntax error in it, in characters from 1.
	Expression string
	Column     int
	// Blueprints are those that a rejected block could write. Entities of them
	// must not be deleted while the block does not run.
	Blueprints []string
	// Unknown says that a rejected block could write any blueprint.
	Unknown bool
}

// String is path and reason.
func (p Problem) String() string { return p.Path + ": " + p.Reason }
