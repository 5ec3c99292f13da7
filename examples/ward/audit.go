package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/veilchart/veilchart/abe"
	"github.com/veilchart/veilchart/keymgmt"
	"github.com/veilchart/veilchart/ledger"
	"github.com/veilchart/veilchart/sse"
)

// audit plays an auditor who has the log's public key and the checkpoint of the first day, and trusts nobody.
func (y *story) audit(ctx context.Context) error {
	h := y.h
	verifier, head := h.log.Verifier(), h.log.Checkpoint()
	y.s.say("The log's public key: %s", verifier)
	leaf := int64(0)
	if y.sample != nil {
		leaf = y.sample.leaf
	}
	data, err := h.log.Leaf(ctx, leaf)
	if err != nil {
		return err
	}
	proof, err := h.log.ProveInclusion(ctx, leaf, head)
	if err != nil {
		return err
	}
	start := now()
	err = ledger.VerifyInclusion(head.Bytes(), verifier, data, leaf, proof)
	y.r.time("verifying that a record is in the log", now().Sub(start), "")
	y.check(err == nil && (y.sample == nil || string(data) == string(y.sample.cid.Bytes())),
		"the record that was read is leaf %d of %d: proved with %d bytes", leaf, head.Size, len(proof))
	data[len(data)-1] ^= 1
	err = ledger.VerifyInclusion(head.Bytes(), verifier, data, leaf, proof)
	y.check(errors.Is(err, ledger.ErrProof), "the same proof does not fit the hash of another record")

	first, err := ledger.NewCheckpoint(h.state.FirstCheckpoint, verifier)
	if err != nil {
		return fmt.Errorf("the checkpoint of the first batch: %w", err)
	}
	if proof, err = h.log.ProveConsistency(ctx, first, head); err != nil {
		return err
	}
	err = ledger.VerifyConsistency(first.Bytes(), head.Bytes(), verifier, proof)
	y.check(err == nil, "the log of %d leaves is the log of %d with more added, nothing changed", head.Size, first.Size)

	start = now()
	if err := h.verifyAll(ctx); err != nil {
		return err
	}
	y.r.time("checking every stored byte", now().Sub(start), "")
	y.check(true, "every sealed record, log entry, index page and column is what was written")
	return y.tamper(ctx)
}

// verifyAll reads everything in the folder. Its errors name the file and say what to do.
func (h *hospital) verifyAll(ctx context.Context) error {
	errs := []error{h.log.Verify(ctx, nil), h.blobs.Verify(ctx, nil)}
	for _, name := range partitions {
		if err := h.index[name].Verify(ctx); err != nil {
			errs = append(errs, fmt.Errorf("the %s partition of the index: %w", name, err))
		}
	}
	_, err := h.verifyColumns(ctx)
	errs = append(errs, err)
	logged := map[string]bool{}
	for leaf, err := range h.log.Leaves(ctx, 0, h.log.Checkpoint().Size) {
		if err != nil {
			errs = append(errs, err)
			break
		}
		logged[string(leaf)] = true
	}
	stored := map[ledger.CID]bool{}
	for cid, err := range h.blobs.All(ctx) {
		if err != nil {
			errs = append(errs, err)
			break
		}
		stored[cid] = true
		if !logged[string(cid.Bytes())] {
			errs = append(errs, fmt.Errorf("%s is not in the log: it did not come from this program; delete it", h.blobs.File(cid)))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err // the rows below can only be read from an index that is sound
	}
	rows, err := h.referenced(ctx)
	if err != nil {
		return err
	}
	for cid := range rows {
		if !stored[cid] {
			errs = append(errs, fmt.Errorf("%s is missing; restore it from a copy of the folder", h.blobs.File(cid)))
		}
	}
	return errors.Join(errs...)
}

// tamper flips one bit of one sealed record, in a copy of the store that is thrown away.
func (y *story) tamper(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "ward-tampered-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if y.sample == nil {
		return nil
	}
	clean := y.h.blobs.File(y.sample.cid)
	rel, err := filepath.Rel(filepath.Join(y.h.dir, "blobs"), clean)
	if err != nil {
		return err
	}
	// The record's folder with its neighbours, and the file that says what kind of store it is.
	if err := copyFile(filepath.Join(dir, "format"), filepath.Join(y.h.dir, "blobs", "format")); err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(dir, filepath.Dir(rel)), os.DirFS(filepath.Dir(clean))); err != nil {
		return err
	}
	path := filepath.Join(dir, rel)
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return err
	}
	copied, err := ledger.OpenBlobs(dir)
	if err != nil {
		return err
	}
	defer copied.Close()
	err = copied.Verify(ctx, nil)
	var damage *ledger.DamageError
	named := errors.As(err, &damage) && damage.File == path && damage.CID == y.sample.cid
	y.check(named, "in a copy of a part of the store, one bit of one record was flipped. Found, and named: %s", because(err))
	return nil
}

// forget erases a patient, or checks that the one who was erased stays so.
func (y *story) forget(ctx context.Context) error {
	h := y.h
	if h.state.Erased {
		return y.staysForgotten(ctx, y.again)
	}
	pseudonym := h.state.Erasing
	if pseudonym == "" {
		pseudonym = h.pseudonym(y.w.patients[len(y.w.patients)-1])
	} else {
		y.s.say("An earlier run began to erase patient %s and was interrupted; going on.", short(pseudonym))
	}
	position := slices.IndexFunc(y.w.patients, func(p string) bool { return h.pseudonym(p) == pseudonym })
	if position < 0 {
		return fmt.Errorf("patient %s, whose erasure has begun, is not in the input", short(pseudonym))
	}
	if h.state.Sample == "" {
		f, err := h.search(ctx, y.cardiologist, sse.Term("patient", sse.String(pseudonym)), 1)
		if err != nil {
			return err
		}
		if len(f.hits) == 0 {
			return fmt.Errorf("patient %s has no record that could be erased", short(pseudonym))
		}
		r, err := h.open(ctx, y.cardiologist, f.hits[0])
		if err != nil {
			return err
		}
		h.state.Sample = f.hits[0].cid.String()
		y.s.say("Before: patient %s has %d records that the cardiologist finds; the newest reads %q.", short(pseudonym), f.total, r.display)
	}

	// Somebody keeps a copy of the ring, as a backup would.
	backup, err := os.MkdirTemp("", "ward-backup-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(backup)
	files := keymgmt.FilesIn(filepath.Join(h.dir, "keys"))
	old := keymgmt.Files{Ring: filepath.Join(backup, "ring"), Root: filepath.Join(backup, "root.nobackup", "root")}
	if err := copyFile(old.Ring, files.Ring); err != nil {
		return err
	}

	start := now()
	if err := h.erase(ctx, pseudonym, uint32(position), func(doing string) { y.s.aside(doing) }); err != nil {
		return err
	}
	y.r.time("erasing a patient, with new keys for index and columns", now().Sub(start), "")
	if err := y.staysForgotten(ctx, y.check); err != nil {
		return err
	}

	// The backup of the ring, put beside the root file of today.
	if err := copyFile(old.Root, files.Root); err != nil {
		return err
	}
	ring, err := keymgmt.OpenKeyring(ctx, old, y.wrapper, keymgmt.Options{})
	if err == nil {
		_, err = ring.Get(ctx, keyPatient+pseudonym)
		err = errors.Join(err, ring.Close())
	}
	y.check(err != nil, "a backup of the ring from before does not bring the key back: %s", strings.ReplaceAll(because(err), backup, "BACKUP"))
	return nil
}

// staysForgotten checks what must be true ever after an erasure.
func (y *story) staysForgotten(ctx context.Context, say func(bool, string, ...any)) error {
	h, pseudonym := y.h, y.h.state.Erasing
	_, err := h.ring.Get(ctx, keyPatient+pseudonym)
	say(errors.Is(err, keymgmt.ErrDestroyed), "the key of patient %s is destroyed", short(pseudonym))

	key, err := h.ring.ReceiptKey(ctx)
	if err != nil {
		return err
	}
	receipt, err := keymgmt.VerifyReceipt(h.state.Receipt, key)
	say(err == nil && receipt.Name == keyPatient+pseudonym, "there is a signed receipt for it")

	rows := 0
	for _, name := range partitions {
		r, err := h.index[name].Search(ctx, sse.Term("patient", sse.String(pseudonym)), sse.SearchOptions{CountOnly: true})
		if err != nil {
			return err
		}
		rows += r.Total
	}
	say(rows == 0, "no search finds a record of this patient any more; %d rows went", h.state.Removed)

	cid, err := ledger.ParseCID(h.state.Sample)
	if err != nil {
		return err
	}
	sealed, err := h.fetch(ctx, cid)
	if err != nil {
		return err
	}
	y.s.aside("One of the sealed records is still in the store. The doctor's attributes satisfy its policy, but the patient's key is a part of the seal:")
	_, err = y.cardiologist.key.Open(sealed, &abe.Options{Companion: make([]byte, 32)})
	denied := (*abe.DeniedError)(nil)
	say(errors.Is(err, abe.ErrDecrypt) && !errors.As(err, &denied), "it opens for nobody: %s", because(err))
	return nil
}

func copyFile(to, from string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return writeFile(to, b, 0o600)
}
