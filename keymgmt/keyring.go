package keymgmt

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Files says where a keyring is.
type Files struct {
	Ring string // the ring: sealed keys. Back it up, above all after every Destroy and Rewrap
	Root string // the root file: the wrapped root key. Never in a backup; give it a folder of its own
}

// FilesIn is dir/ring, and dir/root.nobackup/root for the root file. CreateKeyring puts a file .nobackup into the root
// file's folder, which backup programs can be told to look for.
func FilesIn(dir string) Files {
	return Files{Ring: filepath.Join(dir, "ring"), Root: filepath.Join(dir, "root.nobackup", "root")}
}

// valid is an error if one of the files has a name that is needed for another one.
func (f Files) valid() error {
	used := map[string]bool{}
	for _, path := range []string{f.Ring, temporary(f.Ring), f.Ring + ".lock", f.Root, temporary(f.Root), aside(f.Root)} {
		abs, err := filepath.Abs(path)
		if err != nil {
			return fmt.Errorf("keymgmt: %w", err)
		}
		if f.Ring == "" || f.Root == "" || used[abs] {
			return fmt.Errorf("keymgmt: ring file %q and root file %q: give two different paths that do not end in .tmp, .old or .lock", f.Ring, f.Root)
		}
		used[abs] = true
	}
	return nil
}

// Options of a keyring. The zero Options are good.
type Options struct {
	// MinVersion is the highest Version of the ring that the caller remembers from elsewhere. An older ring is
	// ErrRollback. 0 accepts any, as when restoring from a backup.
	MinVersion uint64
	// Audit, if not nil, is called for every use of a key, one call at a time. An error from it refuses the use. It must
	// not call the keyring.
	Audit func(ctx context.Context, e Event) error
}

// Keyring holds named, versioned keys in a file. It is safe for concurrent use, also by several processes on one
// computer: each change is one atomic write under a lock file, and each call sees the changes of the others. (On a
// network file system this is as good as its locks.)
type Keyring struct {
	files   Files
	options Options
	disk    disk

	turn    chan struct{} // capacity 1: held by the call that uses what follows
	wrapper Wrapper
	next    Wrapper // what a Rewrap that failed half-way was given, until load knows whether it counts
	tree    *tree   // nil when closed, or when memory may differ from the file
	stamp   []byte  // of the ring file that tree was read from
	seen    uint64  // the highest ring version seen
	closed  bool
}

func newKeyring(f Files, w Wrapper, o Options) *Keyring {
	return &Keyring{files: f, options: o, wrapper: w, turn: make(chan struct{}, 1), seen: o.MinVersion}
}

// CreateKeyring makes a new ring with its root file, wrapped by w, and the folders for both (0700). ErrExists if there is
// one; nothing is overwritten, except what a CreateKeyring that was killed half-way left. The names ring.lock, ring.tmp,
// root.tmp and root.old beside the two files are taken as well: keep nothing of your own there.
func CreateKeyring(ctx context.Context, f Files, w Wrapper, o Options) (*Keyring, error) {
	return newKeyring(f, w, o).create(ctx)
}

// OpenKeyring opens the ring with its root file. A change that was killed half-way is completed or undone first, and what it
// left is erased; if that fails, so does OpenKeyring. It needs the right to write in both folders. Errors: fs.ErrNotExist (no ring, or no root file), ErrWrongKey, ErrDamaged, ErrRollback, ErrPermissions. It reads and checks
// the whole file: some 50 ms for 10,000 keys, apart from the wrapper's time.
func OpenKeyring(ctx context.Context, f Files, w Wrapper, o Options) (*Keyring, error) {
	return newKeyring(f, w, o).open(ctx)
}

// errNoWrapper is for a nil Wrapper.
var errNoWrapper = errors.New("keymgmt: no wrapper: give one from NewPassphrase, CreateKeyFile or OpenKeyFile")

func (r *Keyring) create(ctx context.Context) (*Keyring, error) {
	if r.wrapper == nil {
		return nil, errNoWrapper
	}
	if err := r.files.valid(); err != nil {
		return nil, err
	}
	for _, path := range []string{r.files.Ring, r.files.Root} {
		if err := r.disk.makeFolder(filepath.Dir(path)); err != nil {
			return nil, fmt.Errorf("keymgmt: making the folder for %s: %w", path, err)
		}
	}
	unlock, err := lockFile(ctx, r.files.Ring+".lock")
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := r.vacant(); err != nil {
		return nil, err
	}
	if err := r.audit(ctx, "create", "", 0, nil); err != nil {
		return nil, err
	}
	marker := filepath.Join(filepath.Dir(r.files.Root), ".nobackup")
	if err := os.WriteFile(marker, nil, 0o600); err != nil {
		return nil, fmt.Errorf("keymgmt: %w", err)
	}

	var id ringID
	rand.Read(id[:])
	t := newTree(id)
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed)
	e := &entry{position: position{nameReceiptSeed, 1}, state: StatePrimary, created: now()}
	if err := t.insert(e, seed); err != nil {
		return nil, err
	}
	clear(seed)
	// First the root file in the state "creating", then the ring, then the root file as settled: whatever is there after
	// a crash says whether anyone can have relied on it.
	root, err := r.newRoot(ctx, t, r.wrapper)
	if err != nil {
		return nil, err
	}
	root.state = rootCreating
	if err := r.writeRoot(root); err != nil {
		return nil, err
	}
	b := t.file().encode()
	if err := r.disk.replace(r.files.Ring, b); err != nil {
		return nil, fmt.Errorf("keymgmt: creating %s: %w", r.files.Ring, err)
	}
	root.state = rootSettled
	if err := r.writeRoot(root); err != nil {
		return nil, err
	}
	r.adopt(t, b)
	return r, nil
}

// vacant is an error unless a new ring may be written.
func (r *Keyring) vacant() error {
	if _, err := os.Lstat(r.files.Ring); err == nil {
		return fmt.Errorf("keymgmt: ring %s: %w: open it with OpenKeyring", r.files.Ring, ErrExists)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keymgmt: %w", err)
	}
	if err := r.disk.restore(r.files.Root); err != nil {
		return fmt.Errorf("keymgmt: putting root file %s back in place: %w", r.files.Root, err)
	}
	if err := r.plainRoot(); err != nil {
		return err
	}
	b, err := readBounded(r.files.Root, maxRootFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		if f, err := decodeRoot(b); err == nil && f.state == rootCreating {
			return nil
		}
	}
	return fmt.Errorf("keymgmt: root file %s: %w, but ring %s is missing: restore the ring from its newest backup; only if all its keys may be lost, remove the root file and create anew",
		r.files.Root, ErrExists, r.files.Ring)
}

func (r *Keyring) open(ctx context.Context) (*Keyring, error) {
	if r.wrapper == nil {
		return nil, errNoWrapper
	}
	if err := r.files.valid(); err != nil {
		return nil, err
	}
	// Before the lock file, so that opening a ring that is not there leaves nothing behind.
	if _, err := os.Stat(r.files.Ring); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("keymgmt: ring: %w: if there was a ring, restore it from a backup made after the last Destroy or Rewrap, together with root file %s; only if there never was one, create it with CreateKeyring", err, r.files.Root)
		}
		return nil, fmt.Errorf("keymgmt: ring: %w", err)
	}
	unlock, err := lockFile(ctx, r.files.Ring+".lock")
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := r.load(ctx); err != nil {
		return nil, r.refused(ctx, "open", "", 0, err)
	}
	if err := r.audit(ctx, "open", "", 0, nil); err != nil {
		return nil, err
	}
	return r, nil
}

// Close wipes the keys in memory. The keyring cannot be used after it; keys it handed out can.
func (r *Keyring) Close() error {
	r.turn <- struct{}{}
	defer r.leave()
	r.forget()
	r.closed = true
	return nil
}

func (r *Keyring) enter(ctx context.Context) error {
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("keymgmt: %w", ctx.Err())
	}
	if r.closed {
		r.leave()
		return fmt.Errorf("keymgmt: keyring %s: %w", r.files.Ring, ErrClosed)
	}
	return nil
}

func (r *Keyring) leave() { <-r.turn }

// adopt takes over a tree that agrees with the ring file b.
func (r *Keyring) adopt(t *tree, b []byte) {
	r.tree, r.stamp, r.seen = t, bytes.Clone(b[:stampSize]), max(r.seen, t.version)
}

// forget drops what is in memory; the next call reads the files again.
func (r *Keyring) forget() {
	r.tree.wipe()
	r.tree, r.stamp = nil, nil
}

// current reports whether the ring file is still the one in memory. It reads the file's first bytes, which hold a random
// nonce, and not its times, which may not have moved.
func (r *Keyring) current() (bool, error) {
	f, err := os.Open(r.files.Ring)
	if err != nil {
		return false, fmt.Errorf("keymgmt: ring: %w: restore it from its newest backup", err)
	}
	defer f.Close()
	var stamp [stampSize]byte
	if _, err := io.ReadFull(f, stamp[:]); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, fmt.Errorf("keymgmt: reading %s: %w", r.files.Ring, err)
	}
	return r.tree != nil && bytes.Equal(stamp[:], r.stamp), nil
}

// read begins a call that changes nothing: it enters and brings memory up to date. The caller leaves.
func (r *Keyring) read(ctx context.Context) error {
	if err := r.enter(ctx); err != nil {
		return err
	}
	ok, err := r.current()
	if err == nil && !ok {
		var unlock func() error
		if unlock, err = lockFile(ctx, r.files.Ring+".lock"); err == nil {
			err = r.load(ctx)
			unlock()
		}
	}
	if err != nil {
		r.leave()
	}
	return err
}

// change is one atomic change of the ring: it enters, takes the lock file, brings memory up to date, runs edit on the
// tree, and writes. If anything fails, the ring stays as it was; memory is read again by the next call. If edit rekeyed the
// root page, the root file changes as well.
func (r *Keyring) change(ctx context.Context, edit func(t *tree) (rootChange, error)) error {
	if err := r.enter(ctx); err != nil {
		return err
	}
	defer r.leave()
	unlock, err := lockFile(ctx, r.files.Ring+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	ok, err := r.current()
	if err != nil {
		return err
	}
	root, err := r.readRoot()
	if err != nil {
		return err
	}
	unsettled, err := r.disk.unsettled(r.files)
	if err != nil {
		return fmt.Errorf("keymgmt: %w", err)
	}
	if !ok || unsettled || root.state != rootSettled || root.ring != r.tree.ring || root.slots[0].epoch != r.tree.epoch {
		if err := r.load(ctx); err != nil {
			return err
		}
		if root, err = r.readRoot(); err != nil {
			return err
		}
	}
	how, err := edit(r.tree)
	if u, ok := err.(untouched); ok {
		return u.error
	}
	if err == nil {
		err = r.write(ctx, root, how)
	}
	if err != nil {
		r.forget()
	}
	return err
}

// untouched marks an error of edit that came before it changed the tree, so that the tree need not be read again.
type untouched struct{ error }

// rootChange says what a change does to the root key.
type rootChange struct {
	rekeyed bool    // the root page has a fresh key, which begins a new epoch
	wrapper Wrapper // for Rewrap: what wraps it from now on
}

// write writes the tree. With a fresh root key the order is: root file with the old and the new root key; ring; root
// file with the new root key only. Each root file that is replaced is overwritten. load completes or undoes what a crash
// leaves of it.
func (r *Keyring) write(ctx context.Context, old *rootFile, how rootChange) error {
	t := r.tree
	t.version++
	w := r.wrapper
	if how.wrapper != nil {
		w = how.wrapper
	}
	if how.rekeyed {
		t.epoch++
	}
	b := t.file().encode()
	if len(b) > maxRingFile {
		return fmt.Errorf("keymgmt: ring %s would grow to %d bytes, over the limit of %d: use another ring", r.files.Ring, len(b), maxRingFile)
	}
	var settled *rootFile
	if how.rekeyed {
		var err error
		if settled, err = r.newRoot(ctx, t, w); err != nil {
			return err
		}
		both := &rootFile{ring: t.ring, state: rootChanging, slots: []rootSlot{old.slots[0], settled.slots[0]}}
		if err := r.writeRoot(both); err != nil {
			return fmt.Errorf("%w: free space or repair the disk; nothing is lost", err)
		}
		r.next = how.wrapper // if the following fails, the ring's epoch says which wrapper counts
	}
	if err := r.disk.replace(r.files.Ring, b); err != nil {
		return fmt.Errorf("keymgmt: writing %s: %w: free space or repair the disk; nothing is lost", r.files.Ring, err)
	}
	if how.rekeyed {
		if err := r.writeRoot(settled); err != nil {
			return fmt.Errorf("%w: ring %s has changed, but its old root key is not erased yet, and with it an old copy of the ring can be opened: "+
				"repair the disk or the permissions and make the call again; until it succeeds, nothing counts as destroyed", err, r.files.Ring)
		}
	}
	r.wrapper, r.next = w, nil
	r.adopt(t, b)
	return nil
}

// newRoot wraps the tree's root key.
func (r *Keyring) newRoot(ctx context.Context, t *tree, w Wrapper) (*rootFile, error) {
	key := NewSecret(t.root.key)
	defer key.Destroy()
	wrapped, err := w.Wrap(ctx, key, rootName(t.ring, t.epoch))
	if err != nil {
		return nil, fmt.Errorf("keymgmt: wrapping the root key: %w", err)
	}
	if len(wrapped) == 0 || len(wrapped) > maxWrapped {
		return nil, fmt.Errorf("keymgmt: the wrapper gave %d bytes; 1 to %d fit the root file", len(wrapped), maxWrapped)
	}
	return &rootFile{ring: t.ring, state: rootSettled, slots: []rootSlot{{t.epoch, wrapped}}}, nil
}

func (r *Keyring) writeRoot(f *rootFile) error {
	if err := r.disk.replaceErasing(r.files.Root, f.encode()); err != nil {
		return fmt.Errorf("keymgmt: writing root file %s and erasing the old one: %w", r.files.Root, err)
	}
	return nil
}

// plainRoot refuses a symbolic link: a change would put a plain file into its place, in a folder that may be backed up.
func (r *Keyring) plainRoot() error {
	if info, err := os.Lstat(r.files.Root); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return fmt.Errorf("keymgmt: root file %s is a symbolic link: give the path of the file itself", r.files.Root)
	}
	return nil
}

// readRoot reads the root file, under the lock.
func (r *Keyring) readRoot() (*rootFile, error) {
	if err := r.disk.restore(r.files.Root); err != nil {
		return nil, fmt.Errorf("keymgmt: putting root file %s back in place: %w", r.files.Root, err)
	}
	if err := r.plainRoot(); err != nil {
		return nil, err
	}
	if err := checkPrivate(r.files.Root); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: without the root file no key of ring %s can be opened: put the folder with the root file back in place", err, r.files.Ring)
		}
		return nil, err
	}
	b, err := readBounded(r.files.Root, maxRootFile)
	if err != nil {
		return nil, err
	}
	f, err := decodeRoot(b)
	if err != nil {
		return nil, fmt.Errorf("keymgmt: root file %s: %w: %w: put the right file back in place", r.files.Root, ErrDamaged, err)
	}
	return f, nil
}

// load reads both files under the lock, completes or undoes a half-done change of the root key, and takes the tree over.
func (r *Keyring) load(ctx context.Context) error {
	root, err := r.readRoot()
	if err != nil {
		return err
	}
	b, err := readBounded(r.files.Ring, maxRingFile)
	if err != nil {
		return err
	}
	f, err := decodeRing(b)
	if err != nil {
		return fmt.Errorf("keymgmt: ring %s: %w: %w: restore it from its newest backup", r.files.Ring, ErrDamaged, err)
	}
	if f.ring != root.ring {
		return fmt.Errorf("keymgmt: ring %s and root file %s belong to two different rings: %w: put the right ones together", r.files.Ring, r.files.Root, ErrDamaged)
	}
	slot, ok := root.slot(f.epoch)
	switch {
	case !ok && f.epoch < root.last():
		return fmt.Errorf("keymgmt: ring %s is a copy from before the last destruction or rewrapping (epoch %d, now %d) and cannot be opened any more, on purpose: %w: restore a newer backup",
			r.files.Ring, f.epoch, root.last(), ErrRollback)
	case !ok:
		return fmt.Errorf("keymgmt: root file %s (epoch %d) is older than ring %s (epoch %d): %w: put the newest root file back in place", r.files.Root, root.last(), r.files.Ring, f.epoch, ErrRollback)
	case f.version < r.seen:
		return fmt.Errorf("keymgmt: ring %s has version %d, but version %d was seen before: %w: restore a newer backup, or open it without MinVersion to accept the loss",
			r.files.Ring, f.version, r.seen, ErrRollback)
	}
	w := r.wrapper
	key, err := w.Unwrap(ctx, slot.wrapped, rootName(root.ring, slot.epoch))
	if errors.Is(err, ErrWrongKey) && r.next != nil {
		w = r.next
		key, err = w.Unwrap(ctx, slot.wrapped, rootName(root.ring, slot.epoch))
	}
	if errors.Is(err, ErrWrongKey) {
		return fmt.Errorf("keymgmt: root file %s: %w: give the passphrase or key file that ring %s was last wrapped with (after an interrupted Rewrap: the old one or the new one); nothing was changed",
			r.files.Root, err, r.files.Ring)
	}
	if err != nil {
		return fmt.Errorf("keymgmt: root file %s: %w", r.files.Root, err)
	}
	defer key.Destroy()
	rootKey := key.ExposeSecret()
	defer clear(rootKey)
	if len(rootKey) != keySize {
		return fmt.Errorf("keymgmt: root file %s: root key of %d bytes: %w", r.files.Root, len(rootKey), ErrDamaged)
	}
	t, err := buildTree(f, rootKey)
	if err != nil {
		return fmt.Errorf("keymgmt: ring %s was altered: %w: %w: restore it from its newest backup", r.files.Ring, ErrDamaged, err)
	}
	if err := r.settle(root, slot); err != nil {
		t.wipe()
		return err
	}
	r.forget()
	r.wrapper, r.next = w, nil
	r.adopt(t, b)
	return nil
}

// settle erases what a killed process left: temporary files, the root file that was replaced, and the root key that does
// not count. The caller has opened the ring with the root file that is there, so no other is needed.
func (r *Keyring) settle(root *rootFile, slot rootSlot) error {
	for _, path := range []string{r.files.Root, r.files.Ring} {
		if err := r.disk.erase(temporary(path)); err != nil {
			return fmt.Errorf("keymgmt: erasing what an interrupted change left: %w: repair the disk or the permissions, or remove %s by hand", err, temporary(path))
		}
	}
	if err := r.disk.eraseAside(r.files.Root); err != nil {
		return fmt.Errorf("keymgmt: erasing the old root file, which an interrupted change left: %w: repair the disk or the permissions, and try again; until then it opens old copies of the ring", err)
	}
	if root.state == rootSettled {
		return nil
	}
	// The ring must be durable before the other root key goes.
	if err := r.disk.syncFile(r.files.Ring); err != nil {
		return fmt.Errorf("keymgmt: ring %s: %w", r.files.Ring, err)
	}
	return r.writeRoot(&rootFile{ring: root.ring, state: rootSettled, slots: []rootSlot{slot}})
}

// now is the time in microseconds since 1970.
func now() uint64 { return uint64(min(max(time.Now().UnixMicro(), 0), maxMicros)) }
