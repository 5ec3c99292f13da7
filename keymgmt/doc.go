// Package keymgmt keeps the secrets of a hospital's chart store: it makes them, wraps them, versions them, rotates them,
// destroys them for good, and never prints them. It is for programs that encrypt under many keys, one for each patient.
//
// A [Keyring] is one file of named, versioned keys. Patients' keys are random. They hang in a tree of random page keys
// with one root key, and a [Wrapper] (a passphrase, or a key file) encrypts the root key in a small root file of its
// own. The package promises:
//
//   - Who has the ring file alone learns no key and no name. With the root file he still needs the passphrase or key file.
//   - Every change is atomic and durable when its call returns. A process killed at any moment leaves the old ring or the
//     new one, and the next one to open or change the ring erases what was to be erased. Several processes on one computer do not lose each other's changes.
//   - A ring that was altered, cut, or put together from several versions is refused. An old version is refused if
//     the caller remembers a newer one ([Options].MinVersion), and always if a key was destroyed since.
//   - After [Keyring.Destroy] no copy of the ring file, however old, gives the key back, not even to who knows the
//     passphrase and has the present files. A signed [Receipt] says what is gone.
//
// Below a patient's key, [Secret.Derive] gives one key for each purpose: content, index, column, budget.
//
// The shortest program:
//
//	w, err := keymgmt.CreateKeyFile(filepath.Join(dir, "root.key"))
//	...
//	ring, err := keymgmt.CreateKeyring(ctx, keymgmt.FilesIn(dir), w, keymgmt.Options{})
//	...
//	key, err := ring.Generate(ctx, "st-anna/patient/4711")
//	...
//	content, err := key.Secret.Derive(keymgmt.PurposeContent)
//
// The formats and their security are described in docs/spec/keymgmt.md.
//
// # Leakage
//
// The ring file shows its size, its version (the number of changes), its epoch (the number of destructions and
// rewrappings), the number and sizes of its pages, so about how many keys it holds; two copies show which pages changed
// between them, so which keys may have. It shows no names. The root file shows which kind of wrapper is in use
// and Argon2id's salt and parameters; who has it can try passphrases at that price. Receipts and audit events show
// the key's name, which may be a patient's number.
//
// # Not protected
//
//   - Memory. Keys in use are in the process's memory, where a debugger, a core dump, swap or hibernation finds them.
//     Destroy and Close overwrite what they can reach, but Go's runtime may have copied bytes that no one can reach, and
//     the passphrase stays as long as its wrapper. Turn core dumps and swap off where this matters.
//   - Old copies of the root file. The destruction of a key rests on the old root key being erased from there. A backup,
//     snapshot or copy of the root file that was made before, with the passphrase or key file and an old ring, opens the
//     old ring. Keep its folder out of backups and snapshots, and keep it on two mirrored disks instead: if the root
//     file is lost, all keys are lost.
//   - The disk's own memory. A root file that is replaced keeps a name, <root>.old, until it is overwritten in place, also
//     across crashes; a receipt is given only after that. On a plain disk with a plain file system that is enough. SSDs write elsewhere and keep the old cells for a while; journals with
//     data (ext4 data=journal), copy-on-write file systems (btrfs, ZFS, APFS) and snapshots keep the old blocks. Full
//     disk encryption helps against who finds the disk later; an HSM or KMS as the wrapper is the real answer.
//   - A key that was handed out. Destroy does not reach a copy in another process's memory, in a caller's variable, or
//     anything that was decrypted with it before.
//   - Lies about what a key protected. The receipt signs the caller's lists; only the destruction itself is the ring's.
//   - A forked history. Two writers that begin with the same restored copy both make version n+1. MinVersion is a number
//     and does not tell them apart.
//   - A ring that nobody opens again after a crash in a destruction. The old root key is erased by the next one who opens the
//     ring with the right passphrase or key file and the right to write; a receipt is there only after that.
//   - An attacker who has the passphrase or key file and both files, who is the owner of the ring.
package keymgmt
