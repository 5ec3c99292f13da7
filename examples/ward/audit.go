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
	if data, err = h.log.Leaf(ctx, (leaf+1)%head.Size); err != nil {
		return err
	}
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
	for _, name := range partitions {
		_, err := h.indexKey(name)
		errs = append(errs, err)
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
	for cid := range stored {
		if !rows[cid] && cid.String() != h.state.Sample {
			errs = append(errs, fmt.Errorf("%s is in the log, but no row of the index points to it: it was put back after it had been deleted; delete it", h.blobs.File(cid)))
		}
	}
	return errors.Join(errs...)
}

// tamper flips one bit of one sealed record, in a copy of the store that is thrown away.
func (y *story) tamper(ctx context.Context) error {
	dir := filepath.Join(y.h.tmp(), "tampered")
	defer os.RemoveAll(y.h.tmp())
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
	switch {
	case h.state.Erased && y.finished:
		return y.staysForgotten(ctx, y.check)
	case h.state.Erased:
		return y.staysForgotten(ctx, y.again)
	}
	position, sample, err := y.patientToErase(ctx)
	if err != nil || sample == nil {
		return err
	}
	pseudonym := h.pseudonym(y.w.patients[position])
	h.state.Sample = sample.cid.String()

	// Somebody keeps a copy of the ring, as a backup would.
	files := keymgmt.FilesIn(filepath.Join(h.dir, "keys"))
	backup := filepath.Join(h.tmp(), "backup")
	defer os.RemoveAll(h.tmp())
	old := keymgmt.FilesIn(backup)
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
	y.check(errors.Is(err, keymgmt.ErrRollback), "a backup of the ring from before does not bring the key back: %s", strings.ReplaceAll(because(err), backup, "BACKUP"))
	return nil
}

// patientToErase is the last one of whom the cardiologist can read a record, so that the difference can be seen.
func (y *story) patientToErase(ctx context.Context) (position int, sample *hit, err error) {
	for position, patient := range slices.Backward(y.w.patients) {
		f, err := y.h.search(ctx, y.cardiologist, sse.Term("patient", sse.String(y.h.pseudonym(patient))), 1)
		if err != nil {
			return 0, nil, err
		}
		if len(f.hits) == 0 {
			continue
		}
		r, err := y.h.open(ctx, y.cardiologist, f.hits[0])
		y.check(err == nil, "before: the cardiologist finds %d records of patient %s and opens the newest: %s", f.total, short(y.h.pseudonym(patient)), describe(r, err))
		return position, &f.hits[0], err
	}
	y.s.say("There is no patient of whom the cardiologist could read a record, so nobody is erased.")
	return 0, nil, nil
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
	say(err == nil && receipt.Name == keyPatient+pseudonym, "there is a signed receipt for it, which gives 30 days for the shared parts; they are done as well")

	rows := 0
	for _, name := range partitions {
		r, err := h.index[name].Search(ctx, sse.Term("patient", sse.String(pseudonym)), sse.SearchOptions{CountOnly: true})
		if err != nil {
			return err
		}
		rows += r.Total
	}
	say(rows == 0, "no search finds a record of this patient any more; %d rows and their sealed records went", h.state.Removed)

	cid, err := ledger.ParseCID(h.state.Sample)
	if err != nil {
		return err
	}
	sealed, err := h.fetch(ctx, cid)
	if err != nil {
		return err
	}
	y.s.aside("One of the sealed records was kept for this. The doctor's attributes satisfy its policy, but the patient's key is a part of the seal, " +
		"and no key of any other patient takes its place:")
	opened, tried, err := y.tryEveryKey(ctx, sealed)
	if err != nil {
		return err
	}
	say(opened == 0 && tried > 0, "it opens neither with one of the %d patients' keys that are left, nor with a random one", tried-1)
	return nil
}

// tryEveryKey tries to open a record with the cardiologist's key and each patient's, and with a random one.
func (y *story) tryEveryKey(ctx context.Context, sealed []byte) (opened, tried int, err error) {
	names, err := y.h.ring.Names(ctx, keyPatient)
	if err != nil {
		return 0, 0, err
	}
	keys := []*keymgmt.Secret{keymgmt.GenerateSecret(32)}
	for _, name := range names {
		k, err := y.h.ring.Get(ctx, name)
		if err != nil {
			return 0, 0, err
		}
		keys = append(keys, k.Secret)
	}
	for _, key := range keys {
		comp, err := companion(key)
		if err != nil {
			return 0, 0, err
		}
		_, err = y.cardiologist.key.Open(sealed, &abe.Options{Companion: comp})
		denied := (*abe.DeniedError)(nil)
		switch {
		case err == nil:
			opened++
		case !errors.Is(err, abe.ErrDecrypt), errors.As(err, &denied): // refused before the mathematics: nothing was tried
			return 0, 0, err
		}
		tried++
	}
	return opened, tried, nil
}

func copyFile(to, from string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return writeFile(to, b, 0o600)
}
