package resync

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	"github.com/ado-port/ado-port/mapping/catalog"
	"github.com/ado-port/ado-port/port"
)

// A Hold is why entities are not deleted although nothing made them.
type Hold string

// Holds.
const (
	HoldUnread    Hold = "unread"    // they may still exist: not everything could be read
	HoldThreshold Hold = "threshold" // entityDeletionThreshold of the mapping
	HoldBrake     Hold = "brake"     // OCEAN__DELETION_BRAKE_PER_BLUEPRINT
	HoldReferred  Hold = "referred"  // others refer to them, and Port would make them again
)

// NotDeleted are entities of one blueprint that nothing made this time and that
// stay, for one reason.
type NotDeleted struct {
	Blueprint string `json:"blueprint"`
	Entities  int    `json:"entities"`
	Sample    string `json:"sample"` // identifier of one of them
	Hold      Hold   `json:"hold"`
	Reason    string `json:"reason"`
}

func (n *NotDeleted) String() string {
	return fmt.Sprintf("not deleted: %s, because %s", entitiesOf(n.Entities, n.Blueprint), n.Reason)
}

// suspicious says that so many at once may be a mistake, which somebody should look at.
func (h Hold) suspicious() bool { return h == HoldThreshold || h == HoldBrake }

// level is that of a line about it.
func (h Hold) level() slog.Level {
	if h == HoldReferred {
		return slog.LevelInfo
	}
	return slog.LevelWarn
}

// remapped are the blueprints with entities that go whose blocks of the mapping have
// changed since the last complete resync, or were taken out.
func (r *run) remapped(ctx context.Context) (out []string) {
	for bp := range r.going {
		now := r.mapping.DigestOf(bp)
		if before, known := r.runner.completed.of(ctx, bp); now == "" || known && before != now {
			out = append(out, bp)
		}
	}
	slices.Sort(out)
	return out
}

// stay is told of every entity that is not deleted although nothing made it.
func (r *run) stay(ref port.Ref, hold Hold, reason string) {
	r.countFormer(r.knownOrigins[catalog.EntityKey(ref)], 0, 1)
	if hold != HoldReferred { // of these the catalog tells the plan
		r.cfg.Plan.Keep(ref, reason)
	}
	key := string(hold) + "\x00" + ref.Blueprint + "\x00" + catalog.Alike(reason)
	n := r.notDeleted[key]
	if n == nil {
		n = &NotDeleted{Blueprint: ref.Blueprint, Sample: ref.Identifier, Hold: hold, Reason: reason}
		r.notDeleted[key] = n
	}
	n.Entities++
}

// brakeFrom is how many entities a blueprint has to have for the brake: of a few,
// all may well go at once.
const brakeFrom = 20

const defaultBrake = 0.9

// allowed drops what would be suspiciously much. The shares are of what Port held
// when the resync began.
func (r *run) allowed(ctx context.Context, all []catalog.Deletion) []catalog.Deletion {
	total, limit := r.session.OwnedCount(), r.mapping.EntityDeletionThreshold
	if float64(len(all)) > limit*float64(total) {
		why := fmt.Sprintf("%d of all %d entities are gone, and entityDeletionThreshold of the mapping allows a share of %v: if it is right that they are gone, raise it for one resync", len(all), total, limit)
		for _, d := range all {
			r.stay(d.Ref, HoldThreshold, why)
		}
		return nil
	}
	going := map[string]int{}
	for _, d := range all {
		going[d.Blueprint]++
	}
	why := map[string]string{}
	for _, bp := range sortedKeys(going) {
		why[bp] = r.brake(ctx, bp, going[bp])
	}
	return slices.DeleteFunc(all, func(d catalog.Deletion) bool {
		if why[d.Blueprint] == "" {
			return false
		}
		r.stay(d.Ref, HoldBrake, why[d.Blueprint])
		return true
	})
}

// brake says why the entities of a blueprint that are to go stay, or "". Where no
// block writes the blueprint, or those that do have changed, it is the mapping
// that takes them away.
func (r *run) brake(ctx context.Context, blueprint string, going int) string {
	held := r.session.OwnedOf(blueprint)
	if held < brakeFrom || float64(going) <= r.cfg.DeletionBrake*float64(held) {
		return ""
	}
	now := r.mapping.DigestOf(blueprint)
	if now == "" {
		return ""
	}
	before, known := r.runner.completed.of(ctx, blueprint)
	if known && before != now {
		return ""
	}
	unchanged := "although its blocks of the mapping did not change since the last complete resync"
	if !known {
		unchanged = "and it is not known whether its blocks of the mapping have changed"
	}
	return fmt.Sprintf("%d of %d entities of this blueprint are gone, %s: if it is right that they are gone, set OCEAN__DELETION_BRAKE_PER_BLUEPRINT=1 for one resync", going, held, unchanged)
}
