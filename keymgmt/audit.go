package keymgmt

import (
	"context"
	"fmt"
	"time"
)

// Use says who uses a key and why. It goes into audit events and receipts; the keyring believes the caller.
type Use struct {
	Actor  string // at most 256 bytes of UTF-8
	Reason string // at most 1024 bytes of UTF-8
}

type useKey struct{}

// WithUse returns a context whose uses of keys are made by u.Actor for u.Reason.
func WithUse(ctx context.Context, u Use) context.Context { return context.WithValue(ctx, useKey{}, u) }

func useOf(ctx context.Context) Use {
	u, _ := ctx.Value(useKey{}).(Use)
	return u
}

// Event is one use of a key, or an attempt. It never holds a key.
type Event struct {
	Time    time.Time // UTC
	Use     Use       // from WithUse
	Action  string    // create, open, rewrap, generate, put, get, rotate, disable, enable or destroy
	Name    string    // of the key; empty for create, open and rewrap
	Version uint32    // 0 if not known, or all
	Err     error     // why the key was refused; nil if it is about to be handed out, or the change to be written
}

// audit tells the sink. A use that cannot be told does not happen.
func (r *Keyring) audit(ctx context.Context, action, name string, version uint32, cause error) error {
	if r.options.Audit == nil {
		return nil
	}
	e := Event{Time: time.Now().UTC(), Use: useOf(ctx), Action: action, Name: name, Version: version, Err: cause}
	if err := r.options.Audit(ctx, e); err != nil {
		return fmt.Errorf("keymgmt: %s %q: refused, because the audit sink failed: %w", action, name, err)
	}
	return nil
}

// refused tells the sink of a refusal and returns its cause.
func (r *Keyring) refused(ctx context.Context, action, name string, version uint32, cause error) error {
	if err := r.audit(ctx, action, name, version, cause); err != nil {
		return fmt.Errorf("%w (and %w)", cause, err)
	}
	return cause
}
