package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
)

// CommandOptions say what the hooks command does; the zero value lists.
type CommandOptions struct {
	Repair, Cleanup bool
	Yes             bool                       // to what Cleanup asks
	Ask             func(question string) bool // unless Yes
	Bad             bool                       // list only what is not as it should be
	OldURLs         []string                   // of KeeperConfig
	JSON            bool                       // instead of text
}

// Register adds the flags.
func (o *CommandOptions) Register(fs *flag.FlagSet) {
	fs.BoolVar(&o.Repair, "repair", false, "mend what can be mended; also what --cleanup has removed")
	fs.BoolVar(&o.Cleanup, "cleanup", false, "remove the subscriptions of this installation, after a question")
	fs.BoolVar(&o.Yes, "yes", false, "do not ask")
	fs.BoolVar(&o.Bad, "bad", false, "show only those that are not as they should be")
	fs.Func("old-url", "also those that deliver to an `address` of before", func(url string) error {
		o.OldURLs = append(o.OldURLs, url)
		return nil
	})
}

// shown is what the command tells of an organization.
type shown interface {
	WriteText(w io.Writer) error
	healthy() bool // nothing is left to mend
}

// Command lists the subscriptions with their health, or repairs or removes them,
// and writes what it found or did. Broken subscriptions, or any that could not be
// looked after, are an error.
func (k *Keeper) Command(ctx context.Context, o CommandOptions, out io.Writer) error {
	var w Wanted
	var err error
	if !o.Cleanup {
		if w, err = k.cfg.Wanted(ctx); err != nil {
			return err
		}
	}
	healthy := true
	var all []shown
	for _, org := range k.each {
		var s shown
		switch {
		case o.Repair:
			s, err = org.reconcile(ctx, w)
		case o.Cleanup:
			s, err = org.cleanup(ctx)
		default:
			s, err = org.overview(ctx, w)
		}
		if err != nil {
			return err
		}
		all, healthy = append(all, s), healthy && s.healthy()
	}
	if err := write(out, all, o.JSON); err != nil {
		return err
	}
	if !healthy {
		return errors.New("not all service hooks are as they should be; ado-port hooks --repair mends what can be mended")
	}
	return nil
}

func write(w io.Writer, all []shown, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(all)
	}
	for _, s := range all {
		if err := s.WriteText(w); err != nil {
			return err
		}
	}
	return nil
}
