package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
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

// Check refuses flags that do not go together, and a question that nobody answers.
func (o *CommandOptions) Check(answers bool) error {
	if o.Repair && o.Cleanup {
		return errors.New("hooks takes --repair or --cleanup, not both")
	}
	if o.Cleanup && !o.Yes && !answers {
		return errors.New("hooks --cleanup asks before it removes anything, and nobody can answer here; say --yes")
	}
	return nil
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
	if k == nil {
		return errors.New("OCEAN__BASE_URL is not set: want the address at which Azure DevOps reaches the service, such as https://ocean.example.com; or OCEAN__HOOKS__STORAGE_QUEUE_URL, for events without a public address")
	}
	do := k.list
	switch {
	case o.Repair:
		do = k.repair
	case o.Cleanup:
		do = k.cleanup
	}
	all, err := do(ctx, o)
	if err != nil {
		return err
	}
	if err := write(out, all, o.JSON); err != nil {
		return err
	}
	if o.Cleanup && !o.JSON {
		fmt.Fprintln(out, k.whoElse(ctx))
	}
	if slices.ContainsFunc(all, func(s shown) bool { return !s.healthy() }) {
		return errors.New("not all service hooks are as they should be; ado-port hooks --repair mends what can be mended")
	}
	return nil
}

func (k *Keeper) list(ctx context.Context, o CommandOptions) (all []shown, err error) {
	w, err := k.cfg.Wanted(ctx)
	if err != nil {
		return nil, err
	}
	for _, org := range k.each {
		l, err := org.overview(ctx, w)
		if err != nil {
			return nil, err
		}
		l.Removed = k.removed(ctx)
		l.arrange(o.Bad)
		all = append(all, l)
	}
	return all, nil
}

func (k *Keeper) repair(ctx context.Context, _ CommandOptions) (all []shown, err error) {
	w, err := k.cfg.Wanted(ctx)
	if err != nil {
		return nil, err
	}
	for _, org := range k.each {
		r, err := org.reconcile(ctx, w)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, k.lookAfter(ctx)
}

// errDeclined is the answer no.
var errDeclined = errors.New("nothing was removed")

func (k *Keeper) cleanup(ctx context.Context, o CommandOptions) (all []shown, err error) {
	var question strings.Builder
	var todo []*cleanup
	n := 0
	for _, org := range k.each {
		c, err := org.cleanup(ctx)
		if err != nil {
			return nil, err
		}
		todo, n = append(todo, c), n+len(c.jobs)
		c.describe(&question)
	}
	question.WriteString("Remove them from Azure DevOps?")
	if n > 0 && !o.Yes && !o.Ask(question.String()) {
		return nil, errDeclined
	}
	if err := k.leaveRemoved(ctx); err != nil {
		return nil, err
	}
	for _, c := range todo {
		r, err := c.run(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// describe says what would be removed.
func (c *cleanup) describe(b *strings.Builder) {
	fmt.Fprintf(b, "%s: %d subscriptions of this installation\n", c.report.Organization, len(c.jobs))
	for _, s := range c.jobs {
		fmt.Fprintf(b, "  %s  %s  %s  %s\n", s.ID, s.label(), projectLabel(s.ProjectName, s.Project), s.Status)
	}
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
