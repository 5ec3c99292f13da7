package keymgmt

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Info describes one version of a key.
type Info struct {
	Name    string
	Version uint32 // counts from 1
	State   State
	Created time.Time // UTC, microseconds
}

// Key is one version of a key, opened. Destroy the secret when done with it.
type Key struct {
	Info
	Secret *Secret
}

// maxVersions bounds the versions of one name, so that a receipt can list them.
const maxVersions = 1 << 16

// Generate makes a new random 32-byte key of that name: version 1, primary. ErrExists if the name is taken, ErrDestroyed
// if it was: a name is never used again.
//
// Names are paths such as "st-anna/patient/4711": 1 to 255 bytes of printable UTF-8 in segments divided by slashes. The
// first segment is the tenant, which has a tree of its own in the ring (at most 4096 of them); a name without a slash
// belongs to the ring itself. "veilchart" is reserved.
func (r *Keyring) Generate(ctx context.Context, name string) (*Key, error) {
	return r.add(ctx, "generate", name, GenerateSecret(keySize))
}

// Put imports a secret of 1 to MaxSecretSize bytes, such as an authority's master key: version 1, primary. The secret
// is copied. ErrExists and ErrDestroyed as for Generate.
func (r *Keyring) Put(ctx context.Context, name string, secret *Secret) (*Key, error) {
	if n := secret.Len(); n < 1 || n > MaxSecretSize {
		return nil, fmt.Errorf("keymgmt: put %q: the secret has %d bytes: 1 to %d fit", name, n, MaxSecretSize)
	}
	return r.add(ctx, "put", name, adoptSecret(secret.ExposeSecret()))
}

// add takes secret over.
func (r *Keyring) add(ctx context.Context, action, name string, secret *Secret) (*Key, error) {
	if err := checkCallerName(name); err != nil {
		return nil, err
	}
	var key *Key
	err := r.change(ctx, func(t *tree) (rootChange, error) {
		if err := t.free(name); err != nil {
			return rootChange{}, untouched{r.refused(ctx, action, name, 1, err)}
		}
		if err := r.audit(ctx, action, name, 1, nil); err != nil {
			return rootChange{}, untouched{err}
		}
		e, err := t.add(name, 1, secret)
		if err == nil {
			key = &Key{Info: e.info(), Secret: secret}
		}
		return rootChange{}, err
	})
	if err != nil {
		secret.Destroy()
		return nil, err
	}
	return key, nil
}

// GenerateMany makes a new random key for each name, as Generate does, in one atomic write: all or none. Names must not
// repeat. An error names the culprit. Cost: one write of the whole ring, which for 10,000 names takes some tenths of a second.
func (r *Keyring) GenerateMany(ctx context.Context, names []string) error {
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if err := checkCallerName(name); err != nil {
			return err
		}
		if seen[name] {
			return fmt.Errorf("keymgmt: generate %q: the name is given twice", name)
		}
		seen[name] = true
	}
	if len(names) == 0 {
		return nil
	}
	return r.change(ctx, func(t *tree) (rootChange, error) {
		for _, name := range names {
			if err := t.free(name); err != nil {
				return rootChange{}, untouched{r.refused(ctx, "generate", name, 1, err)}
			}
		}
		for _, name := range names {
			if err := r.audit(ctx, "generate", name, 1, nil); err != nil {
				return rootChange{}, untouched{err}
			}
		}
		secret := make([]byte, keySize)
		for _, name := range names {
			rand.Read(secret)
			e := &entry{position: position{name, 1}, state: StatePrimary, created: now()}
			if err := t.insert(e, secret); err != nil {
				return rootChange{}, err
			}
		}
		clear(secret)
		return rootChange{}, nil
	})
}

// Get opens the primary version of the name. ErrNotFound, ErrDisabled if the name has no primary, ErrDestroyed. Cost: a
// read of 76 bytes of the ring file, to see changes by other processes, and one decryption.
func (r *Keyring) Get(ctx context.Context, name string) (*Key, error) {
	return r.get(ctx, name, 0)
}

// GetVersion opens one version of the name, primary or active. Data is decrypted with the version it was encrypted
// with. ErrNotFound, ErrDisabled, ErrDestroyed.
func (r *Keyring) GetVersion(ctx context.Context, name string, version uint32) (*Key, error) {
	if version == 0 {
		return nil, fmt.Errorf("keymgmt: key %q: version 0: %w: versions count from 1; Get returns the primary", name, ErrNotFound)
	}
	return r.get(ctx, name, version)
}

func (r *Keyring) get(ctx context.Context, name string, version uint32) (*Key, error) {
	if err := checkCallerName(name); err != nil {
		return nil, err
	}
	if err := r.read(ctx); err != nil {
		return nil, err
	}
	defer r.leave()
	e, err := r.tree.find(name, version)
	if err != nil {
		return nil, r.refused(ctx, "get", name, version, err)
	}
	if err := r.audit(ctx, "get", name, e.version, nil); err != nil {
		return nil, err
	}
	secret, err := r.tree.unwrap(e)
	if err != nil {
		return nil, fmt.Errorf("keymgmt: ring %s: key %q version %d does not open: %w: restore the ring from its newest backup", r.files.Ring, name, e.version, ErrDamaged)
	}
	return &Key{Info: e.info(), Secret: adoptSecret(secret)}, nil
}

// Rotate adds a version, which becomes the primary: secret, which is copied, or 32 new random bytes if secret is nil.
// The old primary becomes active, so that old data stays readable. ErrNotFound, ErrDestroyed. A name has at most 65,536
// versions.
func (r *Keyring) Rotate(ctx context.Context, name string, secret *Secret) (*Key, error) {
	if err := checkCallerName(name); err != nil {
		return nil, err
	}
	if secret == nil {
		secret = GenerateSecret(keySize)
	} else if n := secret.Len(); n < 1 || n > MaxSecretSize {
		return nil, fmt.Errorf("keymgmt: rotate %q: the secret has %d bytes: 1 to %d fit", name, n, MaxSecretSize)
	} else {
		secret = adoptSecret(secret.ExposeSecret())
	}
	var key *Key
	err := r.change(ctx, func(t *tree) (rootChange, error) {
		if err := t.free(name); err == nil || t.allDestroyed(name) {
			if err == nil {
				err = fmt.Errorf("keymgmt: key %q: %w: make it with Generate or Put", name, ErrNotFound)
			}
			return rootChange{}, untouched{r.refused(ctx, "rotate", name, 0, err)}
		}
		versions := t.names[name]
		if len(versions) >= maxVersions {
			return rootChange{}, untouched{fmt.Errorf("keymgmt: key %q has %d versions already: make a new name", name, len(versions))}
		}
		if err := r.audit(ctx, "rotate", name, uint32(len(versions)+1), nil); err != nil {
			return rootChange{}, untouched{err}
		}
		if e := t.primary(name); e != nil {
			e.state = StateActive
			t.touch(e)
		}
		e, err := t.add(name, uint32(len(versions)+1), secret)
		if err == nil {
			key = &Key{Info: e.info(), Secret: secret}
		}
		return rootChange{}, err
	})
	if err != nil {
		secret.Destroy()
		return nil, err
	}
	return key, nil
}

// Disable switches one version off until Enable. If it is the primary, Get returns ErrDisabled. A disabled version is
// still in the ring; to get rid of it, use Destroy. Doing it twice is no error. ErrNotFound, ErrDestroyed.
func (r *Keyring) Disable(ctx context.Context, name string, version uint32) error {
	return r.set(ctx, "disable", name, version, func(*tree) State { return StateDisabled })
}

// Enable makes a disabled version active, or primary if the name has no primary. An enabled one stays as it is.
// ErrNotFound, ErrDestroyed.
func (r *Keyring) Enable(ctx context.Context, name string, version uint32) error {
	return r.set(ctx, "enable", name, version, func(t *tree) State {
		if e := t.names[name][version-1]; e.state != StateDisabled {
			return e.state
		}
		if t.primary(name) == nil {
			return StatePrimary
		}
		return StateActive
	})
}

func (r *Keyring) set(ctx context.Context, action, name string, version uint32, to func(*tree) State) error {
	if err := checkCallerName(name); err != nil {
		return err
	}
	return r.change(ctx, func(t *tree) (rootChange, error) {
		versions := t.names[name]
		switch {
		case version == 0 || int64(version) > int64(len(versions)):
			return rootChange{}, untouched{r.refused(ctx, action, name, version, fmt.Errorf("keymgmt: key %q version %d: %w", name, version, ErrNotFound))}
		case versions[version-1].state == StateDestroyed:
			return rootChange{}, untouched{r.refused(ctx, action, name, version, fmt.Errorf("keymgmt: key %q version %d: %w", name, version, ErrDestroyed))}
		}
		if err := r.audit(ctx, action, name, version, nil); err != nil {
			return rootChange{}, untouched{err}
		}
		e := versions[version-1]
		e.state = to(t)
		t.touch(e)
		return rootChange{}, nil
	})
}

// Rewrap wraps the ring by w from now on: a new passphrase or key file. The root key changes too, so that the old
// passphrase with an old copy of the root file opens old copies of the ring only. Other processes that have the ring
// open must reopen it with the new wrapper. Back up the ring after it, as after Destroy.
func (r *Keyring) Rewrap(ctx context.Context, w Wrapper) error {
	if w == nil {
		return errNoWrapper
	}
	return r.change(ctx, func(t *tree) (rootChange, error) {
		if err := r.audit(ctx, "rewrap", "", 0, nil); err != nil {
			return rootChange{}, untouched{err}
		}
		return rootChange{rekeyed: true, wrapper: w}, t.rekey(t.root)
	})
}

// Names lists, in order, the names that begin with prefix and have a version that is not destroyed.
func (r *Keyring) Names(ctx context.Context, prefix string) ([]string, error) {
	if err := r.read(ctx); err != nil {
		return nil, err
	}
	defer r.leave()
	names := r.tree.list(prefix)
	return slices.DeleteFunc(names, r.tree.allDestroyed), nil
}

// List describes every version of every name that begins with prefix, destroyed ones too, ordered by name and version.
func (r *Keyring) List(ctx context.Context, prefix string) ([]Info, error) {
	if err := r.read(ctx); err != nil {
		return nil, err
	}
	defer r.leave()
	var infos []Info
	for _, name := range r.tree.list(prefix) {
		for _, e := range r.tree.names[name] {
			infos = append(infos, e.info())
		}
	}
	return infos, nil
}

// Version is the ring's version: 1 when new, one more at each change. Remember it elsewhere and give it to OpenKeyring
// as MinVersion.
func (r *Keyring) Version(ctx context.Context) (uint64, error) {
	if err := r.read(ctx); err != nil {
		return 0, err
	}
	defer r.leave()
	return r.tree.version, nil
}

// ReceiptKey is the public key that verifies the ring's receipts.
func (r *Keyring) ReceiptKey(ctx context.Context) (ed25519.PublicKey, error) {
	if err := r.read(ctx); err != nil {
		return nil, err
	}
	defer r.leave()
	key, err := r.tree.signingKey()
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return slices.Clone(key.Public().(ed25519.PublicKey)), nil
}

// signingKey opens the ring's Ed25519 key.
func (t *tree) signingKey() (ed25519.PrivateKey, error) {
	e, err := t.find(nameReceiptSeed, 0)
	if err != nil {
		return nil, err
	}
	seed, err := t.unwrap(e)
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("keymgmt: the ring's signing key does not open: %w", ErrDamaged)
	}
	defer clear(seed)
	return ed25519.NewKeyFromSeed(seed), nil
}

// add inserts a version as the primary.
func (t *tree) add(name string, version uint32, secret *Secret) (*entry, error) {
	b := secret.ExposeSecret()
	defer clear(b)
	if len(b) == 0 {
		return nil, fmt.Errorf("keymgmt: key %q: the secret: %w", name, ErrClosed)
	}
	e := &entry{position: position{name, version}, state: StatePrimary, created: now()}
	return e, t.insert(e, b)
}

// free is an error if the name is taken.
func (t *tree) free(name string) error {
	switch {
	case t.allDestroyed(name):
		return fmt.Errorf("keymgmt: key %q: %w; its name is not used again", name, ErrDestroyed)
	case len(t.names[name]) > 0:
		return fmt.Errorf("keymgmt: key %q: %w: use Get or Rotate", name, ErrExists)
	}
	return nil
}

func (t *tree) primary(name string) *entry {
	for _, e := range t.names[name] {
		if e.state == StatePrimary {
			return e
		}
	}
	return nil
}

func (t *tree) allDestroyed(name string) bool {
	for _, e := range t.names[name] {
		if e.state != StateDestroyed {
			return false
		}
	}
	return len(t.names[name]) > 0
}

// find is the version of a name that may be handed out; version 0 means the primary.
func (t *tree) find(name string, version uint32) (*entry, error) {
	versions := t.names[name]
	switch {
	case len(versions) == 0:
		return nil, fmt.Errorf("keymgmt: key %q: %w: make it with Generate or Put", name, ErrNotFound)
	case t.allDestroyed(name):
		return nil, fmt.Errorf("keymgmt: key %q: %w", name, ErrDestroyed)
	case version == 0:
		if e := t.primary(name); e != nil {
			return e, nil
		}
		return nil, fmt.Errorf("keymgmt: key %q has no primary version: %w: enable one, or rotate", name, ErrDisabled)
	case int64(version) > int64(len(versions)):
		return nil, fmt.Errorf("keymgmt: key %q has versions 1 to %d, not %d: %w", name, len(versions), version, ErrNotFound)
	}
	switch e := versions[version-1]; e.state {
	case StateDestroyed:
		return nil, fmt.Errorf("keymgmt: key %q version %d: %w", name, version, ErrDestroyed)
	case StateDisabled:
		return nil, fmt.Errorf("keymgmt: key %q version %d: %w: enable it first", name, version, ErrDisabled)
	default:
		return e, nil
	}
}

// list is the callers' names that begin with prefix, in order.
func (t *tree) list(prefix string) []string {
	var names []string
	for name := range t.names {
		if strings.HasPrefix(name, prefix) && tenantOf(name) != reservedTenant {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
