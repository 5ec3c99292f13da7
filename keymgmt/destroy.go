package keymgmt

import (
	"context"
	"fmt"
	"time"
)

// Destruction says what is destroyed and what the receipt states about it. The keyring cannot know what was encrypted
// under a key: the two lists are the caller's statement, in the caller's words.
type Destruction struct {
	// Version is 0 to destroy all versions of the name. Otherwise only this version is destroyed, as at the end of a
	// rotation; it must not be the primary while other versions live.
	Version uint32
	// AtOnce is what nobody can read any more when Destroy returns: everything that was encrypted under the key alone.
	AtOnce []string
	// ByDeadline is what is shared with others and goes only when a rotation ends, by Deadline. Both lists together have
	// at most 256 lines of at most 512 bytes of UTF-8.
	ByDeadline []string
	Deadline   time.Time // set exactly if ByDeadline is not empty
}

// Destroy destroys a key so that it cannot be brought back: not from the ring, not from any earlier copy of the ring
// file together with what is there now. Every page of the key tree above it gets a fresh key, up to the root key, and
// the old root key is erased from the root file. When Destroy returns without an error, that is done and durable; the
// receipt, which is also kept in the ring, says so and is signed. Killed half-way, the destruction is completed or
// undone by whoever opens or changes the ring next. If the old root key cannot be overwritten, Destroy returns an error
// and no receipt, although the ring gives the key no more: repair the disk and call it again.
//
// A second Destroy returns the first receipt together with ErrDestroyed. Other errors: ErrNotFound.
//
// All earlier backups of the ring are useless afterwards, for all keys: back up the ring after it. What an old copy of
// the root file, or a disk that keeps old blocks, still gives away is in the package's documentation under
// "Not protected". Cost: three atomic file writes, one of them the whole ring, two files overwritten, and one call of the wrapper.
func (r *Keyring) Destroy(ctx context.Context, name string, d Destruction) (*Receipt, error) {
	if err := checkCallerName(name); err != nil {
		return nil, err
	}
	if err := d.valid(useOf(ctx)); err != nil {
		return nil, fmt.Errorf("keymgmt: destroy %q: %w", name, err)
	}
	var receipt *Receipt
	var before *Receipt // of an earlier destruction
	err := r.change(ctx, func(t *tree) (rootChange, error) {
		doomed, err := t.doomed(name, d.Version)
		if err != nil {
			if first := t.names[name]; len(first) > 0 && len(doomed) > 0 {
				var damaged error
				if before, damaged = t.receipt(doomed[0]); damaged != nil {
					return rootChange{}, untouched{damaged}
				}
			}
			return rootChange{}, untouched{r.refused(ctx, "destroy", name, d.Version, err)}
		}
		if err := r.audit(ctx, "destroy", name, d.Version, nil); err != nil {
			return rootChange{}, untouched{err}
		}
		receipt, err = t.destroy(doomed, d, useOf(ctx))
		return rootChange{rekeyed: true}, err
	})
	if err != nil {
		return before, err
	}
	return receipt, nil
}

// doomed is what a Destroy takes away. If that is gone already it returns ErrDestroyed and the entries with the receipt.
func (t *tree) doomed(name string, version uint32) ([]*entry, error) {
	versions := t.names[name]
	switch {
	case len(versions) == 0:
		return nil, fmt.Errorf("keymgmt: destroy %q: %w", name, ErrNotFound)
	case version == 0 && t.allDestroyed(name):
		return versions[len(versions)-1:], fmt.Errorf("keymgmt: destroy %q: %w before; the receipt is the first one", name, ErrDestroyed)
	case version == 0:
		var living []*entry
		for _, e := range versions {
			if e.state != StateDestroyed {
				living = append(living, e)
			}
		}
		return living, nil
	case int64(version) > int64(len(versions)):
		return nil, fmt.Errorf("keymgmt: destroy %q: it has versions 1 to %d, not %d: %w", name, len(versions), version, ErrNotFound)
	}
	e := versions[version-1]
	if e.state == StateDestroyed {
		return []*entry{e}, fmt.Errorf("keymgmt: destroy %q version %d: %w before; the receipt is the first one", name, version, ErrDestroyed)
	}
	if e.state == StatePrimary {
		for _, other := range versions {
			if other != e && other.state != StateDestroyed {
				return nil, fmt.Errorf("keymgmt: destroy %q version %d: it is the primary while others live: rotate first, or destroy all versions", name, version)
			}
		}
	}
	return []*entry{e}, nil
}

// destroy signs the receipt for the coming version and epoch of the ring, keeps it, and shreds.
func (t *tree) destroy(doomed []*entry, d Destruction, use Use) (*Receipt, error) {
	receipt := &Receipt{
		Ring: t.ring, Name: doomed[0].name, Time: time.UnixMicro(int64(now())).UTC(), Actor: use.Actor, Reason: use.Reason,
		AtOnce: d.AtOnce, ByDeadline: d.ByDeadline, Epoch: t.epoch, RingVersion: t.version + 1,
	}
	if len(d.ByDeadline) > 0 {
		receipt.Deadline = d.Deadline.UTC().Truncate(time.Microsecond)
	}
	for _, e := range doomed {
		receipt.Versions = append(receipt.Versions, e.version)
	}
	key, err := t.signingKey()
	if err != nil {
		return nil, err
	}
	receipt.sign(key)
	clear(key)

	number := uint32(len(t.names[nameReceipt]) + 1)
	kept := &entry{position: position{nameReceipt, number}, state: StateActive, created: now()}
	if err := t.insert(kept, receipt.Bytes()); err != nil {
		return nil, err
	}
	return receipt.clone(), t.shred(doomed, number)
}

// receipt is the receipt of a destroyed entry.
func (t *tree) receipt(e *entry) (*Receipt, error) {
	w := e.wrapped
	kept, err := t.find(nameReceipt, uint32(w[0])<<24|uint32(w[1])<<16|uint32(w[2])<<8|uint32(w[3]))
	if err != nil {
		return nil, fmt.Errorf("keymgmt: the receipt of %q is missing: %w: %w", e.name, ErrDamaged, err)
	}
	b, err := t.unwrap(kept)
	if err != nil {
		return nil, fmt.Errorf("keymgmt: the receipt of %q does not open: %w", e.name, ErrDamaged)
	}
	key, err := t.signingKey()
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return VerifyReceipt(b, publicOf(key))
}
