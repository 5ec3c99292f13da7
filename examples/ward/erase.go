package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/veilchart/veilchart/keymgmt"
	"github.com/veilchart/veilchart/ledger"
	"github.com/veilchart/veilchart/sse"
)

// erase makes everything about a patient unreadable, for everybody and in every copy of the stores:
//
//  1. the patient's key is destroyed: records, and what the index gives back with its rows, are shut at once;
//  2. the rows are deleted, and the partitions that held them are compacted under new keys, since posting lists are shared with other patients;
//  3. the columns are encrypted afresh without the patient, under a new key, since they are shared too;
//  4. the old keys of partitions and columns are destroyed;
//  5. the sealed records are deleted, but for one that is kept to show that it opens for nobody.
//
// Every step is noted before it is taken and can be repeated, so an erasure that was cut short is finished by the next run before it does
// anything else. The hashes stay in the log, which forgets nothing; a hash of a ciphertext tells nothing.
func (h *hospital) erase(ctx context.Context, pseudonym string, position uint32, progress func(string)) error {
	if h.state.Erasing != "" {
		return errors.New("one patient of this ward has been erased already, or is being erased")
	}
	// The addresses are in the rows, under the key that is about to go.
	var addresses []string
	for _, name := range partitions {
		r, err := h.index[name].Search(ctx, sse.Term("patient", sse.String(pseudonym)), sse.SearchOptions{})
		if err != nil {
			return err
		}
		for _, x := range r.Hits {
			e, _, err := h.openRow(ctx, "data protection officer", x.Stored)
			if err != nil {
				return err
			}
			addresses = append(addresses, e.cid.String())
		}
	}
	h.state.Erasing, h.state.Row, h.state.Shut, h.state.Removed = pseudonym, position, addresses, len(addresses)
	if err := h.remember(ctx); err != nil {
		return err
	}
	return h.finishErasure(ctx, progress)
}

// finishErasure takes the steps of the erasure that the state names.
func (h *hospital) finishErasure(ctx context.Context, progress func(string)) error {
	ctx = keymgmt.WithUse(ctx, keymgmt.Use{Actor: "data protection officer", Reason: "request of the patient"})
	progress("destroying the patient's key")
	receipt, err := h.ring.Destroy(ctx, keyPatient+h.state.Erasing, keymgmt.Destruction{
		AtOnce: []string{"all sealed records of patient " + h.state.Erasing, "the sealed part of the patient's rows in the index"},
		// The steps below do it within this call; the receipt must be true if they are cut short.
		ByDeadline: []string{"the patient's terms in the posting lists and vocabularies of the index", "the patient's values in the encrypted columns"},
		Deadline:   now().AddDate(0, 0, 30),
	})
	if err != nil && !errors.Is(err, keymgmt.ErrDestroyed) {
		return err
	}
	h.state.Receipt = receipt.Bytes()
	for _, name := range partitions {
		progress("removing rows and changing the key of the index of " + name)
		if err := h.removeRows(ctx, name); err != nil {
			return fmt.Errorf("removing rows from the %s partition: %w", name, err)
		}
		if err := h.remember(ctx); err != nil {
			return err
		}
	}
	if err := h.shareIndexKeys(ctx); err != nil {
		return err
	}
	progress("encrypting the columns afresh")
	if err := h.dropFromColumns(ctx, h.state.Row); err != nil {
		return err
	}
	progress("destroying the old keys")
	for _, name := range append(slices.Clone(partitions), "") {
		key := keyIndex + name
		if name == "" {
			key = keyColumns
		}
		if err := h.destroyOldVersions(ctx, key); err != nil {
			return err
		}
	}
	progress("deleting the sealed records")
	for _, address := range h.state.Shut {
		cid, err := ledger.ParseCID(address)
		if err != nil {
			return err
		}
		if address == h.state.Sample {
			continue
		}
		if err := h.blobs.Delete(ctx, cid); err != nil {
			return err
		}
	}
	h.state.Erased, h.state.Shut = true, nil
	return h.remember(ctx)
}

// removeRows deletes the patient's rows and rewrites the partition under a new key.
func (h *hospital) removeRows(ctx context.Context, partition string) error {
	ix := h.index[partition]
	found, err := ix.Search(ctx, sse.Term("patient", sse.String(h.state.Erasing)), sse.SearchOptions{})
	if err != nil {
		return err
	}
	var gone sse.Batch
	for _, x := range found.Hits {
		gone.Delete = append(gone.Delete, sse.Deletion{ID: x.ID})
	}
	if len(gone.Delete) > 0 {
		if err := ix.Apply(ctx, gone); err != nil {
			return err
		}
	}
	key, err := h.ring.Rotate(ctx, keyIndex+partition, nil)
	if err != nil {
		return err
	}
	return ix.Compact(ctx, sse.CompactOptions{NewKey: key.Secret.ExposeSecret(), DeleteNow: true})
}
