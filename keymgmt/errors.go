package keymgmt

import "errors"

// The errors a caller may want to branch on. Every error that a function returns says in words what was wrong, in which
// file, and what to do; errors.Is finds these behind it. None of them leaves the ring changed.
var (
	// ErrNotFound: the ring holds no key of this name or version. Branch on it to create the key.
	ErrNotFound = errors.New("no such key")
	// ErrExists: the name, the ring or the key file is there already. Branch on it to open or rotate instead.
	ErrExists = errors.New("exists already")
	// ErrDisabled: the key is there but was switched off; Enable brings it back.
	ErrDisabled = errors.New("key is disabled")
	// ErrDestroyed: the key was destroyed and cannot come back. Branch on it to treat the data under it as erased.
	ErrDestroyed = errors.New("key is destroyed")
	// ErrWrongKey: the wrapper's passphrase or key file is not the one that the ring was closed with. Branch on it to
	// ask again. Someone who forged the public check value in the root file on purpose causes it as well.
	ErrWrongKey = errors.New("wrong passphrase or key file")
	// ErrDamaged: a file is truncated, altered, foreign, or not what its name says. Restore it from a copy.
	ErrDamaged = errors.New("file is damaged, altered or foreign")
	// ErrRollback: a file is an old copy of what it should be.
	ErrRollback = errors.New("file is an old copy")
	// ErrPermissions: a file with secrets can be read by others.
	ErrPermissions = errors.New("file is open to others")
	// ErrSignature: a receipt was not signed by the given key, or was altered.
	ErrSignature = errors.New("signature does not verify")
	// ErrClosed: the keyring or the secret was closed or destroyed before this call.
	ErrClosed = errors.New("used after it was closed")
)
