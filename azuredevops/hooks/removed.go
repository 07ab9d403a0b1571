package hooks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// removedFile says that people have removed the subscriptions: services with this
// state directory leave them so.
const removedFile = "hooks-removed"

// removed says since when the subscriptions are to be left removed; zero: they are
// looked after.
func (k *Keeper) removed(ctx context.Context) time.Time {
	if k.cfg.Left != nil {
		return k.removedForAll(ctx)
	}
	if k.cfg.StateDirectory == "" {
		return time.Time{}
	}
	info, err := os.Stat(filepath.Join(k.cfg.StateDirectory, removedFile))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// leaveRemoved tells services with this state directory, or all that share what they
// know, to make no subscriptions.
func (k *Keeper) leaveRemoved(ctx context.Context) (err error) {
	switch {
	case k.cfg.Left != nil:
		err = k.cfg.Left.Set(ctx, time.Now().UTC().AppendFormat(nil, time.RFC3339))
	case k.cfg.StateDirectory != "":
		err = os.WriteFile(filepath.Join(k.cfg.StateDirectory, removedFile), nil, 0o600)
	}
	if err != nil {
		return fmt.Errorf("a running service cannot be told to leave the subscriptions removed: %w", err)
	}
	return nil
}

// lookAfter takes leaveRemoved back.
func (k *Keeper) lookAfter(ctx context.Context) error {
	if k.cfg.Left != nil {
		return k.cfg.Left.Set(ctx, nil)
	}
	if k.cfg.StateDirectory == "" {
		return nil
	}
	err := os.Remove(filepath.Join(k.cfg.StateDirectory, removedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// whoElse says what services will do after a cleanup, as far as that can be known
// from here.
func (k *Keeper) whoElse(ctx context.Context) string {
	const back = "ado-port hooks --repair brings them back."
	switch dir := k.cfg.StateDirectory; {
	case k.cfg.Left != nil:
		return "The services that share the Redis leave them removed, also those that start later. " + back
	case dir == "":
		return "There is no state directory, so a running service cannot be told: it makes the subscriptions again within an hour. Stop it first."
	case time.Since(k.lastAlive(ctx)) < 2*aliveEvery:
		return "The service that uses the state directory " + dir + " leaves them removed. " + back
	default:
		return "No running service uses the state directory " + dir + ". One that runs elsewhere makes them again within an hour: stop it, or run this command where it runs. " +
			"One that starts with this directory leaves them removed. " + back
	}
}
